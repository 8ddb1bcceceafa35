/* pictures.c - see pictures.h. */
#include "train/read/pictures.h"

#include <math.h>
#include <stdlib.h>

#include "render/page/picture.h"
#include "store/random.h"

void picture_fill(uint8_t *pixels, int width, int height, uint64_t *random) {
    double fx = random_unit(random) * 0.2, fy = random_unit(random) * 0.2;
    int edge = (int)random_below(random, height), noise = 1 + (int)random_below(random, 64);
    for (int y = 0; y < height; y++) {
        double base = 128 + 50 * cos(y * fy) + (y > edge ? 40 : -40);
        for (int x = 0; x < width; x++) {
            double value = base + 50 * sin(x * fx + y * 0.05);
            value += (double)random_below(random, noise);
            *pixels++ = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}

int picture_put_jpeg(struct bytes *out, int width, int height, uint64_t *random, struct error *e) {
    uint8_t *pixels = malloc((size_t)width * (size_t)height);
    if (pixels == NULL) {
        return error_memory(e, "a picture");
    }
    picture_fill(pixels, width, height, random);
    const struct picture picture = {.width = width, .height = height, .pixels = pixels};
    int rc = picture_write_jpeg(out, &picture, e);
    free(pixels);
    return rc;
}
