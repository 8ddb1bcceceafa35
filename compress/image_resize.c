/* image_resize.c - Pillow's resampling to the bit, and the geometry of the published modes. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compress/image.h"
#include "compress/image_exif.h"

enum { BITS = 22 /* of the fraction of a coefficient */, PAD_GREY = 127, STRETCHED_UP_TO = 640 };

/* For each pixel of the output: the inputs it is made of, and what each counts. */
struct taps {
    int *first, *count;
    int32_t *weights; /* `most` for each */
    int most;
};

static void taps_close(struct taps *t) {
    free(t->first);
    free(t->count);
    free(t->weights);
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* In double precision as Pillow has it, then rounded to 22 bits, away from 0 at halves. */
static void tap_weights(int32_t *to, double *weights, double centre, double scale, int first,
                        int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
        weights[i] = bicubic((i + first - centre + 0.5) * (1.0 / scale));
        sum += weights[i];
    }
    for (int i = 0; i < count; i++) {
        double weight = (sum != 0 ? weights[i] / sum : weights[i]) * (1 << BITS);
        to[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
}

static int taps_make(struct taps *t, int in, int out, struct error *e) {
    double ratio = (double)in / out, scale = ratio < 1 ? 1 : ratio, support = 2 * scale;
    t->most = (int)ceil(support) * 2 + 1;
    t->first = calloc((size_t)out, sizeof *t->first);
    t->count = calloc((size_t)out, sizeof *t->count);
    t->weights = calloc((size_t)out * (size_t)t->most, sizeof *t->weights);
    double *weights = calloc((size_t)t->most, sizeof *weights);
    int rc = 0;
    if (t->first == NULL || t->count == NULL || t->weights == NULL || weights == NULL) {
        rc = error_memory(e, "a picture");
        goto done;
    }
    for (int i = 0; i < out; i++) {
        double centre = (i + 0.5) * ratio;
        int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        first = first < 0 ? 0 : first;
        end = end > in ? in : end;
        t->first[i] = first;
        t->count[i] = end - first;
        tap_weights(t->weights + (size_t)i * (size_t)t->most, weights, centre, scale, first,
                    end - first);
    }
done:
    free(weights);
    return rc;
}

static inline uint8_t clip(int32_t sum) {
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* A row of one picture to that of another; `channels` is a constant where it is called. */
static inline __attribute__((always_inline)) void
resize_row(uint8_t *to, const uint8_t *row, const struct taps *t, int width, int channels) {
    for (int x = 0; x < width; x++, to += channels) {
        const int32_t *weights = t->weights + (size_t)x * (size_t)t->most;
        const uint8_t *from = row + (size_t)t->first[x] * (size_t)channels;
        int32_t sums[3] = {1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1)};
        for (int i = 0; i < t->count[x]; i++, from += channels) {
            for (int c = 0; c < channels; c++) {
                sums[c] += from[c] * weights[i];
            }
        }
        for (int c = 0; c < channels; c++) {
            to[c] = clip(sums[c]);
        }
    }
}

static int resize_rows(struct image *out, const struct image *in, int width, struct error *e) {
    struct taps t = {.first = NULL};
    int rc = taps_make(&t, in->width, width, e);
    if (rc == 0) {
        rc = image_new(out, width, in->height, in->channels, e);
    }
    for (int y = 0; y < in->height && rc == 0; y++) {
        const uint8_t *row = in->pixels + (size_t)y * image_stride(in);
        uint8_t *to = out->pixels + (size_t)y * image_stride(out);
        if (in->channels == 1) {
            resize_row(to, row, &t, width, 1);
        } else {
            resize_row(to, row, &t, width, 3);
        }
    }
    taps_close(&t);
    return rc;
}

static int resize_columns(struct image *out, const struct image *in, int height, struct error *e) {
    struct taps t = {.first = NULL};
    size_t stride = image_stride(in);
    int32_t *sums = calloc(stride, sizeof *sums);
    int rc = sums != NULL ? taps_make(&t, in->height, height, e) : error_memory(e, "a picture");
    if (rc == 0) {
        rc = image_new(out, in->width, height, in->channels, e);
    }
    for (int y = 0; y < height && rc == 0; y++) {
        const int32_t *weights = t.weights + (size_t)y * (size_t)t.most;
        const uint8_t *from = in->pixels + (size_t)t.first[y] * stride;
        uint8_t *to = out->pixels + (size_t)y * stride;
        for (size_t x = 0; x < stride; x++) {
            sums[x] = 1 << (BITS - 1);
        }
        for (int i = 0; i < t.count[y]; i++, from += stride) {
            for (size_t x = 0; x < stride; x++) {
                sums[x] += from[x] * weights[i];
            }
        }
        for (size_t x = 0; x < stride; x++) {
            to[x] = clip(sums[x]);
        }
    }
    free(sums);
    taps_close(&t);
    return rc;
}

static int copy(struct image *out, const struct image *in, struct error *e) {
    int rc = image_new(out, in->width, in->height, in->channels, e);
    if (rc == 0) {
        memcpy(out->pixels, in->pixels, (size_t)in->height * image_stride(in));
    }
    return rc;
}

int image_resize(struct image *out, const struct image *in, int width, int height,
                 struct error *e) {
    struct image between = {.pixels = NULL};
    *out = (struct image){.pixels = NULL};
    if (width == in->width && height == in->height) {
        return copy(out, in, e);
    }
    int rc = 0;
    if (width == in->width) {
        rc = resize_columns(out, in, height, e);
    } else if (height == in->height) {
        rc = resize_rows(out, in, width, e);
    } else {
        rc = resize_rows(&between, in, width, e);
        if (rc == 0) {
            rc = resize_columns(out, &between, height, e);
        }
        image_close(&between);
    }
    if (rc < 0) {
        image_close(out);
    }
    return rc;
}

/* ---- Modes ------------------------------------------------------------------------------ */

/* The other side of a picture whose longer side becomes `side`; halves to even, at least 1. */
static int fitted(int shorter, int longer, int side) {
    double size = nearbyint((double)shorter / longer * side);
    return size < 1 ? 1 : (int)size;
}

int image_letterbox(struct image *out, const struct image *in, int side, struct error *e) {
    struct image fit;
    int width = in->width < in->height ? fitted(in->width, in->height, side) : side;
    int height = in->height < in->width ? fitted(in->height, in->width, side) : side;
    *out = (struct image){.pixels = NULL};
    int rc = image_resize(&fit, in, width, height, e);
    if (rc < 0) {
        return rc;
    }
    if (width == side && height == side) {
        *out = fit;
        return 0;
    }
    rc = image_new(out, side, side, in->channels, e);
    if (rc == 0) {
        size_t pixel = (size_t)in->channels;
        size_t left = (size_t)nearbyint((side - width) * 0.5) * pixel;
        size_t top = (size_t)nearbyint((side - height) * 0.5);
        memset(out->pixels, PAD_GREY, (size_t)side * image_stride(out));
        for (size_t y = 0; y < (size_t)height; y++) {
            memcpy(out->pixels + (top + y) * image_stride(out) + left,
                   fit.pixels + y * image_stride(&fit), image_stride(&fit));
        }
    }
    image_close(&fit);
    return rc;
}

int image_fit(struct image *out, const struct image *in, int side, struct error *e) {
    return side <= STRETCHED_UP_TO ? image_resize(out, in, side, side, e)
                                   : image_letterbox(out, in, side, e);
}

/* ---- Tiles --------------------------------------------------------------------------------- */

void image_grid(int width, int height, int side, int most, int *columns, int *rows) {
    double aspect = (double)width / height, nearest = HUGE_VAL;
    double area = (double)width * height;
    *columns = *rows = 1;
    if (width <= STRETCHED_UP_TO && height <= STRETCHED_UP_TO) {
        return;
    }
    for (int tiles = 2; tiles <= most; tiles++) { /* grids in order of their number of tiles */
        for (int i = 1; i <= tiles; i++) {
            if (tiles % i != 0) {
                continue;
            }
            double miss = fabs(aspect - (double)i / (tiles / i));
            bool fills = area > 0.5 * side * side * tiles;
            if (miss < nearest || (miss == nearest && fills)) {
                nearest = miss;
                *columns = i;
                *rows = tiles / i;
            }
        }
    }
}

int image_tiles(struct image *out, const struct image *in, int side, int columns, int rows,
                struct error *e) {
    struct image whole;
    int rc = image_resize(&whole, in, side * columns, side * rows, e);
    for (int i = 0; i < columns * rows; i++) {
        out[i] = (struct image){.pixels = NULL};
    }
    for (int i = 0; i < columns * rows && rc == 0; i++) {
        rc = image_new(&out[i], side, side, in->channels, e);
        size_t top = (size_t)(i / columns * side), tile = (size_t)(side * in->channels);
        for (size_t y = 0; y < (size_t)side && rc == 0; y++) {
            memcpy(out[i].pixels + y * tile,
                   whole.pixels + (top + y) * image_stride(&whole) + (size_t)(i % columns) * tile,
                   tile);
        }
    }
    image_close(&whole);
    if (rc < 0) {
        for (int i = 0; i < columns * rows; i++) {
            image_close(&out[i]);
        }
    }
    return rc;
}

void image_grey(struct image *i) {
    size_t count = (size_t)i->width * (size_t)i->height;
    for (size_t k = 0; k < count && i->channels == 3; k++) {
        const uint8_t *rgb = i->pixels + 3 * k;
        i->pixels[k] = (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
    }
    i->channels = 1;
}

struct tensor image_tensor(const struct image *i) {
    return tensor_of(i->pixels, DTYPE_U8, NULL, TENSOR_SHAPE(1, i->height, i->width, i->channels));
}
