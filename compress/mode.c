/* mode.c - see mode.h. */
#include "compress/mode.h"

#include <stddef.h>
#include <string.h>

const struct mode_size ENCODE_MODES[ENCODE_COUNT] = {
    [ENCODE_TINY] = {"tiny", 512, 1},  [ENCODE_SMALL] = {"small", 640, 1},
    [ENCODE_BASE] = {"base", 1024, 1}, [ENCODE_LARGE] = {"large", 1280, 1},
    [ENCODE_HIFI] = {"hifi", 1280, 2}, [ENCODE_GUNDAM] = {"gundam", 1024, 1},
};

const char *const ENCODE_MODE_NAMES[ENCODE_COUNT + 1] = {"tiny", "small",  "base", "large",
                                                         "hifi", "gundam", NULL};

int encode_mode_named(const char *name) {
    for (int i = 0; i < ENCODE_COUNT; i++) {
        if (name != NULL && strcmp(name, ENCODE_MODES[i].name) == 0) {
            return i;
        }
    }
    return -1;
}
