/* srt_fuzz.c - a SubRip file made of any bytes, and the same bytes as the text of one cue. */
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_file(data, size, "srt");
    require_strip(caption_strip_subrip, data, size);
    return 0;
}
