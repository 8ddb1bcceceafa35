/* pnm_fuzz.c - any bytes as a picture (PNM; PNG and JPEG by their first bytes): refused, or all
 * pixels are there. */
#include <stdint.h>
#include <stdlib.h>

#include "compress/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct image i;
    unsigned sum = 0;
    if (image_decode(&i, data, size, NULL) < 0) {
        return 0;
    }
    if (i.width < 1 || i.height < 1 || i.pixels == NULL) {
        abort();
    }
    for (size_t p = 0; p < (size_t)i.height * image_stride(&i); p++) {
        sum += i.pixels[p];
    }
    image_close(&i);
    return sum == 0x12345678; /* so that the reads are not left out */
}
