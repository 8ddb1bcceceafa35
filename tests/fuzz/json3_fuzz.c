/* json3_fuzz.c - a json3 file made of any bytes. */
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_file(data, size, "json3");
    return 0;
}
