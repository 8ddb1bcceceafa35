/* store_file_fuzz.c - any bytes as a data.mdb: they are too short, or damaged, or left to LMDB. */
#define _DEFAULT_SOURCE /* mkstemp */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/occ-fuzz-XXXXXX";
static int file = -1;

static void clean(void) {
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (file < 0) {
        file = mkstemp(path);
        atexit(clean);
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
        abort();
    }
    struct error e;
    if (store_check_file(path, size % 2 == 0, &e) < 0 && e.text[0] == '\0') {
        abort();
    }
    return 0;
}
