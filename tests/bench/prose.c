/* prose.c - see prose.h. */
#include "prose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/bytes.h"

enum { WORDS_LEAST = 20, WORDS_SPREAD = 100, WORD_SPREAD = 10 };
#define PROSE_LIMIT ((size_t)256 << 20)

struct paragraph {
    size_t start, size;
};

struct prose {
    struct bytes file, text; /* text: the paragraph in hand */
    struct paragraph *items; /* of the file, in the order of this pass */
    size_t count, next;
    int fresh;
    uint64_t random;
};

/* splitmix64 */
static uint64_t random_next(struct prose *p) {
    p->random += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = p->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static size_t random_below(struct prose *p, size_t limit) {
    return (size_t)(random_next(p) % limit);
}

static int read_file(struct prose *p, const char *path, struct error *e) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return error_errno(e, errno, "%s", path);
    }
    int rc = 0;
    size_t got = 1;
    while (rc == 0 && got > 0) {
        rc = bytes_reserve(&p->file, 1 << 16, e);
        if (rc == 0) {
            got = fread(p->file.data + p->file.size, 1, 1 << 16, file);
            p->file.size += got;
        }
    }
    if (rc == 0 && ferror(file)) {
        rc = error_errno(e, errno, "%s", path);
    }
    fclose(file);
    return rc;
}

static int split_lines(struct prose *p, const char *path, struct error *e) {
    const char *text = (const char *)p->file.data;
    size_t size = p->file.size, lines = 1;
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    p->items = calloc(lines, sizeof *p->items);
    if (!p->items) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    for (size_t start = 0; start < size;) {
        const char *end = memchr(text + start, '\n', size - start);
        size_t length = end ? (size_t)(end - text) - start : size - start;
        if (length > 0) {
            p->items[p->count++] = (struct paragraph){start, length};
        }
        start += length + 1;
    }
    p->next = p->count;
    return p->count > 0 ? 0 : error_set(e, ERR_FORMAT, "%s: no text in it", path);
}

int prose_open(struct prose **out, const char *path, int fresh, uint64_t seed, struct error *e) {
    struct prose *p = calloc(1, sizeof *p);
    if (!p) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    bytes_init(&p->file, PROSE_LIMIT);
    bytes_init(&p->text, PROSE_LIMIT);
    p->random = seed;
    p->fresh = fresh;
    int rc = path ? read_file(p, path, e) : 0;
    rc = rc == 0 && path ? split_lines(p, path, e) : rc;
    if (rc < 0) {
        prose_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void prose_close(struct prose *p) {
    if (p) {
        bytes_close(&p->file);
        bytes_close(&p->text);
        free(p->items);
        free(p);
    }
}

static int append_random_word(struct prose *p, struct error *e) {
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char word[WORD_SPREAD];
    size_t size = 1 + random_below(p, WORD_SPREAD);
    for (size_t i = 0; i < size; i++) {
        word[i] = LETTERS[random_below(p, sizeof LETTERS - 1)];
    }
    return bytes_append(&p->text, word, size, e);
}

static int random_paragraph(struct prose *p, struct error *e) {
    size_t words = WORDS_LEAST + random_below(p, WORDS_SPREAD);
    int rc = append_random_word(p, e);
    for (size_t i = 1; rc == 0 && i < words; i++) {
        rc = bytes_append(&p->text, " ", 1, e);
        if (rc == 0) {
            rc = append_random_word(p, e);
        }
    }
    return rc;
}

static void shuffle(struct prose *p) {
    for (size_t i = p->count - 1; i > 0; i--) {
        size_t other = random_below(p, i + 1);
        struct paragraph kept = p->items[i];
        p->items[i] = p->items[other];
        p->items[other] = kept;
    }
    p->next = 0;
}

static bool is_ascii(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static int file_paragraph(struct prose *p, struct error *e) {
    if (p->next == p->count) {
        shuffle(p);
    }
    struct paragraph item = p->items[p->next++];
    const char *text = (const char *)p->file.data + item.start;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < item.size;) {
        const char *end = memchr(text + at, ' ', item.size - at);
        size_t size = end ? (size_t)(end - text) - at : item.size - at;
        bool replace = p->fresh > 0 && size > 0 && is_ascii(text + at, size) &&
                       random_below(p, (size_t)p->fresh) == 0;
        rc = replace ? append_random_word(p, e) : bytes_append(&p->text, text + at, size, e);
        at += size;
        if (rc == 0 && at < item.size) {
            rc = bytes_append(&p->text, " ", 1, e);
            at++;
        }
    }
    return rc;
}

int prose_next(struct prose *p, const char **text, size_t *size, struct error *e) {
    bytes_clear(&p->text);
    int rc = p->count > 0 ? file_paragraph(p, e) : random_paragraph(p, e);
    *text = bytes_text(&p->text);
    *size = p->text.size;
    return rc;
}
