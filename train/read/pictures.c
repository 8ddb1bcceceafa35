/* pictures.c - see pictures.h. */
#include "train/read/pictures.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <turbojpeg.h>

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
    enum { QUALITY = 85 };
    uint8_t *pixels = malloc((size_t)width * (size_t)height);
    tjhandle encoder = tjInitCompress();
    unsigned char *jpeg = NULL;
    unsigned long size = 0;
    bool ready = pixels != NULL && encoder != NULL;
    if (ready) {
        picture_fill(pixels, width, height, random);
        ready = tjCompress2(encoder, pixels, width, 0, height, TJPF_GRAY, &jpeg, &size, TJSAMP_GRAY,
                            QUALITY, 0) == 0;
    }
    int rc = ready ? bytes_append(out, jpeg, size, e) : error_memory(e, "a picture");
    tjFree(jpeg);
    if (encoder != NULL) {
        tjDestroy(encoder);
    }
    free(pixels);
    return rc;
}
