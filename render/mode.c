/* mode.c - see mode.h. */
#include "render/mode.h"

#include <stddef.h>
#include <string.h>

const struct page_size PAGE_SIZES[MODE_COUNT] = {
    [MODE_TINY] = {.side = 512, .column_offsets = 1},
    [MODE_SMALL] = {.side = 640, .column_offsets = 1},
    [MODE_BASE] = {.side = 1024, .column_offsets = 1, .text_columns = true},
    [MODE_LARGE] = {.side = 1280, .column_offsets = 1, .text_columns = true},
    [MODE_HIFI] = {.side = 1280, .column_offsets = 2, .text_columns = true},
    [MODE_GUNDAM] = {.side = 1024, .column_offsets = 1, .text_columns = true},
};

const char *const MODE_NAMES[MODE_COUNT + 1] = {
    [MODE_TINY] = "tiny",   [MODE_SMALL] = "small", [MODE_BASE] = "base",
    [MODE_LARGE] = "large", [MODE_HIFI] = "hifi",   [MODE_GUNDAM] = "gundam",
};

const char *const DRAWN_MODE_NAMES[DRAWN_MODES + 1] = {
    [DRAWN_TINY] = "tiny", [DRAWN_BASE] = "base", [DRAWN_HIFI] = "hifi"};

int mode_named(const char *name) {
    for (int i = 0; i < MODE_COUNT; i++) {
        if (name != NULL && strcmp(name, MODE_NAMES[i]) == 0) {
            return i;
        }
    }
    return -1;
}

int mode_rows(enum page_mode mode) {
    return PAGE_SIZES[mode].side / CELL;
}

int mode_columns(enum page_mode mode) {
    return mode_rows(mode) * PAGE_SIZES[mode].column_offsets;
}

int mode_tokens(enum page_mode mode) {
    return mode_rows(mode) * mode_columns(mode);
}
