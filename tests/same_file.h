/* same_file.h - whether two files hold the same bytes; false where one cannot be read. */
#ifndef OCC_TESTS_SAME_FILE_H
#define OCC_TESTS_SAME_FILE_H

#include <string.h>

#include "store/file.h"

static inline bool same_file(const char *a, const char *b) {
    struct bytes x, y;
    bytes_init(&x, 1 << 26);
    bytes_init(&y, 1 << 26);
    bool same = file_read(a, &x, NULL) == 0 && file_read(b, &y, NULL) == 0 && x.size == y.size &&
                memcmp(x.data, y.data, x.size) == 0;
    bytes_close(&x);
    bytes_close(&y);
    return same;
}

#endif
