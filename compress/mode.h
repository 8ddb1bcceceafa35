/* mode.h - sizes of pages, by the names that they have in the field. */
#ifndef OCC_COMPRESS_MODE_H
#define OCC_COMPRESS_MODE_H

#include <stdint.h>

enum encode_mode {
    ENCODE_TINY,   /* 512 pixels, 64 tokens */
    ENCODE_SMALL,  /* 640, 100 */
    ENCODE_BASE,   /* 1024, 256 */
    ENCODE_LARGE,  /* 1280, 400 */
    ENCODE_HIFI,   /* 1280, 800: two phases */
    ENCODE_GUNDAM, /* tiles of 640 and a global view of 1024 */
    ENCODE_COUNT
};

struct mode_size {
    const char *name;
    int side; /* pixels; of gundam, the global view's */
    int phases;
};
extern const struct mode_size ENCODE_MODES[ENCODE_COUNT];
extern const char *const ENCODE_MODE_NAMES[ENCODE_COUNT + 1]; /* ends in NULL */

/* The mode of that name, or -1. */
int encode_mode_named(const char *name);

enum { GUNDAM_TILE = 640, GUNDAM_TILES = 9 /* at most, as the published inference has it */ };

#endif
