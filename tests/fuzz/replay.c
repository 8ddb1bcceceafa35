/* replay.c - runs a fuzz target over every file of the folders given, so that the corpus is an
 * ordinary test. Each file is also tried cut at several lengths and with single bytes changed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIANTS = 24 };

static void replay_bytes(const uint8_t *data, size_t size) {
    uint32_t random = 2463534242u;
    LLVMFuzzerTestOneInput(data, size);
    for (int i = 0; i < VARIANTS && size > 0; i++) {
        size_t cut = size * (size_t)i / VARIANTS;
        uint8_t *copy = malloc(size); /* exactly as large as said, so that ASan sees each overrun */
        if (!copy) {
            exit(EXIT_FAILURE);
        }
        memcpy(copy, data, size);
        for (int k = 0; k < 4; k++) { /* xorshift: the same variants every time */
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            copy[random % size] = (uint8_t)(random >> 8);
        }
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
        copy = malloc(cut ? cut : 1);
        if (!copy) {
            exit(EXIT_FAILURE);
        }
        memcpy(copy, data, cut);
        LLVMFuzzerTestOneInput(copy, cut);
        free(copy);
    }
}

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    static uint8_t data[1 << 20];
    size_t size = fread(data, 1, sizeof data, file);
    int bad = ferror(file);
    fclose(file);
    if (bad) {
        perror(path);
        return -1;
    }
    replay_bytes(data, size);
    return 0;
}

int main(int argc, char **argv) {
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (entry->d_name[0] == '.') {
                continue;
            }
            if (replay_file(path) != 0) {
                closedir(folder);
                return EXIT_FAILURE;
            }
            files++;
        }
        closedir(folder);
    }
    printf("%d files replayed, %d variants each\n", files, 2 * VARIANTS);
    return files ? EXIT_SUCCESS : EXIT_FAILURE;
}
