/* Pages to learn reading from: that they follow from their numbers, and what they are made of.
 * Their labels: page_labels_test.c. */
#include "tests/test.h"

#include <jansson.h>
#include <unicode/uchar.h>
#include <xxhash.h>

#include "store/bytes.h"
#include "store/random.h"
#include "store/utf8.h"
#include "train/read/clip.h"
#include "train/read/facts.h"
#include "train/read/pages.h"

static struct alphabet *alphabet;
static char en[] = TEST_FOLDER "/golden/texts/en.txt", ru[] = TEST_FOLDER "/golden/texts/ru.txt",
            vi[] = TEST_FOLDER "/golden/texts/vi.txt", el[] = TEST_FOLDER "/golden/texts/el.txt";
static char *const texts[] = {en, ru, vi, el};
enum { TEXTS = sizeof texts / sizeof *texts };

/* ---- Pages ----------------------------------------------------------------------------------- */

static const struct training_mix MIX = {
    .profiles = {[PROFILE_READ10] = 1, [PROFILE_CELL10] = 3, [PROFILE_CELL8] = 1},
    .samples = 0.4,
    .random = 0.33,
    .pictures = 0.1,
    .seed = 7};

struct maker {
    struct training_pages *pages;
    struct read_source source;
    void *generator;
};

static bool maker_open(struct maker *m, const struct training_mix *mix, char *const *files,
                       int count) {
    struct error e = {0};
    m->generator = NULL;
    bool ok = CHECK_NUMBER(training_pages_open(&m->pages, mix, alphabet, files, count, &e), 0);
    if (ok) {
        m->source = training_pages_source(m->pages);
        ok = CHECK_NUMBER(m->source.open(m->source.context, &m->generator, &e), 0);
    }
    CHECK_TEXT(e.text, "");
    return ok;
}

static void maker_close(struct maker *m) {
    if (m->generator != NULL) {
        m->source.close(m->generator);
    }
    training_pages_close(m->pages);
}

static struct read_page make_page(struct maker *m, uint64_t number, enum read_size size) {
    struct read_page page = {.width = 0};
    struct error e = {0};
    const struct read_request request = {
        .size = size, .number = number, .pair = number / 2, .progress = 1};
    CHECK_NUMBER(m->source.make(m->generator, &request, &page, &e), 0);
    CHECK_TEXT(e.text, "");
    return page;
}

static uint64_t hash_page(const struct read_page *p) {
    uint64_t hash = XXH3_64bits(p->grey, (size_t)p->width * (size_t)p->height);
    hash = XXH3_64bits_withSeed(p->labels, p->label_count * sizeof *p->labels, hash);
    return hash + (uint64_t)p->kind + 31 * (uint64_t)p->width;
}

static void a_page_follows_from_its_number(void) {
    enum { PAGES = 24 };
    struct maker one, two, other;
    struct training_mix mix = MIX;
    uint64_t hashes[PAGES];
    mix.seed++;
    if (!maker_open(&one, &MIX, texts, TEXTS) || !maker_open(&two, &MIX, texts, TEXTS) ||
        !maker_open(&other, &mix, texts, TEXTS)) {
        return;
    }
    int alike = 0;
    for (int i = 0; i < PAGES; i++) {
        struct read_page page = make_page(&one, (uint64_t)i, READ_TINY);
        hashes[i] = hash_page(&page);
        for (int k = 0; k < i; k++) {
            CHECK(hashes[k] != hashes[i]);
        }
        page = make_page(&other, (uint64_t)i, READ_TINY);
        alike += hash_page(&page) == hashes[i];
    }
    for (int i = PAGES - 1; i >= 0; i--) { /* whatever came before it */
        struct read_page page = make_page(&two, (uint64_t)i, READ_TINY);
        CHECK(hash_page(&page) == hashes[i]);
    }
    CHECK_NUMBER(alike, 0);
    maker_close(&one);
    maker_close(&two);
    maker_close(&other);
}

static void a_pair_is_of_one_kind_and_shares_hold(void) {
    enum { PAGES = 500 };
    struct maker m;
    int kinds[READ_KINDS] = {0}, before = 0, other = 0, characters = 0;
    if (!maker_open(&m, &MIX, texts, TEXTS)) {
        return;
    }
    for (int i = 0; i < PAGES; i++) {
        struct read_page page = make_page(&m, (uint64_t)i, READ_TINY);
        CHECK(page.kind >= 0 && page.kind < READ_KINDS && m.source.kinds[page.kind] != NULL);
        CHECK(i % 2 == 0 || page.kind == before);
        CHECK(page.height % CELL == 0 && page.height <= page.width && page.height >= CELL);
        before = page.kind;
        kinds[page.kind]++;
        for (size_t k = 0; k < page.label_count; k++) {
            other += page.labels[k].class_index == ALPHABET_OTHER;
        }
        characters += (int)page.label_count;
    }
    double samples = 0, strings = 0, cells = 0;
    for (int i = 0; i < READ_KINDS; i++) {
        const char *name = m.source.kinds[i];
        samples += name != NULL && strstr(name, "-samples") != NULL ? kinds[i] : 0;
        strings += name != NULL && strstr(name, "-random") != NULL ? kinds[i] : 0;
        cells += name != NULL && strncmp(name, "cell", 4) == 0 ? kinds[i] : 0;
    }
    printf("# samples %.3f, random %.3f, cells %.3f; outside the alphabet %.4f\n", samples / PAGES,
           strings / PAGES, cells / PAGES, (double)other / characters);
    CHECK_NEAR(samples / PAGES, 0.4, 0.1);
    CHECK_NEAR(strings / PAGES, 0.2, 0.08);
    CHECK_NEAR(cells / PAGES, 0.8, 0.08);
    CHECK_NEAR((double)other / characters, 0.03, 0.015);
    maker_close(&m);
}

/* With a share of its own each material stands alone. */
static void shares_of_one_are_kept(void) {
    static const struct {
        double samples, random;
        const char *kind;
    } CASES[] = {{1, 0, "cell10-samples"},
                 {1, 1, "cell10-samples"},
                 {0, 1, "cell10-random"},
                 {0, 0, "cell10"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct maker m;
        struct training_mix mix = {.profiles = {[PROFILE_CELL10] = 1},
                                   .samples = CASES[i].samples,
                                   .random = CASES[i].random};
        if (!maker_open(&m, &mix, texts, TEXTS)) {
            return;
        }
        for (uint64_t n = 0; n < 6; n++) {
            struct read_page page = make_page(&m, n, READ_TINY);
            CHECK_TEXT(m.source.kinds[page.kind], CASES[i].kind);
        }
        maker_close(&m);
    }
}

/* At the beginning of a run: ASCII in the first profile, made of nothing but text and strings. */
static void simple_pages_are_ascii(void) {
    struct maker m;
    struct training_mix mix = MIX;
    mix.simple = 0.5;
    if (!maker_open(&m, &mix, texts, 1)) {
        return;
    }
    for (uint64_t n = 0; n < 30; n++) {
        struct read_page page;
        const struct read_request request = {.size = READ_TINY, .number = n, .pair = n / 2};
        CHECK_NUMBER(m.source.make(m.generator, &request, &page, NULL), 0);
        CHECK(strncmp(m.source.kinds[page.kind], "read10", 6) == 0);
        size_t others = 0;
        for (size_t k = 0; k < page.label_count; k++) {
            others += (unsigned char)alphabet_text(alphabet, page.labels[k].class_index)[0] >= 0x80;
        }
        CHECK(page.label_count > 0 && others * 50 <= page.label_count);
    }
    maker_close(&m);
}

/* Below and beside them. */
static void pages_with_pictures_have_text(void) {
    struct maker m;
    struct training_mix mix = MIX;
    mix.pictures = 1;
    mix.profiles[PROFILE_CLEAR] = 3; /* has margins */
    if (!maker_open(&m, &mix, texts, TEXTS)) {
        return;
    }
    for (uint64_t n = 0; n < 60; n++) {
        struct read_page page = make_page(&m, n, READ_TINY);
        CHECK(page.label_count > 0);
    }
    maker_close(&m);
}

static void a_crop_is_whole_cells(void) {
    struct maker m;
    int low = 0;
    if (!maker_open(&m, &MIX, texts, TEXTS)) {
        return;
    }
    for (uint64_t n = 0; n < 40; n++) {
        struct read_page page = make_page(&m, n, READ_CROP);
        CHECK_NUMBER(page.width, PAGE_SIZES[MODE_TINY].side);
        CHECK(page.height % CELL == 0 && page.height >= CELL && page.height <= page.width);
        low += page.height < page.width;
        for (size_t k = 0; k < page.label_count; k++) {
            CHECK(page.labels[k].row < page.height / READING_ROW &&
                  page.labels[k].column < page.width / READING_COLUMN);
        }
    }
    CHECK(low > 0);
    maker_close(&m);
}

/* ---- What they are made of ------------------------------------------------------------------- */

static bool is_letter(const char *text) {
    uint32_t c;
    bool valid;
    size_t size = strlen(text);
    return utf8_decode(text, size, &c, &valid) == size && valid && u_isalpha((UChar32)c) &&
           c != 0xB5; /* the sign for a millionth is of no script */
}

/* On pages of samples in English: letters that English has not, between letters. */
static void every_letter_is_seen_within_words(void) {
    struct maker m;
    const struct training_mix mix = {.profiles = {[PROFILE_CELL10] = 1}, .samples = 1};
    int first, end, within = 0, all = 0, seen_count = 0;
    bool seen[4096] = {false};
    if (!maker_open(&m, &mix, texts, 1)) {
        return;
    }
    alphabet_range(ALPHABET_LATIN, &first, &end);
    for (uint64_t n = 0; n < 60; n++) {
        struct read_page page = make_page(&m, n, READ_BASE);
        for (size_t k = 1; k + 1 < page.label_count; k++) {
            const struct read_label *l = &page.labels[k];
            bool inside = l[-1].row == l->row && l[1].row == l->row &&
                          is_letter(alphabet_text(alphabet, l[-1].class_index)) &&
                          is_letter(alphabet_text(alphabet, l[1].class_index));
            bool foreign = l->class_index >= first && l->class_index < end &&
                           is_letter(alphabet_text(alphabet, l->class_index));
            all += inside;
            within += inside && foreign;
            seen[l->class_index] = seen[l->class_index] || (inside && foreign);
        }
    }
    int letters = 0;
    for (int i = first; i < end; i++) {
        letters += is_letter(alphabet_text(alphabet, i));
        seen_count += seen[i];
    }
    printf("# %d of %d letters, %.4f of those within words\n", seen_count, letters,
           (double)within / all);
    CHECK_NEAR((double)within / all, 0.004, 0.002);
    CHECK(seen_count >= letters * 98 / 100);
    maker_close(&m);
}

static void a_letter_becomes_any_of_its_script(void) {
    static const char *const WORDS[] = {"word", "слово", "λέξη"};
    static const int PARTS[][2] = {{ALPHABET_LATIN, ALPHABET_VIETNAMESE},
                                   {ALPHABET_CYRILLIC, ALPHABET_CYRILLIC},
                                   {ALPHABET_GREEK, ALPHABET_GREEK}};
    struct text_files files;
    struct letters *letters;
    uint64_t random = 1;
    CHECK_NUMBER(text_files_open(&files, texts, TEXTS, alphabet, NULL), 0);
    CHECK_NUMBER(letters_open(&letters, alphabet, &files, NULL), 0);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        int seen[4096] = {0};
        for (int n = 0; n < 20000; n++) {
            struct bytes out;
            bytes_init(&out, 256);
            CHECK(letters_put_word(letters, &out, WORDS[i], strlen(WORDS[i]), &random, NULL) == 0);
            for (size_t at = 0, used; at < out.size; at += used) {
                seen[alphabet_next(alphabet, bytes_text(&out) + at, out.size - at, &used)]++;
            }
            bytes_close(&out);
        }
        CHECK_NUMBER(seen[ALPHABET_OTHER], 0);
        for (int part = PARTS[i][0]; part <= PARTS[i][1]; part++) {
            int first, end;
            alphabet_range((enum alphabet_part)part, &first, &end);
            for (int k = first; k < end; k++) {
                CHECK(!is_letter(alphabet_text(alphabet, k)) || seen[k] > 10);
            }
        }
    }
    letters_close(letters);
    text_files_close(&files);
}

static void emoji_come_by_how_much_they_are_used(void) {
    enum { DRAWS = 60000, SOME = 50 };
    struct text_files files;
    struct letters *letters;
    int first, end, often = 0, seldom = 0;
    int *seen = calloc((size_t)alphabet_count(alphabet), sizeof *seen);
    uint64_t random = 1;
    CHECK_NUMBER(text_files_open(&files, texts, TEXTS, alphabet, NULL), 0);
    CHECK_NUMBER(letters_open(&letters, alphabet, &files, NULL), 0);
    for (int i = 0; i < DRAWS; i++) {
        struct bytes out;
        bytes_init(&out, 256);
        CHECK(letters_put_emoji(letters, &out, &random, NULL) == 0);
        seen[alphabet_find(alphabet, bytes_text(&out), out.size)]++;
        bytes_close(&out);
    }
    alphabet_range(ALPHABET_EMOJI, &first, &end);
    CHECK_NUMBER(seen[ALPHABET_OTHER], 0); /* a skin tone is folded away */
    for (int i = first; i < end; i++) {
        CHECK(seen[i] > 5);
        often += i < first + SOME ? seen[i] : 0;
        seldom += i >= end - SOME ? seen[i] : 0;
    }
    CHECK(often > 4 * seldom);
    free(seen);
    letters_close(letters);
    text_files_close(&files);
}

static void the_strange_is_outside_the_alphabet(void) {
    struct text_files files;
    struct letters *letters;
    uint64_t random = 1;
    int chinese = 0, arabic = 0, thai = 0, characters = 0;
    CHECK_NUMBER(text_files_open(&files, texts, TEXTS, alphabet, NULL), 0);
    CHECK_NUMBER(letters_open(&letters, alphabet, &files, NULL), 0);
    for (int n = 0; n < 3000; n++) {
        struct bytes out;
        bytes_init(&out, 256);
        CHECK(letters_put_strange(letters, &out, 8, &random, NULL) == 0);
        for (size_t at = 0, used; at < out.size; at += used) {
            uint32_t c;
            bool valid;
            used = utf8_decode(bytes_text(&out) + at, out.size - at, &c, &valid);
            CHECK(valid && alphabet_find(alphabet, bytes_text(&out) + at, used) == ALPHABET_OTHER);
            chinese += c >= 0x4E00 && c < 0xA000;
            arabic += c >= 0x600 && c < 0x700;
            thai += c >= 0xE00 && c < 0xE80;
            characters++;
        }
        bytes_close(&out);
    }
    CHECK(characters > 3000 && chinese > 300 && arabic > 100 && thai > 50);
    letters_close(letters);
    text_files_close(&files);
}

/* Of a file that the alphabet lacks: a hundredth of what is chosen, and words of what is strange.
 */
static void a_strange_text_is_seldom_chosen(void) {
    static char zh[] = TEST_FOLDER "/golden/texts/zh-Hans.txt";
    char *const paths[] = {en, zh, ru};
    struct text_files files;
    struct letters *letters;
    uint64_t random = 1;
    int chosen = 0, common = 0;
    CHECK_NUMBER(text_files_open(&files, paths, 3, alphabet, NULL), 0);
    CHECK_NUMBER(letters_open(&letters, alphabet, &files, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        chosen += text_files_choose(&files, &random) == &files.list[1];
        CHECK(text_files_choose_strange(&files, &random) == &files.list[1]);
    }
    CHECK_NEAR(chosen, 200, 60);
    for (int i = 0; i < 1000; i++) {
        struct bytes out;
        bytes_init(&out, 256);
        CHECK(letters_put_strange(letters, &out, 4, &random, NULL) == 0);
        /* zeros follow the mapped text */
        common += out.size >= 3 && strstr(files.list[1].data, bytes_text(&out)) != NULL;
        bytes_close(&out);
    }
    CHECK_NEAR(common, 550, 100);
    letters_close(letters);
    text_files_close(&files);
    CHECK_NUMBER(text_files_open(&files, paths + 1, 1, alphabet, NULL), 0); /* there is no other */
    CHECK(text_files_choose(&files, &random) == &files.list[0]);
    text_files_close(&files);
    CHECK_NUMBER(text_files_open(&files, paths, 1, alphabet, NULL), 0);
    CHECK(text_files_choose_strange(&files, &random) == NULL);
    text_files_close(&files);
}

/* As `occ ingest` has them, so that the layout shows all. */
static void a_clip_has_what_samples_have(void) {
    struct text_files files;
    struct letters *letters;
    struct clip_maker *maker;
    uint64_t random = 3;
    int scripts = 0, comments = 0, thumbs = 0;
    CHECK_NUMBER(text_files_open(&files, texts, TEXTS, alphabet, NULL), 0);
    CHECK_NUMBER(letters_open(&letters, alphabet, &files, NULL), 0);
    CHECK_NUMBER(clip_maker_open(&maker, &files, letters, NULL), 0);
    for (int i = 0; i < 100; i++) {
        struct stream_sample sample;
        CHECK_NUMBER(clip_make(maker, &files.list[0], 600, i % 2 == 0, &random, &sample, NULL), 0);
        const struct stream_member *member = stream_member_find(&sample, "json");
        json_t *about = member != NULL ? json_read(member->data, member->size, NULL, NULL) : NULL;
        CHECK(member == &sample.members[0]);
        CHECK(json_get_text(about, "account") != NULL &&
              json_get_text(about, "description") != NULL);
        json_decref(about);
        scripts += stream_member_find(&sample, "script.json") != NULL;
        comments += stream_member_find(&sample, "comments.json") != NULL;
        member = stream_member_find(&sample, "000.jpg");
        CHECK((member != NULL) == (i % 2 == 0));
        thumbs += member != NULL && memcmp(member->data, "\xFF\xD8\xFF", 3) == 0;
    }
    CHECK(scripts > 60 && scripts < 100 && comments > 60 && comments < 100);
    CHECK_NUMBER(thumbs, 50);
    clip_maker_close(maker);
    letters_close(letters);
    text_files_close(&files);
}

/* Numbers as long as one another, prices with and without cents, ... : no two alike in a row. */
static void facts_differ(void) {
    int (*const puts[])(struct bytes *, uint64_t *, struct error *) = {
        fact_put,     fact_put_string, fact_put_price, fact_put_count,
        fact_put_url, fact_put_code,   fact_put_name};
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof puts / sizeof *puts; i++) {
        char last[256] = "";
        int alike = 0;
        for (int n = 0; n < 500; n++) {
            struct bytes out;
            bytes_init(&out, sizeof last - 1);
            CHECK_NUMBER(puts[i](&out, &random, NULL), 0);
            CHECK(out.size > 0 && utf8_is_valid(bytes_text(&out), out.size));
            CHECK(strchr(bytes_text(&out), '\n') == NULL);
            alike += strcmp(last, bytes_text(&out)) == 0;
            memcpy(last, bytes_text(&out), out.size + 1);
            bytes_close(&out);
        }
        CHECK(alike < 15);
    }
}

int main(void) {
    struct error e = {0};
    if (alphabet_open(&alphabet, &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(a_page_follows_from_its_number);
    RUN(a_pair_is_of_one_kind_and_shares_hold);
    RUN(shares_of_one_are_kept);
    RUN(simple_pages_are_ascii);
    RUN(pages_with_pictures_have_text);
    RUN(a_crop_is_whole_cells);
    RUN(every_letter_is_seen_within_words);
    RUN(a_letter_becomes_any_of_its_script);
    RUN(emoji_come_by_how_much_they_are_used);
    RUN(the_strange_is_outside_the_alphabet);
    RUN(a_strange_text_is_seldom_chosen);
    RUN(a_clip_has_what_samples_have);
    RUN(facts_differ);
    alphabet_close(alphabet);
    return test_finish();
}
