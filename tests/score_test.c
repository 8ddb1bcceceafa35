/* score_test.c - what of a text counts as kept: characters by edit distance, items by where they
 * were read. */
#include "compress/text_distance.h"
#include "store/random.h"
#include "test.h"
#include "train/fidelity/alignment.h"
#include "train/fidelity/score.h"

static struct scorer *scorer;

static struct score compare(const char *read, const char *text) {
    struct score s = {.distance = 0};
    struct error e;
    CHECK(scorer_compare(scorer, &s, read, strlen(read), text, strlen(text), &e) == 0);
    return s;
}

/* Kept and all, as "3/4". */
static const char *items(const char *read, const char *text, enum score_kind kind) {
    static char out[32];
    struct score s = compare(read, text);
    snprintf(out, sizeof out, "%lld/%lld", (long long)s.kept[kind], (long long)s.items[kind]);
    return out;
}

static void random_text(char *out, size_t size, int letters, uint64_t *random) {
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)('a' + random_below(random, letters));
    }
    out[size] = '\0';
}

/* Changes, adds and leaves out some of the letters. */
static void damage(char *out, const char *text, int percent, uint64_t *random) {
    for (; *text != '\0'; text++) {
        bool hit = random_below(random, 100) < percent;
        int64_t how = random_below(random, 3);
        if (!hit || how == 1) {
            *out++ = *text;
        }
        if (hit && how < 2) {
            *out++ = (char)('a' + random_below(random, 4));
        }
    }
    *out = '\0';
}

static void check_alignment(const char *read, const char *text) {
    static uint32_t a[8192], b[8192];
    struct alignment alignment = {.distance = 0};
    struct error e;
    size_t n = strlen(text), m = strlen(read);
    int64_t wanted, length, last = -1, matched = 0;
    for (size_t i = 0; i < n; i++) {
        a[i] = (uint32_t)text[i];
    }
    for (size_t i = 0; i < m; i++) {
        b[i] = (uint32_t)read[i];
    }
    CHECK(text_distance(read, m, text, n, &wanted, &length, &e) == 0);
    CHECK(alignment_make(&alignment, a, n, b, m, &e) == 0);
    CHECK_NUMBER(alignment.distance, wanted);
    for (size_t i = 0; i < n; i++) {
        int32_t to = alignment.to[i];
        if (to >= 0) {
            CHECK(to > last && (size_t)to < m && a[i] == b[to]);
            last = to;
            matched++;
        }
    }
    /* so many equal pairs go with that distance, if each other character is paired, too, or not */
    CHECK(wanted >= (int64_t)(n > m ? n : m) - matched && wanted <= (int64_t)(n + m) - 2 * matched);
    alignment_close(&alignment);
}

static void the_alignment_is_one_of_the_shortest(void) {
    static char text[6001], read[12001];
    static const size_t SIZES[] = {0, 1, 2, 63, 64, 65, 255, 256, 257, 700, 2049};
    uint64_t random = 7;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        for (int percent = 0; percent <= 100; percent += 20) {
            random_text(text, SIZES[i], 4, &random);
            damage(read, text, percent, &random);
            check_alignment(read, text);
            check_alignment(text, read);
        }
    }
    random_text(text, 4000, 20, &random);
    random_text(read, 3000, 20, &random);
    check_alignment(read, text);
    check_alignment("", text);
    check_alignment(text, "");
}

static void characters_are_one_minus_distance_over_length(void) {
    struct score s = compare("kitten", "sitting");
    CHECK_NUMBER(s.distance, 3);
    CHECK_NUMBER(s.length, 7);
    CHECK_NEAR(score_characters(&s), 1 - 3.0 / 7, 1e-12);
    s = compare("aaaaaaaaaa", "b");
    CHECK_NEAR(score_characters(&s), 0, 0);
    CHECK(isnan(score_characters(&(struct score){.length = 0})));
    s = compare("größe", "grösse"); /* code points, not bytes */
    CHECK_NUMBER(s.length, 6);
    CHECK_NUMBER(s.distance, 2);
}

static void a_word_is_kept_whole_or_not_at_all(void) {
    CHECK_TEXT(items("the cat sat", "the cat sat", SCORE_WORDS), "3/3");
    CHECK_TEXT(items("the cot sat", "the cat sat", SCORE_WORDS), "2/3");
    CHECK_TEXT(items("the catsat", "the cat sat", SCORE_WORDS), "1/3"); /* a lost space costs two */
    CHECK_TEXT(items("the ca t sat", "the cat sat", SCORE_WORDS), "2/3");
    CHECK_TEXT(items("the cats sat", "the cat sat", SCORE_WORDS), "2/3");
    CHECK_TEXT(items("I'm, well: fine", "I'm, well, fine!", SCORE_WORDS), "3/3");
    CHECK_TEXT(items("I m fine", "I'm fine", SCORE_WORDS), "1/2");
    CHECK_TEXT(items("", "the cat", SCORE_WORDS), "0/2");
    CHECK_TEXT(items("the cat", "", SCORE_WORDS), "0/0");
    CHECK_TEXT(items("Привет, мир", "Привет, мир", SCORE_WORDS), "2/2");
    CHECK_TEXT(items("Πoτε", "Ποτε", SCORE_WORDS), "0/1"); /* a Latin o */
    CHECK_TEXT(items("e\xCC\x81t\xC3\xA9", "e\xCC\x81t\xC3\xA9", SCORE_WORDS), "1/1");
}

static void it_counts_where_a_word_was_read_not_that_it_was(void) {
    /* a bag of words would find all of them */
    CHECK_TEXT(items("two one", "one two", SCORE_WORDS), "0/2");
    CHECK_TEXT(items("cat the the the the", "the the the the cat", SCORE_WORDS), "3/5");
    CHECK_TEXT(items("xxx yyy zzz one two", "one two", SCORE_WORDS), "2/2");
}

static void numbers_are_whole_with_their_signs(void) {
    const char *text = "$1,234.56 on 2026-11-23 at 18:30, 1.2M views, 48db40af-7744, 7658218672";
    CHECK_TEXT(items(text, text, SCORE_NUMBERS), "6/6");
    CHECK_TEXT(items("12 apples", "12 apples", SCORE_NUMBERS), "1/1");
    CHECK_TEXT(items("312 apples", "12 apples", SCORE_NUMBERS), "0/1"); /* all of it was read */
    CHECK_TEXT(items("1,234.66", "1,234.56", SCORE_NUMBERS), "0/1");
    CHECK_TEXT(items("1.234,56", "1,234.56", SCORE_NUMBERS), "0/1");
    CHECK_TEXT(items("2026-11 23", "2026-11-23", SCORE_NUMBERS), "0/1");
    CHECK_TEXT(items("48db", "48db", SCORE_WORDS), "0/0"); /* no word within it */
}

static void tags_are_kept_with_their_sign(void) {
    CHECK_TEXT(items("#fyp #foryou @mia.lopez_.", "#fyp #foryou @mia.lopez_.", SCORE_TAGS), "3/3");
    CHECK_TEXT(items("fyp #foryou @mia.lopez", "#fyp #foryou @mia.lopez_", SCORE_TAGS), "1/3");
    CHECK_TEXT(items("#fyp#foryou", "#fyp#foryou", SCORE_TAGS), "2/2");
    CHECK_TEXT(items("#fyp", "#fyp", SCORE_WORDS), "0/0");
    CHECK_TEXT(items("# 1", "# 1", SCORE_TAGS), "0/0");
}

static void emoji_are_kept_one_by_one(void) {
    CHECK_TEXT(items("😂😂🔥", "😂😂🔥", SCORE_EMOJI), "3/3");
    CHECK_TEXT(items("😂🔥", "😂😂🔥", SCORE_EMOJI), "2/3");
    CHECK_TEXT(items("so 💜 good", "so ❤️ good", SCORE_EMOJI), "0/1");
    CHECK_TEXT(items("so ❤ good", "so ❤️ good", SCORE_EMOJI), "1/1"); /* drawn alike */
    CHECK_TEXT(items("ok 👍", "ok 👍🏽", SCORE_EMOJI), "1/1");         /* folded */
    CHECK_TEXT(items("👩🚀", "👩‍🚀", SCORE_EMOJI), "0/1");           /* the astronaut is one */
    CHECK_TEXT(items("👩‍🚀", "👩‍🚀", SCORE_EMOJI), "1/1");
    CHECK_TEXT(items("🇩🇪🇫🇷", "🇩🇪🇫🇷", SCORE_EMOJI), "2/2");
    CHECK_TEXT(items("1️⃣ 2", "1️⃣ 2", SCORE_EMOJI), "1/1");
    CHECK_TEXT(items("1️⃣ 2", "1️⃣ 2", SCORE_NUMBERS), "1/1");
    CHECK_TEXT(items("♥5.1K", "♥5.1K", SCORE_NUMBERS), "1/1");
}

static void headers_are_from_their_sign_to_the_next(void) {
    const char *text = "▣@pear · 1K▤good▧so▣ab▥no";
    CHECK_TEXT(items(text, text, SCORE_HEADER), "14/14");
    CHECK_TEXT(items("▣@peel i 1K▤bad▧so▣ab▥no", text, SCORE_HEADER), "11/14");
    CHECK_TEXT(items(text, "no header", SCORE_HEADER), "0/0");
}

static void scores_add_up(void) {
    struct score a = compare("the cot", "the cat"), b = compare("a dog 🔥", "a dog 🔥");
    score_add(&a, &b);
    CHECK_NUMBER(a.length, 14);
    CHECK_NUMBER(a.distance, 1);
    CHECK_NEAR(score_items(&a, SCORE_WORDS), 0.75, 1e-12);
    CHECK_NEAR(score_items(&a, SCORE_EMOJI), 1, 0);
    CHECK(isnan(score_items(&a, SCORE_NUMBERS)));
}

int main(void) {
    struct error e;
    if (scorer_open(&scorer, &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return EXIT_FAILURE;
    }
    RUN(the_alignment_is_one_of_the_shortest);
    RUN(characters_are_one_minus_distance_over_length);
    RUN(a_word_is_kept_whole_or_not_at_all);
    RUN(it_counts_where_a_word_was_read_not_that_it_was);
    RUN(numbers_are_whole_with_their_signs);
    RUN(tags_are_kept_with_their_sign);
    RUN(emoji_are_kept_one_by_one);
    RUN(headers_are_from_their_sign_to_the_next);
    RUN(scores_add_up);
    scorer_close(scorer);
    return test_finish();
}
