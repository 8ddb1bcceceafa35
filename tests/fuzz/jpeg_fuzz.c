/* jpeg_fuzz.c - any bytes as a picture for a page, JPEG or PGM: what is read fits and is all there,
 * what is refused is refused with a reason and leaves nothing behind. */
#include <stdint.h>
#include <stdlib.h>

#include "render/page/picture.h"
#include "render/text/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise) {
        abort();
    }
}

/* Reads every pixel, so that a sanitizer sees those that are not there or were never written. */
static uint64_t sum_of(const struct picture *p) {
    uint64_t sum = 0;
    size_t count = (size_t)p->width * (size_t)p->height * (p->color ? 3 : 1);
    for (size_t i = 0; i < count; i++) {
        sum += p->pixels[i];
    }
    return sum;
}

static void check(int rc, const struct picture *p, const struct error *e, int width, int height) {
    if (rc < 0) {
        require(e->code == rc && e->text[0] && !p->pixels);
        require(rc == ERR_FORMAT || rc == ERR_TRUNCATED || rc == ERR_LIMIT);
        return;
    }
    require(rc == 0 && p->width > 0 && p->height > 0 && p->width <= width && p->height <= height);
    require(sum_of(p) <= (uint64_t)255 * 3 * (uint64_t)width * (uint64_t)height);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int sizes[][2] = {{CELL, CELL}, {3, 500}, {500, CELL}};
    struct arena *arena = NULL;
    require(arena_open(&arena, (size_t)64 << 20, NULL) == 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int width = sizes[i][0], height = sizes[i][1];
        struct picture p = {.width = -1};
        struct error e = {0};
        int rc = picture_read_jpeg(&p, data, size, width, height, arena, &e);
        check(rc, &p, &e, width, height);
        rc = picture_read_pgm(&p, data, size, width, height, arena, &e);
        check(rc, &p, &e, width, height);
        require(rc < 0 || (p.width == width && p.height == height && !p.color));
        arena_reset(arena);
    }
    arena_close(arena);
    return 0;
}
