/* profile.c - see profile.h. */
#include "render/text/profile.h"

const struct profile PROFILES[PROFILE_COUNT] = {
    [PROFILE_READ10] = {.family = "DejaVu Sans",
                        .size = 640,
                        .pitch = 16,
                        .gutter = 1,
                        .inset = 2,
                        .hinting = HINTING_LIGHT},
    [PROFILE_CLEAR] = {.family = "DejaVu Sans",
                       .size = 768,
                       .pitch = 16,
                       .margin = 1,
                       .gutter = 2,
                       .hinting = HINTING_LIGHT},
    [PROFILE_DENSE] = {.family = "DejaVu Sans", .size = 512, .pitch = 8, .gutter = 1, .inset = 2},
    [PROFILE_CELL10] = {.family = "DejaVu Sans",
                        .size = 640,
                        .pitch = 16,
                        .inset = 1,
                        .hinting = HINTING_FONT,
                        .cells = true},
    [PROFILE_CELL8] = {.family = "DejaVu Serif",
                       .size = 512,
                       .pitch = 8,
                       .inset = 1,
                       .hinting = HINTING_FONT,
                       .cells = true},
};

const char *const PROFILE_NAMES[PROFILE_COUNT + 1] = {[PROFILE_READ10] = "read10",
                                                      [PROFILE_CLEAR] = "clear",
                                                      [PROFILE_DENSE] = "dense",
                                                      [PROFILE_CELL10] = "cell10",
                                                      [PROFILE_CELL8] = "cell8"};

const char *profile_name(const struct profile *profile) {
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (profile == &PROFILES[i]) {
            return PROFILE_NAMES[i];
        }
    }
    return "custom";
}
