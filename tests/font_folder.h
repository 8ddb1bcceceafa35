/* font_folder.h - a folder of fonts, made for a test, as the only fonts that fontconfig knows. */
#ifndef OCC_TESTS_FONT_FOLDER_H
#define OCC_TESTS_FONT_FOLDER_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

enum { FOLDER_PATH = 1024 };

struct font_folder {
    char path[256];
};

static inline void folder_path(const struct font_folder *f, const char *name,
                               char path[FOLDER_PATH]) {
    snprintf(path, FOLDER_PATH, "%s/%s", f->path, name);
}

/* "a/b" of the folder gets the first `size` bytes of a file, or all of them where it has fewer. */
static inline void folder_copy(const struct font_folder *f, const char *from, const char *name,
                               size_t size) {
    char path[FOLDER_PATH], block[4096];
    folder_path(f, name, path);
    FILE *in = fopen(from, "rb"), *out = fopen(path, "wb");
    if (!in || !out) {
        perror(path);
        abort();
    }
    size_t got = 1;
    while (size > 0 && got > 0) {
        got = fread(block, 1, size < sizeof block ? size : sizeof block, in);
        CHECK(fwrite(block, 1, got, out) == got);
        size -= got;
    }
    fclose(in);
    CHECK(fclose(out) == 0);
}

/* Fonts are looked for in the folders `first` and `second` of this one. */
static inline void folder_use(const struct font_folder *f, const char *first, const char *second) {
    char path[FOLDER_PATH];
    folder_path(f, "fonts.conf", path);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        abort();
    }
    fprintf(file,
            "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"urn:fontconfig:fonts.dtd\">\n"
            "<fontconfig><dir>%s/%s</dir><dir>%s/%s</dir><cachedir>%s/cache</cachedir>"
            "</fontconfig>\n",
            f->path, first, f->path, second, f->path);
    CHECK(fclose(file) == 0);
    CHECK(setenv("FONTCONFIG_FILE", path, 1) == 0);
}

/* Has the folders "a" and "b", both empty. */
static inline void folder_open(struct font_folder *f) {
    const char *base = getenv("TMPDIR");
    snprintf(f->path, sizeof f->path, "%s/font-test-XXXXXX", base ? base : "/tmp");
    char path[FOLDER_PATH];
    bool ok = mkdtemp(f->path) != NULL;
    folder_path(f, "a", path);
    ok = ok && mkdir(path, 0700) == 0;
    folder_path(f, "b", path);
    if (!ok || mkdir(path, 0700) != 0) {
        perror(f->path);
        abort();
    }
    folder_use(f, "a", "b");
}

static inline int folder_remove(const char *path, const struct stat *info, int type,
                                struct FTW *place) {
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void folder_close(const struct font_folder *f) {
    unsetenv("FONTCONFIG_FILE");
    CHECK(nftw(f->path, folder_remove, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

#endif
