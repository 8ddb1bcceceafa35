/* apart.c - see apart.h. */
#include "train/context/apart.h"

#include <stdint.h>
#include <string.h>
#include <xxhash.h>

static uint64_t hash_of(const char *name) {
    return XXH3_64bits(name, strlen(name));
}

void apart_choose(const char *const *names, size_t count, double share, bool *apart) {
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t hash = hash_of(names[i]);
        lowest = hash < lowest ? hash : lowest;
        highest = hash > highest ? hash : highest;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t hash = hash_of(names[i]);
        apart[i] = share > 0 && hash < highest && (hash == lowest || (double)hash < share * 0x1p64);
    }
}
