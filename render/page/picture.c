/* picture.c - see picture.h.
 *
 * A JPEG is decoded at the smallest of libjpeg's scales (n/8) that still is as large as wanted:
 * most of the averaging then happens on a few coefficients of each block. The rest is averaging of
 * areas, computed exactly. What does not last is given back to the arena before returning. */
#include "render/page/picture.h"

#include <stdbool.h>
#include <string.h>
#include <turbojpeg.h>

enum {
    WORK_FACTOR = 16, /* scans x pixels at most, as a multiple of PICTURE_PIXELS */
    /* A block of 64 pixels takes at least one bit, so a byte makes 512 pixels at most. */
    PIXELS_EACH_BYTE = 512,
};

/* Pixels while they are made: `channels` interleaved. */
struct raster {
    uint8_t *pixels;
    int width, height, channels;
    /* The picture ends this many eighths of a pixel from its upper left corner: a JPEG decoded at
     * 1/8 ends within its last pixels. */
    int width8, height8;
};

static int raster_new(struct raster *r, int width, int height, int channels, struct arena *arena,
                      struct error *e) {
    *r = (struct raster){.width = width,
                         .height = height,
                         .channels = channels,
                         .width8 = 8 * width,
                         .height8 = 8 * height};
    r->pixels = arena_alloc(arena, (size_t)width * (size_t)height, (size_t)channels);
    return r->pixels != NULL ? 0 : error_memory(e, "a picture");
}

static int check_target(int width, int height, struct error *e) {
    if (width < 1 || height < 1 || width > PICTURE_PIXELS / height) {
        return error_set(e, ERR_USAGE, "a picture cannot be made %d x %d", width, height);
    }
    return 0;
}

/* ---- Scaling ------------------------------------------------------------------------- */

/* The part of a line of `from8` / 8 pixels that becomes pixel `at` of [0, to): pixel `first` counts
 * first_weight, `last` last_weight, those between 8 * `to` each; together `from8`. Where it gets
 * larger, the one pixel that is nearest counts all. */
struct reach {
    int first, last;
    uint32_t first_weight, last_weight;
};

static struct reach reach_of(int at, int from8, int to) {
    int64_t pixel = 8 * (int64_t)to, start = (int64_t)at * from8, end = start + from8;
    if (from8 <= pixel) {
        int nearest = (int)((start + end) / (2 * pixel));
        return (struct reach){nearest, nearest, (uint32_t)from8, 0};
    }
    struct reach r = {.first = (int)(start / pixel), .last = (int)((end - 1) / pixel)};
    r.first_weight = (uint32_t)((r.first + 1) * pixel - start);
    r.last_weight = (uint32_t)(end - r.last * pixel);
    return r; /* longer than a pixel, so that first < last */
}

/* One row, `to` pixels wide: sums of weight in->width8, which is at most 8 * PICTURE_SIDE. */
static void scale_row(uint32_t *sums, const uint8_t *row, const struct raster *in,
                      const struct reach *across, int to) {
    size_t channels = (size_t)in->channels;
    for (int x = 0; x < to; x++) {
        const struct reach *r = &across[x];
        const uint8_t *first = row + (size_t)r->first * channels;
        const uint8_t *last = row + (size_t)r->last * channels;
        for (size_t c = 0; c < channels; c++) {
            uint32_t between = 0;
            for (const uint8_t *p = first + channels; p < last; p += channels) {
                between += p[c];
            }
            *sums++ =
                first[c] * r->first_weight + between * 8 * (uint32_t)to + last[c] * r->last_weight;
        }
    }
}

struct scaler {
    const struct raster *in, *out;
    struct reach *across;
    uint32_t *row; /* source row `row_at`, scaled across */
    int row_at;
    uint64_t *sums;
};

static void add_row(struct scaler *s, int y, uint32_t weight) {
    size_t values = (size_t)s->out->width * (size_t)s->out->channels;
    if (s->row_at != y) { /* rows at the edge of an area come twice */
        size_t stride = (size_t)s->in->width * (size_t)s->in->channels;
        scale_row(s->row, s->in->pixels + (size_t)y * stride, s->in, s->across, s->out->width);
        s->row_at = y;
    }
    for (size_t i = 0; i < values; i++) {
        s->sums[i] += (uint64_t)s->row[i] * weight;
    }
}

static void scale_rows(struct scaler *s) {
    const struct raster *in = s->in, *out = s->out;
    size_t values = (size_t)out->width * (size_t)out->channels;
    uint64_t whole = (uint64_t)in->width8 * (uint64_t)in->height8;
    for (int y = 0; y < out->height; y++) {
        struct reach down = reach_of(y, in->height8, out->height);
        memset(s->sums, 0, values * sizeof *s->sums);
        add_row(s, down.first, down.first_weight);
        for (int i = down.first + 1; i < down.last; i++) {
            add_row(s, i, 8 * (uint32_t)out->height);
        }
        if (down.last > down.first) {
            add_row(s, down.last, down.last_weight);
        }
        for (size_t i = 0; i < values; i++) {
            out->pixels[(size_t)y * values + i] = (uint8_t)((s->sums[i] + whole / 2) / whole);
        }
    }
}

/* Fills `out` with `in`, averaged over areas. */
static int scale(const struct raster *in, const struct raster *out, struct arena *arena,
                 struct error *e) {
    size_t width = (size_t)out->width, values = width * (size_t)out->channels;
    if (in->width8 == out->width8 && in->height8 == out->height8) {
        memcpy(out->pixels, in->pixels, values * (size_t)out->height);
        return 0;
    }
    struct arena_mark mark = arena_mark(arena);
    struct scaler s = {.in = in, .out = out, .row_at = -1};
    s.across = arena_alloc(arena, width, sizeof *s.across);
    s.row = arena_alloc(arena, values, sizeof *s.row);
    s.sums = arena_alloc(arena, values, sizeof *s.sums);
    if (s.across == NULL || s.row == NULL || s.sums == NULL) {
        return error_memory(e, "a picture");
    }
    for (int x = 0; x < out->width; x++) {
        s.across[x] = reach_of(x, in->width8, out->width);
    }
    scale_rows(&s);
    arena_rewind(arena, mark);
    return 0;
}

/* ---- JPEG ---------------------------------------------------------------------------- */

struct jpeg {
    tjhandle decoder;
    const uint8_t *data;
    size_t size;
    int width, height, colors; /* colors: enum TJCS */
};

/* Whether a call that failed has done its work all the same. */
static bool only_warned(const struct jpeg *j) {
    return tjGetErrorCode(j->decoder) == TJERR_WARNING;
}

/* Scans are gone through one by one, so many of them on a large picture are work without end. */
static int check_work(const struct jpeg *j, struct error *e) {
    uint64_t pixels = (uint64_t)j->width * (uint64_t)j->height;
    if (pixels > PICTURE_PIXELS) {
        return error_set(e, ERR_LIMIT, "a JPEG of %d x %d pixels", j->width, j->height);
    }
    if (pixels / PIXELS_EACH_BYTE > j->size) {
        return error_set(e, ERR_TRUNCATED, "%zu bytes are too few for a JPEG of %d x %d pixels",
                         j->size, j->width, j->height);
    }
    uint64_t scans = 0;
    for (const uint8_t *p = j->data, *end = j->data + j->size; p != NULL && end - p >= 2;) {
        p = memchr(p, 0xFF, (size_t)(end - p) - 1);
        scans += p != NULL && p[1] == 0xDA;
        p = p != NULL ? p + 1 : NULL;
    }
    if (scans > 1 && pixels * scans > (uint64_t)PICTURE_PIXELS * WORK_FACTOR) {
        return error_set(e, ERR_LIMIT, "a JPEG of %d x %d pixels in %llu scans", j->width,
                         j->height, (unsigned long long)scans);
    }
    return 0;
}

/* A header is refused for a sampling that TurboJPEG has no name for (4:1:0, one subsampled colour),
 * which it decodes all the same: then all but the sampling is filled in. */
static int open_jpeg(struct jpeg *j, struct error *e) {
    int subsampling = TJSAMP_444;
    j->colors = -1;
    if (tjDecompressHeader3(j->decoder, j->data, j->size, &j->width, &j->height, &subsampling,
                            &j->colors) < 0 &&
        !only_warned(j) && (subsampling >= 0 || j->colors < 0)) {
        return error_set(e, ERR_FORMAT, "not a readable JPEG: %s", tjGetErrorStr2(j->decoder));
    }
    if (j->width < 1 || j->height < 1) {
        return error_set(e, ERR_FORMAT, "a JPEG without a size");
    }
    return check_work(j, e);
}

/* The largest size that fits, no larger than the picture. */
static void fit(const struct jpeg *j, int width, int height, int *to_width, int *to_height) {
    int64_t w = j->width, h = j->height;
    *to_width = j->width;
    *to_height = j->height;
    if (w <= width && h <= height) {
        return;
    }
    if (w * height >= h * width) { /* the width is what limits it */
        int64_t fitting = (2 * h * width + w) / (2 * w);
        *to_width = width;
        *to_height = fitting > 1 ? (int)fitting : 1;
    } else {
        int64_t fitting = (2 * w * height + h) / (2 * h);
        *to_width = fitting > 1 ? (int)fitting : 1;
        *to_height = height;
    }
}

/* The smallest of libjpeg's sizes that is not smaller than wanted: in eighths. */
static int choose_scale(const struct jpeg *j, int to_width, int to_height) {
    int count = 0, best = 8;
    const tjscalingfactor *factors = tjGetScalingFactors(&count);
    for (int i = 0; factors != NULL && i < count; i++) {
        tjscalingfactor s = factors[i];
        if (s.num <= s.denom && 8 % s.denom == 0 && TJSCALED(j->width, s) >= to_width &&
            TJSCALED(j->height, s) >= to_height && s.num * (8 / s.denom) < best) {
            best = s.num * (8 / s.denom);
        }
    }
    return best;
}

/* Decodes again with an end mark after the data. A file that then gives no warning lacked only
 * that. */
static bool is_whole_but_for_its_end(const struct jpeg *j, const struct raster *to, int format,
                                     struct arena *arena) {
    static const uint8_t END[2] = {0xFF, 0xD9};
    struct arena_mark mark = arena_mark(arena);
    uint8_t *longer = arena_alloc(arena, j->size + sizeof END, 1);
    bool whole = false;
    if (longer != NULL) {
        memcpy(longer, j->data, j->size);
        memcpy(longer + j->size, END, sizeof END);
        whole = tjDecompress2(j->decoder, longer, j->size + sizeof END, to->pixels, to->width, 0,
                              to->height, format, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) == 0;
    }
    arena_rewind(arena, mark);
    return whole;
}

static int decode(const struct jpeg *j, const struct raster *to, int format, struct arena *arena,
                  struct error *e) {
    if (tjDecompress2(j->decoder, j->data, j->size, to->pixels, to->width, 0, to->height, format,
                      TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) == 0) {
        return 0;
    }
    if (!only_warned(j)) {
        return error_set(e, ERR_FORMAT, "a broken JPEG: %s", tjGetErrorStr2(j->decoder));
    }
    bool ended = j->size >= 2 && j->data[j->size - 2] == 0xFF && j->data[j->size - 1] == 0xD9;
    if (ended) {
        return error_set(e, ERR_FORMAT, "a broken JPEG: %s", tjGetErrorStr2(j->decoder));
    }
    return is_whole_but_for_its_end(j, to, format, arena)
               ? 0
               : error_set(e, ERR_TRUNCATED, "a JPEG that ends too early");
}

/* In place, four bytes to three. Stored is the light that passes (255: no ink), as every program
 * does that writes such files. */
static void cmyk_to_rgb(struct raster *r) {
    size_t pixels = (size_t)r->width * (size_t)r->height;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *from = r->pixels + 4 * i;
        unsigned light[3] = {from[0], from[1], from[2]}, black = from[3];
        for (size_t c = 0; c < 3; c++) {
            r->pixels[3 * i + c] = (uint8_t)((light[c] * black + 127) / 255);
        }
    }
    r->channels = 3;
}

/* Decodes and scales into `p`. */
static int read_opened(struct picture *p, const struct jpeg *j, int width, int height,
                       struct arena *arena, struct error *e) {
    bool cmyk = j->colors == TJCS_CMYK || j->colors == TJCS_YCCK, grey = j->colors == TJCS_GRAY;
    int to_width, to_height;
    fit(j, width, height, &to_width, &to_height);
    tjscalingfactor near = {choose_scale(j, to_width, to_height), 8};
    struct raster out, decoded;
    int rc = raster_new(&out, to_width, to_height, grey ? 1 : 3, arena, e);
    if (rc < 0) {
        return rc;
    }
    struct arena_mark mark = arena_mark(arena);
    rc = raster_new(&decoded, TJSCALED(j->width, near), TJSCALED(j->height, near),
                    grey   ? 1
                    : cmyk ? 4
                           : 3,
                    arena, e);
    decoded.width8 = j->width * near.num;
    decoded.height8 = j->height * near.num;
    if (rc == 0) {
        rc = decode(j, &decoded, grey ? TJPF_GRAY : cmyk ? TJPF_CMYK : TJPF_RGB, arena, e);
    }
    if (rc == 0 && cmyk) {
        cmyk_to_rgb(&decoded);
    }
    if (rc == 0) {
        rc = scale(&decoded, &out, arena, e);
    }
    arena_rewind(arena, mark);
    if (rc == 0) {
        *p = (struct picture){
            .width = to_width, .height = to_height, .color = !grey, .pixels = out.pixels};
    }
    return rc;
}

int picture_read_jpeg(struct picture *p, const void *data, size_t size, int width, int height,
                      struct arena *arena, struct error *e) {
    *p = (struct picture){0};
    int rc = check_target(width, height, e);
    if (rc < 0) {
        return rc;
    }
    if (size < 2 || memcmp(data, "\xFF\xD8", 2) != 0) {
        return error_set(e, ERR_FORMAT, "not a JPEG");
    }
    struct jpeg j = {.decoder = tjInitDecompress(), .data = data, .size = size};
    if (j.decoder == NULL) {
        return error_memory(e, "a JPEG decoder");
    }
    struct arena_mark mark = arena_mark(arena);
    rc = open_jpeg(&j, e);
    if (rc == 0) {
        rc = read_opened(p, &j, width, height, arena, e);
    }
    if (rc < 0) {
        arena_rewind(arena, mark);
    }
    tjDestroy(j.decoder);
    return rc;
}

int picture_write_jpeg(struct bytes *out, const struct picture *p, struct error *e) {
    enum { QUALITY = 85 };
    tjhandle encoder = tjInitCompress();
    unsigned char *jpeg = NULL;
    unsigned long size = 0;
    bool made =
        encoder != NULL && tjCompress2(encoder, p->pixels, p->width, 0, p->height, TJPF_GRAY, &jpeg,
                                       &size, TJSAMP_GRAY, QUALITY, 0) == 0;
    int rc = made ? bytes_append(out, jpeg, size, e) : error_memory(e, "a JPEG");
    tjFree(jpeg);
    if (encoder != NULL) {
        tjDestroy(encoder);
    }
    return rc;
}

/* ---- PGM ----------------------------------------------------------------------------- */

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number of the header and what precedes it: blanks and comments, which begin with '#'
 * and end with the line; one at least. Returns what follows, NULL when that is not there. */
static const uint8_t *header_number(const uint8_t *p, const uint8_t *end, int *number) {
    const uint8_t *start = p;
    while (p < end && (is_blank(*p) || *p == '#')) {
        const uint8_t *line_end = *p == '#' ? memchr(p, '\n', (size_t)(end - p)) : p;
        p = line_end != NULL ? line_end + 1 : end;
    }
    const uint8_t *digits = p;
    int64_t value = 0;
    while (p < end && *p >= '0' && *p <= '9' && value <= PICTURE_PIXELS) {
        value = value * 10 + (*p - '0');
        p++;
    }
    *number = (int)value; /* below 2^31: PICTURE_PIXELS x 10 is */
    return digits > start && p > digits ? p : NULL;
}

int picture_read_pgm(struct picture *p, const void *data, size_t size, int width, int height,
                     struct arena *arena, struct error *e) {
    *p = (struct picture){0};
    int rc = check_target(width, height, e);
    if (rc < 0) {
        return rc;
    }
    const uint8_t *end = (const uint8_t *)data + size, *at = NULL;
    int w = 0, h = 0, most = 0;
    if (size >= 2 && memcmp(data, "P5", 2) == 0) {
        at = header_number((const uint8_t *)data + 2, end, &w);
        at = at != NULL ? header_number(at, end, &h) : NULL;
        at = at != NULL ? header_number(at, end, &most) : NULL;
    }
    if (at == NULL || at == end || !is_blank(*at) || w < 1 || h < 1) {
        return error_set(e, ERR_FORMAT, "not a binary PGM");
    }
    if (most != 255) {
        return error_set(e, ERR_FORMAT, "a PGM of 0 to %d, not 255", most);
    }
    at++;
    if (w > PICTURE_SIDE || h > PICTURE_SIDE || w > PICTURE_PIXELS / h) {
        return error_set(e, ERR_LIMIT, "a PGM of %d x %d pixels", w, h);
    }
    if ((size_t)(end - at) < (size_t)w * (size_t)h) {
        return error_set(e, ERR_TRUNCATED, "a PGM that ends too early");
    }
    struct raster out,
        in = {.width = w, .height = h, .channels = 1, .width8 = 8 * w, .height8 = 8 * h};
    struct arena_mark mark = arena_mark(arena);
    rc = raster_new(&out, width, height, 1, arena, e);
    in.pixels = (uint8_t *)(uintptr_t)at; /* only read */
    if (rc == 0) {
        rc = scale(&in, &out, arena, e);
    }
    if (rc < 0) {
        arena_rewind(arena, mark);
        return rc;
    }
    *p = (struct picture){.width = width, .height = height, .pixels = out.pixels};
    return 0;
}
