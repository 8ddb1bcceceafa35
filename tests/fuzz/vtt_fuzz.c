/* vtt_fuzz.c - a WebVTT file made of any bytes. */
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_file(data, size, "vtt");
    return 0;
}
