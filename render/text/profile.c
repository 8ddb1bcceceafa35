#include "render/text/profile.h"

const struct page_size PAGE_SIZES[MODE_COUNT] = {
    [MODE_TINY] = {.name = "tiny", .side = 512, .tokens = 64},
    [MODE_BASE] = {.name = "base", .side = 1024, .tokens = 256, .may_have_columns = true},
    [MODE_HIFI] = {.name = "hifi", .side = 1280, .tokens = 800, .may_have_columns = true},
};

const struct profile PROFILES[PROFILE_COUNT] = {
    [PROFILE_READ10] = {.name = "read10",
                        .family = "DejaVu Sans",
                        .size = 640,
                        .pitch = 16,
                        .gutter = 1,
                        .inset = 2,
                        .hinted = true},
    [PROFILE_CLEAR] = {.name = "clear",
                       .family = "DejaVu Sans",
                       .size = 768,
                       .pitch = 16,
                       .margin = 1,
                       .gutter = 2,
                       .hinted = true},
    [PROFILE_DENSE] = {.name = "dense",
                       .family = "DejaVu Sans",
                       .size = 512,
                       .pitch = 8,
                       .gutter = 1,
                       .inset = 2},
};

const char *const MODE_NAMES[MODE_COUNT + 1] = {
    [MODE_TINY] = "tiny", [MODE_BASE] = "base", [MODE_HIFI] = "hifi"};

const char *const PROFILE_NAMES[PROFILE_COUNT + 1] = {
    [PROFILE_READ10] = "read10", [PROFILE_CLEAR] = "clear", [PROFILE_DENSE] = "dense"};
