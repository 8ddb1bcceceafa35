/* image_exif.c - see image_exif.h. */
#include "compress/image_exif.h"

#include <stdbool.h>
#include <string.h>

struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
};

/* 0 where the file has ended. */
static uint32_t tiff_number(const struct tiff *t, size_t at, int bytes) {
    uint32_t number = 0;
    if (at > t->size || t->size - at < (size_t)bytes) {
        return 0;
    }
    for (int i = 0; i < bytes; i++) {
        number |= (uint32_t)t->data[at + (size_t)i] << 8 * (t->big_endian ? bytes - 1 - i : i);
    }
    return number;
}

int exif_orientation(const uint8_t *data, size_t size) {
    enum { ENTRY = 12, ORIENTATION = 0x0112 };
    struct tiff t = {.data = data, .size = size};
    if (size < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) {
        return 1;
    }
    t.big_endian = data[0] == 'M';
    size_t at = tiff_number(&t, 4, 4);
    uint32_t count = tiff_number(&t, at, 2);
    for (uint32_t i = 0; i < count; i++) {
        size_t entry = at + 2 + (size_t)i * ENTRY;
        if (tiff_number(&t, entry, 2) == ORIENTATION) {
            uint32_t value = tiff_number(&t, entry + 8, 2);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

int exif_jpeg_orientation(const uint8_t *data, size_t size) {
    enum { APP1 = 0xE1, START_OF_SCAN = 0xDA };
    size_t at = 2;
    while (at + 4 <= size && data[at] == 0xFF && data[at + 1] != START_OF_SCAN) {
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (length < 2 || length > size - at - 2) {
            return 1;
        }
        if (data[at + 1] == APP1 && length >= 8 && memcmp(data + at + 4, "Exif\0\0", 6) == 0) {
            return exif_orientation(data + at + 10, length - 8);
        }
        at += 2 + length;
    }
    return 1;
}

int exif_apply(struct image *i, int orientation, struct error *e) {
    if (orientation <= 1) {
        return 0;
    }
    struct image upright;
    int64_t w = i->width, h = i->height;
    bool turned = orientation >= 5;
    int rc = image_new(&upright, turned ? h : w, turned ? w : h, e);
    if (rc < 0) {
        return rc;
    }
    /* Where in the picture pixel (x, y) of the upright one is: its column and row count from the
     * far side in these orientations. */
    bool far_column = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool far_row = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    uint8_t *to = upright.rgb;
    for (int64_t y = 0; y < upright.height; y++) {
        for (int64_t x = 0; x < upright.width; x++, to += 3) {
            int64_t column = turned ? y : x, row = turned ? x : y;
            column = far_column ? w - 1 - column : column;
            row = far_row ? h - 1 - row : row;
            memcpy(to, i->rgb + (row * w + column) * 3, 3);
        }
    }
    image_close(i);
    *i = upright;
    return 0;
}
