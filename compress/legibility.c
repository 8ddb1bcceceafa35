/* legibility.c - see legibility.h. */
#include "compress/legibility.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/log.h"
#include "store/utf8.h"

enum { EXAMPLES = 6 };

static void count(struct legibility_pages *p, bool worse, double value, const char *key, int page) {
    if (p->count++ == 0 || worse) {
        p->value = value;
        p->page = page;
        snprintf(p->key, sizeof p->key, "%s", key);
    }
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* White space. What draws nothing at all is ALPHABET_NOTHING before. */
static bool is_blank(uint32_t c) {
    return c <= ' ' || c == 0x7F || c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Shows a character by its number and, unless that could confuse a terminal, itself. */
static void show(char *examples, size_t room, uint32_t c, const char *text, size_t size) {
    char code[16];
    size_t used = strlen(examples);
    bool plain = c >= 0xA0 && !(c >= 0x300 && c <= 0x36F) && !(c >= 0xD800 && c <= 0xF8FF);
    snprintf(code, sizeof code, "U+%04" PRIX32, c);
    if (strstr(examples, code) == NULL) {
        snprintf(examples + used, room - used, "%s%s%s%.*s", used > 0 ? ", " : "", code,
                 plain ? " " : "", plain ? (int)size : 0, text);
    }
}

void legibility_text(struct legibility *l, const struct alphabet *a, const char *key, int page,
                     const char *text, size_t size) {
    int64_t characters = 0, outside = 0, shown = 0;
    char examples[sizeof l->examples] = "";
    for (size_t at = 0; a != NULL && at < size;) {
        size_t step;
        int index = alphabet_next(a, text + at, size - at, &step);
        if (index == ALPHABET_NOTHING) {
            at += step;
            continue;
        }
        if (index == ALPHABET_OTHER) {
            uint32_t c;
            bool valid;
            utf8_decode(text + at, size - at, &c, &valid);
            if (is_blank(c)) {
                at += step;
                continue;
            }
            outside++;
            if (shown < EXAMPLES) {
                size_t before = strlen(examples);
                show(examples, sizeof examples, c, text + at, valid ? step : 0);
                shown += strlen(examples) > before;
            }
        }
        characters++;
        at += step;
    }
    double share = characters > 0 ? (double)outside / (double)characters : 0;
    if (share > LEGIBILITY_OUTSIDE) {
        bool worse = share > l->outside.value;
        if (l->outside.count == 0 || worse) {
            memcpy(l->examples, examples, sizeof l->examples);
        }
        count(&l->outside, worse, share, key, page);
    }
}

/* ---- Readings ------------------------------------------------------------------------------ */

void legibility_read(struct legibility *l, const char *key, int page,
                     const struct readback_page *read) {
    double confidence = read->characters > 0 ? read->confidence : 0;
    if (confidence < LEGIBILITY_CONFIDENCE) {
        count(&l->doubtful, confidence < l->doubtful.value, confidence, key, page);
    }
}

/* ---- Sums ---------------------------------------------------------------------------------- */

static bool add(struct legibility_pages *sum, const struct legibility_pages *part, bool worse) {
    bool taken = part->count > 0 && (sum->count == 0 || worse);
    int64_t total = sum->count + part->count;
    if (taken) {
        *sum = *part;
    }
    sum->count = total;
    return taken;
}

void legibility_add(struct legibility *sum, const struct legibility *part) {
    if (add(&sum->outside, &part->outside, part->outside.value > sum->outside.value)) {
        memcpy(sum->examples, part->examples, sizeof sum->examples);
    }
    add(&sum->doubtful, &part->doubtful, part->doubtful.value < sum->doubtful.value);
}

void legibility_warn(const struct legibility *l) {
    const struct legibility_pages *o = &l->outside, *d = &l->doubtful;
    if (o->count > 0) {
        log_warning("%" PRId64 " pages have more than %.0f%% of characters that the encoder's "
                    "alphabet lacks and that cannot be read back; most: %s page %d, %.1f%% (%s)",
                    o->count, 100 * LEGIBILITY_OUTSIDE, o->key, o->page, 100 * o->value,
                    l->examples);
    }
    if (d->count > 0) {
        log_warning("%" PRId64
                    " pages are read with a confidence below %.2f, so expect wrong text; "
                    "least: %s page %d, %.2f. The encoder reads what 'occ render' drew, pixel for "
                    "pixel, in the profiles and the alphabet that it was trained on: render such "
                    "text anew, or keep the text itself",
                    d->count, LEGIBILITY_CONFIDENCE, d->key, d->page, d->value);
    }
}
