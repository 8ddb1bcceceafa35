/* page.h - grey pixels of a page that looks like text; peer_torch.py has the same formula,
 * normalised. */
#ifndef OCC_TESTS_BENCH_PAGE_H
#define OCC_TESTS_BENCH_PAGE_H

#include <stdbool.h>
#include <stdint.h>

static inline void page_of(uint8_t *pixels, int side) {
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            bool ink =
                (37 * (x / 3) + 101 * (y / 16) + 13 * (x / 11) * (y / 16)) % 7 < 3 && y % 16 < 11;
            pixels[y * side + x] = ink ? 0 : 255;
        }
    }
}

#endif
