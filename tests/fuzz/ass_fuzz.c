/* ass_fuzz.c - an ASS file made of any bytes, and the same bytes as the text of one event. */
#include <libavutil/log.h>

#include "tests/fuzz/caption_check.h"

static void strip(const char *text, size_t size) {
    struct bytes out;
    bytes_init(&out, 3 * size + 2); /* a replaced byte becomes three */
    require(bytes_append(&out, "- ", 2, NULL) == 0);
    require(caption_strip_ass(&out, text, size, NULL) == 0);
    require(out.size >= 2 && memcmp(out.data, "- ", 2) == 0);
    if (out.size > 2) {
        require_plain((const char *)out.data + 2, out.size - 2);
    }
    bytes_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    av_log_set_level(AV_LOG_QUIET);
    require_file(data, size, "ass");
    strip((const char *)data, size);
    return 0;
}
