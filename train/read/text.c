/* text.c - see text.h. */
#include "train/read/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "render/text/character.h"
#include "store/file.h"
#include "store/random.h"
#include "store/utf8.h"

enum { OVERFLOW = 1 << 20 };

/* ---- Files ----------------------------------------------------------------------------------- */

static int map_file(struct text_file *f, const char *path, struct error *e) {
    int fd;
    struct stat status;
    int rc = file_open_regular(path, &fd, e);
    if (rc < 0) {
        return rc;
    }
    if (fstat(fd, &status) != 0 || status.st_size == 0) {
        close(fd);
        return error_set(e, ERR_FORMAT, "%s: is empty", path);
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED) {
        return error_set(e, ERR_MEMORY, "%s: cannot be mapped", path);
    }
    *f = (struct text_file){.data = data, .size = (size_t)status.st_size};
    return 0;
}

/* Of some characters in its middle, whether the alphabet lacks more than half. */
static bool is_strange(const struct text_file *f, const struct alphabet *alphabet) {
    enum { LOOKED_AT = 4096 /* bytes */ };
    size_t at = f->size > LOOKED_AT ? (f->size - LOOKED_AT) / 2 : 0, used;
    size_t end = f->size - at < LOOKED_AT ? f->size : at + LOOKED_AT;
    int all = 0, lacking = 0;
    while (at < end && ((unsigned char)f->data[at] & 0xC0) == 0x80) {
        at++;
    }
    for (; at < end; at += used) {
        lacking += alphabet_next(alphabet, f->data + at, end - at, &used) == ALPHABET_OTHER;
        all++;
    }
    return 2 * lacking > all;
}

/* Texts that the alphabet lacks get a hundredth of all. */
static void share_out(struct text_files *t, const struct alphabet *alphabet) {
    const double part = 0.01;
    double known = 0, strange = 0;
    for (int i = 0; i < t->count; i++) {
        t->shares[i] = sqrt((double)t->list[i].size);
        t->strange[i] = is_strange(&t->list[i], alphabet) ? t->shares[i] : 0;
        strange += t->strange[i];
        known += t->strange[i] > 0 ? 0 : t->shares[i];
    }
    for (int i = 0; i < t->count && known > 0; i++) {
        t->shares[i] *= t->strange[i] > 0 ? part / (1 - part) * known / strange : 1;
    }
}

int text_files_open(struct text_files *out, char *const *paths, int count,
                    const struct alphabet *alphabet, struct error *e) {
    *out = (struct text_files){.list = calloc((size_t)count, sizeof *out->list),
                               .shares = calloc((size_t)count, sizeof *out->shares),
                               .strange = calloc((size_t)count, sizeof *out->strange)};
    int rc = out->list != NULL && out->shares != NULL && out->strange != NULL
                 ? 0
                 : error_memory(e, NULL);
    for (; out->count < count && rc == 0; out->count++) {
        rc = map_file(&out->list[out->count], paths[out->count], e);
    }
    if (rc == 0) {
        share_out(out, alphabet);
    }
    return rc;
}

void text_files_close(struct text_files *t) {
    for (int i = 0; i < t->count; i++) {
        if (t->list[i].data != NULL) {
            union {
                const char *read;
                void *mapping;
            } file = {.read = t->list[i].data};
            munmap(file.mapping, t->list[i].size);
        }
    }
    free(t->list);
    free(t->shares);
    free(t->strange);
    *t = (struct text_files){.list = NULL};
}

const struct text_file *text_files_choose(const struct text_files *t, uint64_t *random) {
    return &t->list[random_choice(random, t->shares, t->count)];
}

const struct text_file *text_files_choose_strange(const struct text_files *t, uint64_t *random) {
    const struct text_file *f = &t->list[random_choice(random, t->strange, t->count)];
    return t->strange[f - t->list] > 0 ? f : NULL;
}

/* ---- Parts of them --------------------------------------------------------------------------- */

int text_stretch(struct bytes *out, const char *text, size_t text_size, size_t at, size_t size,
                 struct error *e) {
    const char *line = memchr(text + at, '\n', text_size - at);
    at = line != NULL ? (size_t)(line + 1 - text) : 0;
    int rc = 0;
    while (out->size < size && rc == 0) {
        size_t left = text_size - at, wanted = size - out->size;
        size_t part = utf8_floor(text + at, left < wanted ? left : wanted);
        if (part == 0) { /* not one character has room: rather more than less */
            part = left < OVERFLOW ? left : utf8_floor(text + at, OVERFLOW);
        }
        rc = bytes_append(out, text + at, part, e);
        at = 0;
    }
    return rc;
}

void text_join_lines(struct bytes *text) {
    for (size_t i = 0; i < text->size; i++) {
        text->data[i] = text->data[i] == '\n' ? ' ' : text->data[i];
    }
}

static bool is_blank(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Behind the blanks at `at`, round and round. A text of blanks alone ends where it began. */
static size_t skip_blanks(const struct text_file *f, size_t at) {
    for (size_t i = 0; i < f->size && is_blank(f->data[at]); i++) {
        at = at + 1 < f->size ? at + 1 : 0;
    }
    return at;
}

/* Somewhere, rather behind the end of a sentence or of a line. */
static size_t choose_place(const struct text_file *f, uint64_t *random) {
    enum { REACH = 400, ANYWHERE = 4 /* one of so many */ };
    size_t at = (size_t)random_below(random, (int64_t)f->size), end = at + REACH;
    end = end < f->size ? end : f->size;
    bool anywhere = random_below(random, ANYWHERE) == 0;
    for (size_t i = at; i + 1 < end; i++) {
        bool stop = strchr(".!?", f->data[i]) != NULL && f->data[i] != '\0';
        if (anywhere ? is_blank(f->data[i])
                     : f->data[i] == '\n' || (stop && f->data[i + 1] == ' ')) {
            return i + 1;
        }
    }
    while (at < f->size && !is_blank(f->data[at])) {
        at++;
    }
    return at < f->size ? at : 0;
}

int text_words(struct bytes *out, const struct text_file *f, int count, uint64_t *random,
               struct error *e) {
    size_t at = choose_place(f, random);
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        at = skip_blanks(f, at);
        size_t size = 0;
        while (at + size < f->size && !is_blank(f->data[at + size])) {
            size++;
        }
        size_t kept = size <= TEXT_WORD ? size : utf8_floor(f->data + at, TEXT_WORD);
        rc = i > 0 ? bytes_append(out, " ", 1, e) : 0;
        if (rc == 0) {
            rc = bytes_append(out, f->data + at, kept, e);
        }
        at = at + size < f->size ? at + size : 0;
    }
    return rc;
}

static int change_case(struct bytes *out, const char *text, size_t size,
                       uint32_t (*change)(uint32_t), struct error *e) {
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0;) {
        uint32_t c;
        bool valid;
        char changed[4];
        size_t length = utf8_decode(text + at, size - at, &c, &valid);
        rc = valid ? bytes_append(out, changed, utf8_encode(change(c), changed), e)
                   : bytes_append(out, text + at, length, e);
        at += length;
    }
    return rc;
}

int text_upper(struct bytes *out, const char *text, size_t size, struct error *e) {
    return change_case(out, text, size, character_upper, e);
}

int text_lower(struct bytes *out, const char *text, size_t size, struct error *e) {
    return change_case(out, text, size, character_lower, e);
}

/* ---- Random strings -------------------------------------------------------------------------- */

int text_random(struct bytes *out, const struct alphabet *alphabet, enum text_letters letters,
                size_t size, uint64_t *random, struct error *e) {
    static const double PARTS[ALPHABET_PARTS] = {
        [ALPHABET_ASCII] = 4, [ALPHABET_LATIN] = 2,    [ALPHABET_VIETNAMESE] = 1,
        [ALPHABET_GREEK] = 1, [ALPHABET_CYRILLIC] = 2, [ALPHABET_SIGNS] = 1,
        [ALPHABET_EMOJI] = 1};
    enum { LONGEST = 14 };
    int rc = 0;
    while (out->size < size && rc == 0) {
        int first, end;
        int part =
            letters == LETTERS_ALL ? random_choice(random, PARTS, ALPHABET_PARTS) : ALPHABET_ASCII;
        alphabet_range((enum alphabet_part)part, &first, &end);
        first += part == ALPHABET_ASCII; /* not the space */
        for (int64_t i = 1 + random_below(random, LONGEST); i > 0 && rc == 0; i--) {
            int index = first + (int)random_below(random, end - first);
            rc = bytes_append_text(out, alphabet_text(alphabet, index), e);
        }
        if (rc == 0) {
            rc = bytes_append(out, " ", 1, e);
        }
    }
    return rc;
}
