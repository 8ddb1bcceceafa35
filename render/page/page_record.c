/* page_record.c - see page_record.h. Boxes are many, so JSON is written as it is found out: numbers
 * digit by digit into room that was reserved. */
#include "render/page/page_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "render/text/face.h"
#include "store/array.h"
#include "store/utf8.h"

enum {
    NUMBER_BYTES = 24, /* of the longest int64_t and a separator */
    BOX_BYTES = 192,   /* seven numbers, the name of a part, "replaced" */
    HASH_BYTES = 17,
    SIZE_UNITS = 64, /* of a profile's size, in a pixel */
};

/* A source that a box names. */
struct used_source {
    uint32_t number; /* the caller's, from 1 */
    uint32_t sample; /* its place in `keys` */
};

struct record_sample {
    const char *key;   /* of a sample, the caller's */
    int64_t last_page; /* that has the sample, from 1 */
};

struct page_record {
    struct page_setup setup;
    enum page_format format;
    struct bytes pages; /* written so far, a comma after each */
    int64_t page_count;
    uint32_t *places; /* by the caller's number - 1: 1 + place in `used`, 0: not there */
    size_t place_count;
    struct used_source *used;
    size_t used_count, used_capacity;
    struct record_sample *keys;
    size_t key_count, key_capacity;
    uint64_t hash; /* of the primary font */
    bool has_hash;
};

int page_record_open(struct page_record **out, const struct page_setup *setup,
                     enum page_format format, struct error *e) {
    struct page_record *r = calloc(1, sizeof *r);
    *out = r;
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    r->setup = *setup;
    r->format = format;
    bytes_init(&r->pages, SIZE_MAX / 2);
    return 0;
}

void page_record_close(struct page_record *r) {
    if (r != NULL) {
        bytes_close(&r->pages);
        free(r->places);
        free(r->used);
        free(r->keys);
        free(r);
    }
}

void page_record_clear(struct page_record *r) {
    for (size_t i = 0; i < r->used_count; i++) {
        r->places[r->used[i].number - 1] = 0;
    }
    bytes_clear(&r->pages);
    r->page_count = 0;
    r->used_count = r->key_count = 0;
    r->has_hash = false;
    r->hash = 0;
}

/* ---- JSON ---------------------------------------------------------------------------- */

static char *put_number(char *to, int64_t value) {
    char digits[NUMBER_BYTES];
    int count = 0;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        *to++ = '-';
    }
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

static char *put_text(char *to, const char *text) {
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

/* Any bytes as a JSON string: what is not UTF-8 becomes U+FFFD. */
static int append_string(struct bytes *out, const char *text, struct error *e) {
    size_t size = strlen(text);
    int rc = bytes_append(out, "\"", 1, e);
    for (size_t at = 0; at < size && rc == 0;) {
        size_t from = at;
        bool valid = true;
        while (at < size && valid) {
            uint32_t c;
            size_t step = utf8_decode(text + at, size - at, &c, &valid);
            valid = valid && c >= 0x20 && c != '"' && c != '\\';
            at += valid ? step : 0;
        }
        rc = bytes_append(out, text + from, at - from, e);
        if (rc == 0 && at < size) {
            uint32_t c;
            at += utf8_decode(text + at, size - at, &c, &valid);
            rc = bytes_printf(out, e, "\\u%04x", (unsigned)c);
        }
    }
    return rc == 0 ? bytes_append(out, "\"", 1, e) : rc;
}

/* `before` and the string. */
static int append_named(struct bytes *out, const char *before, const char *text, struct error *e) {
    int rc = bytes_append_text(out, before, e);
    return rc == 0 ? append_string(out, text, e) : rc;
}

static void write_hash(char text[HASH_BYTES], uint64_t hash) {
    snprintf(text, HASH_BYTES, "%016llx", (unsigned long long)hash);
}

/* Takes a final comma away and closes the list. */
static int end_list(struct bytes *out, const char *end, struct error *e) {
    if (out->size > 0 && out->data[out->size - 1] == ',') {
        out->size--;
    }
    return bytes_append_text(out, end, e);
}

/* Takes back what was appended after the first `size` bytes. */
static void cut(struct bytes *out, size_t size) {
    if (out->data != NULL) {
        out->size = size;
        out->data[size] = 0;
    }
}

/* ---- Sources ------------------------------------------------------------------------- */

/* The caller's sources are `count` now. */
static int make_places(struct page_record *r, size_t count, struct error *e) {
    size_t before = r->place_count;
    uint32_t *places = array_grow(r->places, &r->place_count, count, sizeof *places, e);
    if (places == NULL) {
        return ERR_MEMORY;
    }
    memset(places + before, 0, (r->place_count - before) * sizeof *places);
    r->places = places;
    return 0;
}

static int add_key(struct page_record *r, const char *key, struct error *e) {
    struct record_sample *keys =
        array_grow(r->keys, &r->key_capacity, r->key_count + 1, sizeof *keys, e);
    if (keys == NULL) {
        return ERR_MEMORY;
    }
    r->keys = keys;
    r->keys[r->key_count++] = (struct record_sample){.key = key};
    return 0;
}

/* The place of a key; samples follow each other, so it is mostly the last one. */
static int place_key(struct page_record *r, const char *key, uint32_t *place, struct error *e) {
    for (size_t i = r->key_count; i-- > 0;) {
        if (r->keys[i].key == key || strcmp(r->keys[i].key, key) == 0) {
            *place = (uint32_t)i;
            return 0;
        }
    }
    *place = (uint32_t)r->key_count;
    return add_key(r, key, e);
}

/* The place of the caller's source `number`. */
static int place_source(struct page_record *r, const struct page_sources *sources, uint32_t number,
                        uint32_t *place, struct error *e) {
    if (number < 1 || number > sources->count) {
        return error_set(e, ERR_USAGE, "a box of source %u of %zu", (unsigned)number,
                         sources->count);
    }
    if (r->places[number - 1] > 0) {
        *place = r->places[number - 1] - 1;
        return 0;
    }
    struct used_source source = {.number = number};
    int rc = place_key(r, sources->items[number - 1].key, &source.sample, e);
    if (rc < 0) {
        return rc;
    }
    struct used_source *used =
        array_grow(r->used, &r->used_capacity, r->used_count + 1, sizeof *used, e);
    if (used == NULL) {
        return ERR_MEMORY;
    }
    r->used = used;
    *place = (uint32_t)r->used_count;
    r->used[r->used_count++] = source;
    r->places[number - 1] = *place + 1;
    return 0;
}

/* ---- Pages --------------------------------------------------------------------------- */

/* Room for a box or a range, and the place of its source. */
static int begin_place(struct page_record *r, uint32_t source, const struct page_sources *sources,
                       uint32_t *place, struct error *e) {
    int rc = place_source(r, sources, source, place, e);
    return rc == 0 ? bytes_reserve(&r->pages, BOX_BYTES, e) : rc;
}

/* What boxes and ranges end in: `"part",source,start,end],`. */
static char *put_range(char *to, uint8_t part, uint32_t place, uint32_t start, uint32_t end,
                       bool replaced) {
    *to++ = '"';
    to = put_text(to, PAGE_PARTS[part]);
    to = put_text(to, "\",");
    to = put_number(to, place);
    *to++ = ',';
    to = put_number(to, start);
    *to++ = ',';
    to = put_number(to, end);
    to = put_text(to, replaced ? ",\"replaced\"]," : "],");
    *to = 0;
    return to;
}

static int append_box(struct page_record *r, const struct page_box *box,
                      const struct page_sources *sources, struct error *e) {
    uint32_t place = 0;
    int rc = begin_place(r, box->source, sources, &place, e);
    if (rc < 0) {
        return rc;
    }
    char *start = (char *)r->pages.data + r->pages.size, *to = start;
    const int16_t area[] = {box->x, box->y, box->width, box->height};
    *to++ = '[';
    for (size_t i = 0; i < sizeof area / sizeof *area; i++) {
        to = put_number(to, area[i]);
        *to++ = ',';
    }
    to = put_range(to, box->part, place, box->start, box->end, box->replaced);
    r->pages.size += (size_t)(to - start);
    return 0;
}

static int append_range(struct page_record *r, const struct page_range *range,
                        const struct page_sources *sources, struct error *e) {
    uint32_t place = 0;
    int rc = begin_place(r, range->source, sources, &place, e);
    if (rc < 0) {
        return rc;
    }
    char *start = (char *)r->pages.data + r->pages.size, *to = start;
    *to++ = '[';
    to = put_range(to, range->part, place, range->start, range->end, range->replaced);
    r->pages.size += (size_t)(to - start);
    return 0;
}

/* A list of ranges for each cell, and how high the page is. */
static int append_cells(struct page_record *r, const struct page *page,
                        const struct page_sources *sources, struct error *e) {
    int rc = bytes_printf(&r->pages, e, ",\"height\":%d,\"cells\":[", page->height);
    size_t next = 0;
    for (int cell = 0; cell < page->height / CELL * page->columns && rc == 0; cell++) {
        rc = bytes_append(&r->pages, "[", 1, e);
        for (; next < page->range_count && page->ranges[next].cell == cell && rc == 0; next++) {
            rc = append_range(r, &page->ranges[next], sources, e);
        }
        if (rc == 0) {
            rc = end_list(&r->pages, "],", e);
        }
    }
    return rc == 0 ? end_list(&r->pages, "]", e) : rc;
}

static int append_counts(struct page_record *r, const struct page *page, struct error *e) {
    const struct page_counts *c = &page->counts;
    int64_t cells = c->cells > 0 ? c->cells : 1;
    int64_t tokens = r->setup.profile->cells ? cells : mode_tokens(r->setup.mode);
    int64_t fill = (2000 * c->inked + cells) / (2 * cells);
    return bytes_printf(&r->pages, e,
                        ",\"characters\":%lld,\"rows\":%lld,\"ink\":%lld,\"clipped\":%lld,"
                        "\"tokens\":%lld,\"inked_tokens\":%lld,"
                        "\"fill\":%d.%03d,\"replaced\":%lld,\"dropped\":%lld",
                        (long long)c->characters, (long long)c->rows, (long long)c->ink,
                        (long long)c->clipped, (long long)tokens,
                        (long long)(c->inked * tokens / cells), (int)(fill / 1000),
                        (int)(fill % 1000), (long long)c->replaced, (long long)c->dropped);
}

static int append_missing(struct page_record *r, const struct page *page, struct error *e) {
    int rc = bytes_append_text(&r->pages, ",\"missing\":{", e);
    for (size_t i = 0; i < page->missing_count && rc == 0; i++) {
        rc = bytes_printf(&r->pages, e, "\"U+%04X\":%lld,", (unsigned)page->missing[i].code_point,
                          (long long)page->missing[i].count);
    }
    return rc == 0 ? end_list(&r->pages, "}", e) : rc;
}

static int append_font(struct bytes *out, const struct font *font, const struct face *face,
                       struct error *e) {
    char hash[HASH_BYTES];
    const char *slash = strrchr(font->path, '/');
    int rc = append_named(out, "{\"family\":", font->family, e);
    if (rc == 0) {
        rc = append_named(out, ",\"file\":", slash != NULL ? slash + 1 : font->path, e);
    }
    if (rc == 0) {
        rc = bytes_printf(out, e, ",\"index\":%d,\"hash\":", font->index);
    }
    if (rc < 0 || face == NULL) {
        return rc < 0 ? rc : bytes_append_text(out, "null},", e);
    }
    write_hash(hash, face->hash);
    return bytes_printf(out, e, "\"%s\"},", hash);
}

static int append_fonts(struct page_record *r, const struct page *page, const struct faces *faces,
                        struct error *e) {
    int rc = bytes_append_text(&r->pages, ",\"fonts\":[", e);
    int count = fonts_count(r->setup.fonts);
    for (int i = 0; i < count && rc == 0; i++) {
        if (page->fonts_used[i / 64] >> (i % 64) & 1) {
            rc = append_font(&r->pages, fonts_get(r->setup.fonts, i), faces_opened(faces, i), e);
        }
    }
    return rc == 0 ? end_list(&r->pages, "]", e) : rc;
}

/* The samples of what is on the page, each once. */
static int append_samples(struct page_record *r, const struct page *page,
                          const struct page_sources *sources, struct error *e) {
    int rc = bytes_append_text(&r->pages, ",\"samples\":[", e);
    for (size_t i = 0; i < page_source_count(page) && rc == 0; i++) {
        uint32_t place = 0;
        rc = place_source(r, sources, page_source_at(page, i), &place, e);
        uint32_t sample = rc == 0 ? r->used[place].sample : 0;
        if (rc == 0 && r->keys[sample].last_page != r->page_count + 1) {
            r->keys[sample].last_page = r->page_count + 1;
            rc = bytes_printf(&r->pages, e, "%u,", (unsigned)sample);
        }
    }
    return rc == 0 ? end_list(&r->pages, "]", e) : rc;
}

int page_record_add(struct page_record *r, const struct page *page, const struct faces *faces,
                    const struct page_sources *sources, const char *member, struct error *e) {
    size_t before = r->pages.size;
    const struct face *primary = faces_opened(faces, FONT_PRIMARY);
    int rc = make_places(r, sources->count, e);
    if (rc == 0) {
        rc = append_named(&r->pages, "{\"member\":", member, e);
    }
    if (rc == 0) {
        rc = append_counts(r, page, e);
    }
    if (rc == 0) {
        rc = append_missing(r, page, e);
    }
    if (rc == 0) {
        rc = append_fonts(r, page, faces, e);
    }
    if (rc == 0) {
        rc = append_samples(r, page, sources, e);
    }
    if (rc == 0 && page->columns > 0) {
        rc = append_cells(r, page, sources, e);
    }
    if (rc == 0) {
        rc = bytes_append_text(&r->pages, ",\"boxes\":[", e);
    }
    for (size_t i = 0; i < page->box_count && rc == 0; i++) {
        rc = append_box(r, &page->boxes[i], sources, e);
    }
    if (rc == 0) {
        rc = end_list(&r->pages, "]},", e);
    }
    if (rc < 0) {
        cut(&r->pages, before);
        return rc;
    }
    r->page_count++;
    r->hash = primary != NULL ? primary->hash : r->hash;
    r->has_hash = r->has_hash || primary != NULL;
    return 0;
}

/* ---- The member ---------------------------------------------------------------------- */

/* A number of 1/64 without trailing zeros: at most six decimals. */
static int append_size(struct bytes *out, int size, struct error *e) {
    char decimals[8];
    int count =
        snprintf(decimals, sizeof decimals, "%06d", size % SIZE_UNITS * (1000000 / SIZE_UNITS));
    while (count > 0 && decimals[count - 1] == '0') {
        decimals[--count] = 0;
    }
    return bytes_printf(out, e, "%d%s%s", size / SIZE_UNITS, count > 0 ? "." : "", decimals);
}

static int append_head(const struct page_record *r, struct bytes *out, struct error *e) {
    int side = PAGE_SIZES[r->setup.mode].side;
    const struct profile *profile = r->setup.profile;
    char hash[HASH_BYTES] = "";
    write_hash(hash, r->hash);
    int rc = bytes_printf(out, e,
                          "{\"mode\":\"%s\",\"width\":%d,\"height\":%d,\"tokens\":%d,"
                          "\"format\":\"%s\",\"profile\":{\"name\":\"%s\"",
                          MODE_NAMES[r->setup.mode], side, side, mode_tokens(r->setup.mode),
                          PAGE_FORMATS[r->format], profile_name(profile));
    if (rc == 0) {
        rc = append_named(out, ",\"font\":", profile->family, e);
    }
    if (rc == 0) {
        rc = bytes_append_text(out, ",\"hash\":", e);
    }
    rc = rc == 0 && r->has_hash ? append_string(out, hash, e)
         : rc == 0              ? bytes_append_text(out, "null", e)
                                : rc;
    if (rc == 0) {
        rc = bytes_append_text(out, ",\"size\":", e);
    }
    if (rc == 0) {
        rc = append_size(out, profile->size, e);
    }
    return rc == 0 ? bytes_printf(out, e, ",\"pitch\":%d,\"margin\":%d}", profile->pitch,
                                  profile->margin)
                   : rc;
}

static int append_source(const struct used_source *used, const struct page_source *source,
                         struct bytes *out, struct error *e) {
    int rc = bytes_printf(out, e, "{\"sample\":%u", (unsigned)used->sample);
    if (rc == 0) {
        rc = append_named(out, ",\"member\":", source->member, e);
    }
    if (rc == 0 && source->pointer != NULL) {
        rc = append_named(out, ",\"pointer\":", source->pointer, e);
    }
    return rc == 0 ? bytes_append_text(out, "},", e) : rc;
}

static int append_all(const struct page_record *r, const struct page_sources *sources,
                      struct bytes *out, struct error *e) {
    int rc = append_head(r, out, e);
    if (rc == 0) {
        rc = bytes_append_text(out, ",\"samples\":[", e);
    }
    for (size_t i = 0; i < r->key_count && rc == 0; i++) {
        rc = append_string(out, r->keys[i].key, e);
        if (rc == 0) {
            rc = bytes_append(out, ",", 1, e);
        }
    }
    if (rc == 0) {
        rc = end_list(out, "],\"sources\":[", e);
    }
    for (size_t i = 0; i < r->used_count && rc == 0; i++) {
        rc = append_source(&r->used[i], &sources->items[r->used[i].number - 1], out, e);
    }
    if (rc == 0) {
        rc = end_list(out, "],\"pages\":[", e);
    }
    if (rc == 0 && r->pages.size > 0) {
        rc = bytes_append(out, r->pages.data, r->pages.size, e);
    }
    return rc == 0 ? end_list(out, "]}", e) : rc;
}

int page_record_append(struct page_record *r, const struct page_sources *sources, struct bytes *out,
                       struct error *e) {
    size_t before = out->size;
    int rc = append_all(r, sources, out, e);
    if (rc < 0) {
        cut(out, before);
    }
    page_record_clear(r);
    return rc;
}
