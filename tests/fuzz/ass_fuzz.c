/* ass_fuzz.c - an ASS file made of any bytes, and the same bytes as the text of one event. */
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_file(data, size, "ass");
    require_strip(caption_strip_ass, data, size);
    return 0;
}
