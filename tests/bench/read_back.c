/* read_back.c - see read_back.h. */
#include "read_back.h"

#include <leptonica/allheaders.h>
#include <stdlib.h>
#include <string.h>
#include <tesseract/capi.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

enum { BORDER = 8 }; /* pixels of white around, without which tesseract loses rows at the edge */
#define TEXT_LIMIT ((size_t)16 << 20)

void shot_init(struct shot *s) {
    *s = (struct shot){0};
    bytes_init(&s->text, TEXT_LIMIT);
}

void shot_close(struct shot *s) {
    free(s->grey);
    bytes_close(&s->text);
    shot_init(s);
}

void shot_clear(struct shot *s) {
    s->taken = false;
}

int shot_take(void *context, const struct page *page, struct error *e) {
    struct shot *s = context;
    if (s->taken) {
        return 0;
    }
    size_t size = (size_t)page->width * (size_t)page->height;
    uint8_t *grey = realloc(s->grey, size);
    if (!grey) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    memcpy(grey, page->grey, size);
    s->grey = grey;
    s->taken = true;
    s->width = page->width;
    s->height = page->height;
    s->counts = page->counts;
    s->missing = page->missing_count;
    s->bottom = 0;
    s->second = false;
    for (size_t i = 0; i < page->box_count; i++) {
        int bottom = page->boxes[i].y + page->boxes[i].height;
        s->bottom = bottom > s->bottom ? bottom : s->bottom;
        s->second = s->second || page->boxes[i].x >= page->width / 2;
    }
    bytes_clear(&s->text);
    return bytes_append(&s->text, page->text, page->text_size, e);
}

/* ---- Tesseract ------------------------------------------------------------- */

struct reader {
    TessBaseAPI *api;
};

int reader_open(struct reader **out, const char *language, struct error *e) {
    struct reader *r = calloc(1, sizeof *r);
    if (!r) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    r->api = TessBaseAPICreate();
    if (!r->api || TessBaseAPIInit3(r->api, NULL, language) != 0) {
        reader_close(r);
        return error_set(e, ERR_UNSUPPORTED, "tesseract has no language pack %s", language);
    }
    TessBaseAPISetPageSegMode(r->api, PSM_SINGLE_BLOCK);
    (void)TessBaseAPISetVariable(r->api, "debug_file", "/dev/null");
    *out = r;
    return 0;
}

void reader_close(struct reader *r) {
    if (r) {
        if (r->api) {
            TessBaseAPIDelete(r->api);
        }
        free(r);
    }
}

static PIX *enlarged(const struct shot *s, int x0, int x1, struct view view) {
    int bottom = s->bottom < s->height ? s->bottom : s->height;
    int height = view.gap > 0 ? bottom + bottom / view.pitch * view.gap : bottom;
    PIX *small = pixCreate(x1 - x0 + 2 * BORDER, height + 2 * BORDER, 8);
    if (!small) {
        return NULL;
    }
    (void)pixSetAll(small);
    for (int y = 0; y < bottom; y++) {
        int target = view.gap > 0 ? y + y / view.pitch * view.gap : y;
        l_uint32 *line = pixGetData(small) + (size_t)(target + BORDER) * (size_t)pixGetWpl(small);
        for (int x = x0; x < x1; x++) {
            SET_DATA_BYTE(line, x - x0 + BORDER, s->grey[(size_t)y * (size_t)s->width + (size_t)x]);
        }
    }
    PIX *large = pixScale(small, (float)view.scale, (float)view.scale);
    pixDestroy(&small);
    return large;
}

int reader_read(struct reader *r, const struct shot *s, int x0, int x1, struct view view,
                struct bytes *out, struct error *e) {
    PIX *picture = enlarged(s, x0, x1, view);
    if (!picture) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    TessBaseAPISetImage2(r->api, picture);
    TessBaseAPISetSourceResolution(r->api, 72 * view.scale);
    char *text = TessBaseAPIGetUTF8Text(r->api);
    int rc = text ? bytes_append_text(out, text, e)
                  : error_set(e, ERR_UNSUPPORTED, "tesseract gave no text");
    if (text) {
        TessDeleteText(text);
    }
    pixDestroy(&picture);
    return rc;
}

/* ---- Accuracy -------------------------------------------------------------- */

struct letters {
    UChar32 *items; /* owned */
    size_t count;
};

/* 0: to be left out. */
static UChar32 plain_letter(UChar32 c) {
    if ((c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
        (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || c == 0xAD) {
        return 0;
    }
    if (c >= 0x2018 && c <= 0x201B) {
        return '\'';
    }
    if (c >= 0x201C && c <= 0x201F) {
        return '"';
    }
    return c >= 0x2010 && c <= 0x2015 ? '-' : c;
}

static void take_letters(struct letters *l, const UChar *text, int32_t size, bool spaces) {
    bool gap = false;
    for (int32_t i = 0; i < size;) {
        UChar32 c;
        U16_NEXT(text, i, size, c);
        if (u_isUWhiteSpace(c)) {
            gap = true;
            continue;
        }
        c = plain_letter(c);
        if (c == 0) {
            continue;
        }
        if (gap && spaces && l->count > 0) {
            l->items[l->count++] = ' ';
        }
        gap = false;
        l->items[l->count++] = c;
    }
}

static int read_letters(struct letters *l, const struct bytes *text, bool spaces, struct error *e) {
    size_t room = 4 * text->size + 16; /* units: NFC makes no text in UTF-16 longer than that */
    UChar *raw = malloc(room * sizeof *raw), *composed = malloc(room * sizeof *composed);
    *l = (struct letters){.items = malloc(2 * room * sizeof *l->items)};
    int rc = 0;
    if (!raw || !composed || !l->items) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    } else {
        UErrorCode status = U_ZERO_ERROR;
        int32_t size = 0;
        u_strFromUTF8WithSub(raw, (int32_t)room, &size, bytes_text(text), (int32_t)text->size,
                             0xFFFD, NULL, &status);
        const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
        size = unorm2_normalize(nfc, raw, size, composed, (int32_t)room, &status);
        if (U_FAILURE(status)) {
            rc = error_set(e, ERR_FORMAT, "ICU: %s", u_errorName(status));
        } else {
            take_letters(l, composed, size, spaces);
        }
    }
    free(raw);
    free(composed);
    return rc;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* `row` has room for b->count + 1. */
static size_t edit_distance(const struct letters *a, const struct letters *b, size_t *row) {
    for (size_t j = 0; j <= b->count; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a->count; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b->count; j++) {
            size_t replace = corner + (a->items[i - 1] != b->items[j - 1]);
            corner = row[j];
            row[j] = least(replace, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b->count];
}

int read_accuracy(const struct bytes *truth, const struct bytes *seen, bool spaces,
                  double *accuracy, struct error *e) {
    struct letters a = {0}, b = {0};
    int rc = read_letters(&a, truth, spaces, e);
    if (rc == 0) {
        rc = read_letters(&b, seen, spaces, e);
    }
    size_t *row = rc == 0 ? malloc((b.count + 1) * sizeof *row) : NULL;
    if (rc == 0 && !row) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    }
    if (rc == 0) {
        size_t distance = edit_distance(&a, &b, row);
        *accuracy = a.count > distance ? 1 - (double)distance / (double)a.count : 0;
    }
    free(row);
    free(a.items);
    free(b.items);
    return rc;
}
