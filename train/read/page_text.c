/* page_text.c - see page_text.h. */
#include "train/read/page_text.h"

#include "store/random.h"
#include "train/read/facts.h"

enum { TEXT_LIMIT = 1 << 24 };

void page_text_init(struct page_text *t, const struct text_files *texts,
                    const struct letters *letters, const struct alphabet *alphabet) {
    *t = (struct page_text){.texts = texts, .letters = letters, .alphabet = alphabet};
    bytes_init(&t->text, TEXT_LIMIT);
    bytes_init(&t->scratch, TEXT_LIMIT);
}

void page_text_close(struct page_text *t) {
    bytes_close(&t->text);
    bytes_close(&t->scratch);
}

/* What is in `scratch` becomes the text. */
static void take_scratch(struct page_text *t) {
    struct bytes text = t->text;
    t->text = t->scratch;
    t->scratch = text;
}

/* ---- Prose ----------------------------------------------------------------------------------- */

/* Whether all but a fiftieth of the text is. */
static bool is_ascii(const struct bytes *text) {
    size_t others = 0;
    for (size_t i = 0; i < text->size; i++) {
        others += text->data[i] >= 0x80;
    }
    return others * 50 <= text->size;
}

static int take_stretch(struct page_text *t, size_t size, uint64_t *random, struct error *e) {
    const struct text_file *f = text_files_choose(t->texts, random);
    size_t at = (size_t)random_below(random, (int64_t)f->size);
    bytes_clear(&t->text);
    return text_stretch(&t->text, f->data, f->size, at, size, e);
}

/* Puts characters outside the alphabet after words. */
static int add_strange(struct page_text *t, uint64_t *random, struct error *e) {
    enum {
        EVERY = 6 /* words */,
        LONGEST = 8,
        APART = 4 /* of so many one is stuck to the word */
    };
    const char *text = bytes_text(&t->text);
    size_t copied = 0;
    int rc = 0;
    bytes_clear(&t->scratch);
    for (size_t i = 1; i < t->text.size && rc == 0; i++) {
        if (text[i] != ' ' || text[i - 1] == ' ' || random_below(random, EVERY) > 0) {
            continue;
        }
        rc = bytes_append(&t->scratch, text + copied, i - copied, e);
        copied = i;
        if (rc == 0 && random_below(random, APART) > 0) {
            rc = bytes_append(&t->scratch, " ", 1, e);
        }
        rc = rc == 0 ? letters_put_strange(t->letters, &t->scratch, LONGEST, random, e) : rc;
    }
    rc = rc == 0 ? bytes_append(&t->scratch, text + copied, t->text.size - copied, e) : rc;
    take_scratch(t);
    return rc;
}

int page_text_prose(struct page_text *t, size_t size, bool flows, bool ascii, uint64_t *random,
                    struct error *e) {
    enum { TRIES = 50 /* to find a text in ASCII */, CAPITALS = 20, STRANGE = 4 /* of so many */ };
    int rc = take_stretch(t, size, random, e);
    for (int i = 0; i < TRIES && ascii && !is_ascii(&t->text) && rc == 0; i++) {
        rc = take_stretch(t, size, random, e);
    }
    if (rc == 0 && flows) {
        text_join_lines(&t->text);
    }
    if (rc < 0 || ascii) {
        return rc;
    }
    if (random_below(random, CAPITALS) == 0) {
        bytes_clear(&t->scratch);
        rc = text_upper(&t->scratch, bytes_text(&t->text), t->text.size, e);
        take_scratch(t);
    }
    return rc == 0 && random_below(random, STRANGE) == 0 ? add_strange(t, random, e) : rc;
}

/* ---- Random strings -------------------------------------------------------------------------- */

static int put_space(struct bytes *out, uint64_t *random, struct error *e) {
    static const double SHARES[] = {90, 4, 6};
    static const char *const SPACES[] = {" ", "  ", "\n"};
    return bytes_append_text(out, SPACES[random_choice(random, SHARES, 3)], e);
}

static int put_word(struct page_text *t, enum text_letters letters, uint64_t *random,
                    struct error *e) {
    enum { WORD, STRING, FACT, OUTSIDE, KINDS };
    static const double SHARES[][KINDS] = {
        [LETTERS_ASCII] = {16, 4, 0, 0}, [LETTERS_ALL] = {14, 2, 3, 4}};
    struct bytes *out = &t->text;
    switch (random_choice(random, SHARES[letters], KINDS)) {
    case STRING:
        return fact_put_string(out, random, e);
    case FACT:
        return fact_put(out, random, e);
    case OUTSIDE:
        return letters_put_strange(t->letters, out, 12, random, e);
    default: {
        int rc = text_random(out, t->alphabet, letters, out->size + 1, random, e);
        out->size -= rc == 0; /* its space */
        return rc;
    }
    }
}

int page_text_random(struct page_text *t, size_t size, enum text_letters letters, bool plain,
                     uint64_t *random, struct error *e) {
    int rc = 0;
    bytes_clear(&t->text);
    if (plain) {
        return text_random(&t->text, t->alphabet, letters, size, random, e);
    }
    while (t->text.size < size && rc == 0) {
        rc = put_word(t, letters, random, e);
        rc = rc == 0 ? put_space(&t->text, random, e) : rc;
    }
    return rc;
}
