/* srv_fuzz.c - a file of srv1 to srv3 made of any bytes. */
#include "tests/fuzz/caption_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_file(data, size, "srv3");
    return 0;
}
