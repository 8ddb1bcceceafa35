/* ttml_fuzz.c - a TTML file made of any bytes. */
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_file(data, size, "ttml");
    return 0;
}
