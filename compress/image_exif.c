/* image_exif.c - see image_exif.h. */
#include "compress/image_exif.h"

#include <stdbool.h>
#include <stdlib.h>
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

/* Bytes of an element of a whole number's type that fits into 32 bits; 0: another type. */
static int whole_number_bytes(uint32_t type) {
    enum { SHORT = 3, LONG = 4, SBYTE = 6, SSHORT = 8, SLONG = 9 };
    switch (type) {
    case SBYTE:
        return 1;
    case SHORT:
    case SSHORT:
        return 2;
    case LONG:
    case SLONG:
        return 4;
    default:
        return 0;
    }
}

/* The orientation of one entry, or `before` where it has none. */
static int entry_orientation(const struct tiff *t, size_t entry, int before) {
    enum { ORIENTATION = 0x0112, INLINE = 4 };
    int bytes = whole_number_bytes(tiff_number(t, entry + 2, 2));
    uint32_t count = tiff_number(t, entry + 4, 4);
    if (tiff_number(t, entry, 2) != ORIENTATION || bytes == 0 || count == 0) {
        return before;
    }
    bool is_inline = count <= (uint32_t)(INLINE / bytes);
    size_t at = is_inline ? entry + 8 : tiff_number(t, entry + 8, 4);
    uint32_t value = tiff_number(t, at, bytes);
    return value >= 1 && value <= 8 ? (int)value : 1;
}

int exif_orientation(const uint8_t *data, size_t size) {
    enum { ENTRY = 12 };
    static const char PREFIX[6] = "Exif\0\0";
    while (size >= sizeof PREFIX && memcmp(data, PREFIX, sizeof PREFIX) == 0) {
        data += sizeof PREFIX;
        size -= sizeof PREFIX;
    }
    if (size < 8 || (memcmp(data, "II", 2) != 0 && memcmp(data, "MM", 2) != 0) ||
        (memcmp(data + 2, "*\0", 2) != 0 && memcmp(data + 2, "\0*", 2) != 0)) {
        return 0;
    }
    struct tiff t = {.data = data, .size = size, .big_endian = data[0] == 'M'};
    size_t at = tiff_number(&t, 4, 4);
    uint32_t count = tiff_number(&t, at, 2);
    int orientation = 0;
    for (uint32_t i = 0; i < count; i++) {
        orientation = entry_orientation(&t, at + 2 + (size_t)i * ENTRY, orientation);
    }
    return orientation;
}

static int hexadecimal(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int exif_profile_orientation(const char *text, size_t size) {
    enum { HEAD = 3 }; /* an empty line, the profile's name, its length */
    const char *end = text + size;
    for (int i = 0; i < HEAD; i++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        if (newline == NULL) {
            return 0;
        }
        text = newline + 1;
    }
    uint8_t *data = malloc((size_t)(end - text) / 2 + 1);
    size_t digits = 0;
    for (; data != NULL && text < end; text++) {
        int digit = hexadecimal(*text);
        if (digit >= 0) {
            data[digits / 2] = (uint8_t)(digits % 2 == 0 ? digit << 4 : data[digits / 2] | digit);
            digits++;
        }
    }
    int orientation = data != NULL ? exif_orientation(data, digits / 2) : 0;
    free(data);
    return orientation;
}

int exif_xmp_orientation(const void *packet, size_t size) {
    static const char NAME[] = "tiff:Orientation";
    enum { NAME_SIZE = sizeof NAME - 1 };
    const char *text = packet, *end = text + size;
    for (; end - text > NAME_SIZE + 2; text++) {
        text = memchr(text, NAME[0], (size_t)(end - text) - NAME_SIZE - 2);
        if (text == NULL) {
            return 0;
        }
        const char *value = text + NAME_SIZE;
        value += memcmp(value, "=\"", 2) == 0 ? 2 : *value == '>' ? 1 : 0;
        if (memcmp(text, NAME, NAME_SIZE) == 0 && value > text + NAME_SIZE && *value >= '0' &&
            *value <= '9') {
            return *value >= '1' && *value <= '8' ? *value - '0' : 1;
        }
    }
    return 0;
}

/* The next marker at or after `at`, past what is none and past the FF that may fill up before it;
 * its segment begins at *segment. -1: the data ends. */
static int next_marker(const uint8_t *data, size_t size, size_t at, size_t *segment) {
    for (; at + 1 < size; at++) {
        if (data[at] == 0xFF && data[at + 1] != 0xFF && data[at + 1] != 0) {
            *segment = at + 2;
            return data[at + 1];
        }
    }
    return -1;
}

int exif_jpeg_orientation(const uint8_t *data, size_t size) {
    enum { TEM = 0x01, RST0 = 0xD0, START = 0xD8, END = 0xD9, START_OF_SCAN = 0xDA, APP1 = 0xE1 };
    static const char EXIF[] = "Exif\0", XMP[] = "http://ns.adobe.com/xap/1.0/"; /* and a zero */
    int xmp = 0, marker;
    size_t at = 0;
    while ((marker = next_marker(data, size, at, &at)) >= 0 && marker != START_OF_SCAN &&
           marker != END) {
        if (marker == TEM || (marker >= RST0 && marker <= START)) { /* no segment follows */
            continue;
        }
        size_t length = at + 2 <= size ? (size_t)data[at] << 8 | data[at + 1] : 0;
        if (length < 2 || length > size - at) {
            break;
        }
        const uint8_t *body = data + at + 2;
        if (marker == APP1 && length - 2 >= sizeof EXIF && memcmp(body, EXIF, sizeof EXIF) == 0) {
            int orientation = exif_orientation(body, length - 2);
            if (orientation > 0) {
                return orientation;
            }
        } else if (marker == APP1 && xmp == 0 && length - 2 >= sizeof XMP &&
                   memcmp(body, XMP, sizeof XMP) == 0) {
            xmp = exif_xmp_orientation(body, length - 2);
        }
        at += length;
    }
    return xmp;
}

int exif_apply(struct image *i, int orientation, struct error *e) {
    if (orientation <= 1) {
        return 0;
    }
    struct image upright;
    int64_t w = i->width, h = i->height;
    bool turned = orientation >= 5;
    int rc = image_new(&upright, turned ? h : w, turned ? w : h, i->channels, e);
    if (rc < 0) {
        return rc;
    }
    /* Where in the picture pixel (x, y) of the upright one is: its column and row count from the
     * far side in these orientations. */
    bool far_column = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool far_row = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int64_t pixel = i->channels;
    uint8_t *to = upright.pixels;
    for (int64_t y = 0; y < upright.height; y++) {
        for (int64_t x = 0; x < upright.width; x++, to += pixel) {
            int64_t column = turned ? y : x, row = turned ? x : y;
            column = far_column ? w - 1 - column : column;
            row = far_row ? h - 1 - row : row;
            memcpy(to, i->pixels + (row * w + column) * pixel, (size_t)pixel);
        }
    }
    image_close(i);
    *i = upright;
    return 0;
}
