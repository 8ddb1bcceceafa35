/* srt_fuzz.c - a SubRip file made of any bytes. */
#include <libavutil/log.h>

#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    av_log_set_level(AV_LOG_QUIET);
    require_file(data, size, "srt");
    return 0;
}
