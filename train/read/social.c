/* social.c - see social.h. */
#include "train/read/social.h"

#include <string.h>

#include "render/text/character.h"
#include "store/random.h"
#include "store/utf8.h"
#include "train/read/facts.h"

enum { WORDS_LIMIT = 1 << 20 };
#define COUNT(list) ((int64_t)(sizeof(list) / sizeof *(list)))
#define CHOOSE(list, random) ((list)[random_below(random, COUNT(list))])

void social_init(struct social *s, const struct text_files *texts, const struct letters *letters) {
    *s = (struct social){.texts = texts, .letters = letters};
    bytes_init(&s->words, WORDS_LIMIT);
}

void social_close(struct social *s) {
    bytes_close(&s->words);
}

void voice_begin(struct voice *v, const struct social *s, const struct text_file *text,
                 uint64_t *random) {
    static const double STYLES[VOICE_STYLES] = {
        [VOICE_PLAIN] = 5, [VOICE_LOWER] = 2.5, [VOICE_BARE] = 1.5, [VOICE_UPPER] = 1};
    enum { ELSEWHERE = 8 /* one of so many writes something else */ };
    bool other = random_below(random, ELSEWHERE) == 0;
    *v = (struct voice){.text = other ? text_files_choose(s->texts, random) : text,
                        .style = (enum voice_style)random_choice(random, STYLES, VOICE_STYLES),
                        .emoji = random_unit(random) * random_unit(random) * 0.5,
                        .facts = random_unit(random) * random_unit(random) * 0.15,
                        .marks = random_unit(random) * 0.12,
                        .accented = 0.05,
                        .strange = random_below(random, 3) == 0 ? 0.1 : 0.005};
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* With a stroke through each character. */
static int put_struck(struct bytes *out, const char *word, size_t size, struct error *e) {
    int rc = 0;
    for (size_t at = 0, length; at < size && rc == 0; at += length) {
        uint32_t c;
        bool valid;
        length = utf8_decode(word + at, size - at, &c, &valid);
        rc = bytes_append(out, word + at, length, e);
        rc = rc == 0 ? bytes_append_text(out, "\xCC\xB6", e) : rc;
    }
    return rc;
}

/* As a voice writes it: `v`'s style, or now and then in capitals; without punctuation. */
static int put_styled(struct social *s, struct bytes *out, const struct voice *v, const char *word,
                      size_t size, uint64_t *random, struct error *e) {
    enum { SHOUTED = 30, STRETCHED = 100, STRUCK = 250 /* one of so many */ };
    enum voice_style style = random_below(random, SHOUTED) == 0 ? VOICE_UPPER : v->style;
    if (v->style == VOICE_BARE) {
        while (size > 1 && (unsigned char)word[size - 1] < 0x80 &&
               character_is_punctuation((unsigned char)word[size - 1])) {
            size--;
        }
    }
    if (random_below(random, STRUCK) == 0) {
        return put_struck(out, word, size, e);
    }
    if (style == VOICE_UPPER) {
        return text_upper(out, word, size, e);
    }
    if (random_unit(random) < v->accented) {
        return letters_put_word(s->letters, out, word, size, random, e);
    }
    int rc =
        style == VOICE_PLAIN ? bytes_append(out, word, size, e) : text_lower(out, word, size, e);
    if (rc == 0 && (unsigned char)word[size - 1] < 0x80 && random_below(random, STRETCHED) == 0) {
        for (int64_t i = 1 + random_below(random, 4); i > 0 && rc == 0; i--) { /* sooo */
            rc = bytes_append(out, word + size - 1, 1, e);
        }
    }
    return rc;
}

/* Emoji: stuck to what is there or after a space; one, the same again, or different ones. */
static int put_emoji(struct social *s, struct bytes *out, bool first, uint64_t *random,
                     struct error *e) {
    enum { MOST = 5 };
    static const double COUNTS[MOST] = {10, 2, 2, 1, 0.5};
    bool spaced = !first && random_below(random, 4) > 0, same = random_below(random, 2) == 0;
    int rc = spaced ? bytes_append(out, " ", 1, e) : 0;
    char text[ALPHABET_TEXT + 4] = ""; /* with a skin tone */
    for (int i = 1 + random_choice(random, COUNTS, MOST); i > 0 && rc == 0; i--) {
        size_t before = out->size;
        rc = same && text[0] != '\0' ? bytes_append_text(out, text, e)
                                     : letters_put_emoji(s->letters, out, random, e);
        if (rc == 0 && text[0] == '\0' && out->size - before < sizeof text) {
            memcpy(text, out->data + before, out->size - before + 1);
        }
    }
    return rc;
}

/* What stands between words for itself. */
static int put_between(struct bytes *out, uint64_t *random, struct error *e) {
    static const char *const SIGNS[] = {
        "·",   "·",    "·",  "–",      "–",   "—", "—",  "•", "•", "|", "|", "/",
        "-",   "...",  "…",  "…",      "→",   "➜", "->", "=", "+", "&", "*", ":",
        "★",   "♥",    "✓",  "✔️", "№",   ">", "<",  "~", "x", "I", "I", "I'm",
        "I’m", "I'll", "AI", "II",     "III", "l", "1",  "0", "O", "A", "a", "y"};
    return bytes_append_text(out, CHOOSE(SIGNS, random), e);
}

struct quotes {
    const char *open, *close;
};
static const struct quotes QUOTES[] = {
    {"“", "”"}, {"„", "“"}, {"«", "»"}, {"« ", " »"}, {"\"", "\""}, {"‘", "’"},  {"'", "'"},
    {"(", ")"}, {"[", "]"}, {"‹", "›"}, {"*", "*"},   {"„", "”"},   {"“", "”"},  {"«", "»"},
    {"{", "}"}, {"(", ")"}, {"_", "_"}, {"<", ">"},   {"~", "~"},   {"**", "**"}};

/* After a space, or stuck to what is there. */
static int put_strange(struct social *s, struct bytes *out, uint64_t *random, struct error *e) {
    enum { LONGEST = 8, STUCK = 4 /* one of so many */ };
    int rc = random_below(random, STUCK) > 0 ? bytes_append(out, " ", 1, e) : 0;
    return rc == 0 ? letters_put_strange(s->letters, out, LONGEST, random, e) : rc;
}

/* What follows a word and is no word: facts, emoji, signs, other scripts. */
static int put_extra(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                     struct error *e) {
    static const char *const ENDS[] = {"!",   "!!", "!!!", "?", "??", "?!",
                                       "...", "…",  "..",  ",", ";",  "."};
    int rc = 0;
    if (random_unit(random) < v->marks * 0.3) {
        rc = bytes_append_text(out, CHOOSE(ENDS, random), e);
    }
    if (rc == 0 && random_unit(random) < v->emoji) {
        rc = put_emoji(s, out, false, random, e);
    }
    if (rc == 0 && random_unit(random) < v->facts) {
        rc = bytes_append(out, " ", 1, e);
        rc = rc == 0 ? fact_put(out, random, e) : rc;
    }
    if (rc == 0 && random_unit(random) < v->marks) {
        rc = bytes_append(out, " ", 1, e);
        rc = rc == 0 ? put_between(out, random, e) : rc;
    }
    return rc == 0 && random_unit(random) < v->strange ? put_strange(s, out, random, e) : rc;
}

int social_line(struct social *s, struct bytes *out, const struct voice *v, int words,
                uint64_t *random, struct error *e) {
    const struct quotes *quotes = NULL;
    bytes_clear(&s->words);
    int rc = text_words(&s->words, v->text, words, random, e);
    const char *at = bytes_text(&s->words), *end = at + s->words.size;
    for (bool first = true; at < end && rc == 0; first = false) {
        size_t size = strcspn(at, " ");
        size = at + size < end ? size : (size_t)(end - at);
        rc = first ? 0 : bytes_append_text(out, random_below(random, 80) == 0 ? "  " : " ", e);
        if (rc == 0 && quotes == NULL && random_unit(random) < v->marks * 0.5) {
            quotes = &CHOOSE(QUOTES, random);
            rc = bytes_append_text(out, quotes->open, e);
        }
        if (rc == 0) {
            rc = put_styled(s, out, v, at, size, random, e);
        }
        at += size + 1;
        if (rc == 0 && quotes != NULL && (random_below(random, 3) == 0 || at >= end)) {
            rc = bytes_append_text(out, quotes->close, e);
            quotes = NULL;
        }
        if (rc == 0) {
            rc = put_extra(s, out, v, random, e);
        }
    }
    return rc;
}

int social_speech(struct social *s, struct bytes *out, const struct voice *v, int words,
                  uint64_t *random, struct error *e) {
    bytes_clear(&s->words);
    int rc = text_words(&s->words, v->text, words, random, e);
    const char *at = bytes_text(&s->words), *end = at + s->words.size;
    for (bool first = true; at < end && rc == 0; first = false) {
        size_t size = strcspn(at, " ");
        size = at + size < end ? size : (size_t)(end - at);
        rc = first ? 0 : bytes_append(out, " ", 1, e);
        if (rc == 0) {
            rc = random_unit(random) < v->accented
                     ? letters_put_word(s->letters, out, at, size, random, e)
                     : bytes_append(out, at, size, e);
        }
        if (rc == 0 && random_unit(random) < v->strange) {
            rc = put_strange(s, out, random, e);
        }
        at += size + 1;
    }
    return rc;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* A word of the text without its case and all but letters and digits. */
static int put_bare_word(struct social *s, struct bytes *out, const struct voice *v, bool lower,
                         bool ascii, uint64_t *random, struct error *e) {
    bytes_clear(&s->words);
    int rc = text_words(&s->words, v->text, 1, random, e);
    size_t before = out->size;
    for (size_t at = 0; at < s->words.size && rc == 0;) {
        uint32_t c;
        bool valid;
        char letter[4];
        const char *text = bytes_text(&s->words);
        at += utf8_decode(text + at, s->words.size - at, &c, &valid);
        if (valid && (character_is_letter(c) || character_is_digit(c)) && (!ascii || c < 0x80)) {
            c = lower ? character_lower(c) : c;
            rc = bytes_append(out, letter, utf8_encode(c, letter), e);
        }
    }
    return rc == 0 && out->size == before ? fact_put_name(out, random, e) : rc;
}

int social_handle(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                  struct error *e) {
    static const char *const BETWEEN[] = {"_", ".", "", "__", "-", ".", "_"};
    if (random_below(random, 2) == 0) {
        return fact_put_name(out, random, e);
    }
    bool lower = random_below(random, 4) > 0;
    int rc = put_bare_word(s, out, v, lower, true, random, e);
    if (rc == 0 && random_below(random, 2) == 0) {
        rc = bytes_append_text(out, CHOOSE(BETWEEN, random), e);
        rc = rc == 0 ? put_bare_word(s, out, v, lower, true, random, e) : rc;
    }
    return rc == 0 && random_below(random, 3) == 0
               ? bytes_printf(out, e, "%d", (int)fact_number(4, random))
               : rc;
}

int social_name(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                struct error *e) {
    if (random_below(random, 2) == 0) {
        return social_handle(s, out, v, random, e);
    }
    int rc = put_bare_word(s, out, v, false, false, random, e);
    if (rc == 0 && random_below(random, 2) == 0) {
        rc = bytes_append(out, " ", 1, e);
        rc = rc == 0 ? put_bare_word(s, out, v, false, false, random, e) : rc;
    }
    return rc == 0 && random_below(random, 6) == 0 ? put_emoji(s, out, false, random, e) : rc;
}

int social_hashtag(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                   struct error *e) {
    static const char *const COMMON[] = {"fyp", "foryou", "viral", "DIY", "2026", "fypシ", "asmr"};
    if (random_below(random, 8) == 0) {
        return bytes_append_text(out, CHOOSE(COMMON, random), e);
    }
    int rc = 0;
    bool lower = random_below(random, 4) > 0;
    for (int64_t i = 1 + random_below(random, 2); i > 0 && rc == 0; i--) {
        rc = put_bare_word(s, out, v, lower, false, random, e);
    }
    return rc == 0 && random_below(random, 10) == 0
               ? bytes_printf(out, e, "%d", (int)fact_number(3, random))
               : rc;
}

/* ---- Comments -------------------------------------------------------------------------------- */

static int put_many_emoji(struct social *s, struct bytes *out, uint64_t *random, struct error *e) {
    int rc = 0;
    for (int64_t i = 1 + random_below(random, 4); i > 0 && rc == 0; i--) {
        rc = put_emoji(s, out, true, random, e);
    }
    return rc;
}

static int put_mention(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                       struct error *e) {
    int rc = bytes_append(out, "@", 1, e);
    rc = rc == 0 ? social_handle(s, out, v, random, e) : rc;
    return rc == 0 ? bytes_append(out, " ", 1, e) : rc;
}

/* Some words of another script. */
static int put_foreign(struct social *s, struct bytes *out, uint64_t *random, struct error *e) {
    enum { LONGEST = 14 };
    int rc = 0;
    for (int64_t i = 1 + random_below(random, 5); i > 0 && rc == 0; i--) {
        rc = letters_put_strange(s->letters, out, LONGEST, random, e);
        if (rc == 0 && i > 1) {
            rc = bytes_append(out, " ", 1, e);
        }
    }
    return rc == 0 && random_below(random, 2) == 0 ? put_emoji(s, out, false, random, e) : rc;
}

int social_comment(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                   struct error *e) {
    enum { WORDS, SHORT, EMOJI, FACT, FOREIGN, FORMS };
    static const double SHARES[FORMS] = {
        [WORDS] = 10, [SHORT] = 5, [EMOJI] = 1.5, [FACT] = 1, [FOREIGN] = 1};
    int rc = random_below(random, 6) == 0 ? put_mention(s, out, v, random, e) : 0;
    if (rc < 0) {
        return rc;
    }
    switch (random_choice(random, SHARES, FORMS)) {
    case EMOJI:
        return put_many_emoji(s, out, random, e);
    case FACT:
        return fact_put(out, random, e);
    case FOREIGN:
        return put_foreign(s, out, random, e);
    case SHORT:
        return social_line(s, out, v, 1 + (int)random_below(random, 4), random, e);
    default:
        return social_line(s, out, v, 2 + (int)random_below(random, 28), random, e);
    }
}
