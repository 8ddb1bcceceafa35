/* mask.c - see mask.h. */
#include "train/gspf/mask.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/array.h"
#include "store/file.h"

static const char HEAD[] = "# occ mask 1";
enum { MOST_BYTES = 64 << 20, MOST_LINE = 256 };

/* ---- Units ----------------------------------------------------------------------------------- */

void mask_close(struct mask *m) {
    free(m->units);
    *m = (struct mask){.count = 0};
}

static int compare_matrices(int64_t layer, enum decoder_matrix which, const struct mask_unit *u) {
    if (layer != u->layer) {
        return layer < u->layer ? -1 : 1;
    }
    return (which > u->matrix) - (which < u->matrix);
}

static int compare_units(const void *a, const void *b) {
    const struct mask_unit *x = a, *y = b;
    const int matrices = compare_matrices(x->layer, x->matrix, y);
    return matrices != 0 ? matrices : (x->first_row > y->first_row) - (x->first_row < y->first_row);
}

int mask_sort(struct mask *m, struct error *e) {
    if (m->count > 0) {
        qsort(m->units, m->count, sizeof *m->units, compare_units);
    }
    for (size_t i = 1; i < m->count; i++) {
        const struct mask_unit *u = &m->units[i - 1], *next = &m->units[i];
        if (compare_matrices(u->layer, u->matrix, next) == 0 &&
            u->first_row + u->rows > next->first_row) {
            char name[TENSOR_SPEC_NAME];
            decoder_weight_name(name, u->layer, u->matrix);
            return error_set(e, ERR_FORMAT, "row %" PRId32 " of %s is named twice", next->first_row,
                             name);
        }
    }
    return 0;
}

const struct mask_unit *mask_find(const struct mask *m, int64_t layer, enum decoder_matrix which,
                                  size_t *count) {
    size_t first = 0, end = m->count;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        if (compare_matrices(layer, which, &m->units[middle]) > 0) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    *count = 0;
    while (first + *count < m->count &&
           compare_matrices(layer, which, &m->units[first + *count]) == 0) {
        ++*count;
    }
    return m->count > 0 ? m->units + first : NULL;
}

int64_t mask_rows(const struct mask *m, int64_t layer, enum decoder_matrix which) {
    size_t count;
    int64_t rows = 0;
    const struct mask_unit *u = mask_find(m, layer, which, &count);
    for (size_t i = 0; i < count; i++) {
        rows += u[i].rows;
    }
    return rows;
}

int64_t mask_parameters(const struct mask *m, const struct decoder_config *c) {
    int64_t parameters = 0;
    for (size_t i = 0; i < m->count; i++) {
        int64_t outputs, inputs;
        decoder_matrix_shape(c, m->units[i].matrix, &outputs, &inputs);
        parameters += m->units[i].rows * inputs;
    }
    return parameters;
}

uint64_t mask_hash(const struct mask *m) {
    XXH64_hash_t hash = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct mask_unit *u = &m->units[i];
        const int32_t numbers[] = {u->layer, (int32_t)u->matrix, u->first_row, u->rows};
        hash = XXH3_64bits_withSeed(numbers, sizeof numbers, hash);
    }
    return hash;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The matrix of that name: exactly as it is written. */
static bool parse_matrix(struct mask_unit *u, const char *name, const struct decoder_config *c) {
    static const char PREFIX[] = "model.layers.";
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) {
        return false;
    }
    const long long layer = strtoll(name + sizeof PREFIX - 1, NULL, 10);
    for (int i = 0; i < DECODER_MATRICES && layer >= 0 && layer < c->layers; i++) {
        char known[TENSOR_SPEC_NAME];
        decoder_weight_name(known, layer, (enum decoder_matrix)i);
        if (strcmp(name, known) == 0) {
            u->layer = (int32_t)layer;
            u->matrix = (enum decoder_matrix)i;
            return true;
        }
    }
    return false;
}

static bool parse_number(int64_t *out, const char *text) {
    char *end;
    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    const long long number = strtoll(text, &end, 10);
    *out = (int64_t)number;
    return *end == '\0' && number >= 0 && number <= INT32_MAX;
}

static bool parse_score(double *out, const char *text) {
    char *end;
    *out = text != NULL ? strtod(text, &end) : 0;
    return text == NULL || (end != text && *end == '\0' && isfinite(*out));
}

/* Words of a line, which is cut up; *count: how many, one more than `most` at most. */
static void split(char *line, char *words[], int most, int *count) {
    char *rest = NULL;
    *count = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && *count <= most;
         word = strtok_r(NULL, " \t\r", &rest)) {
        words[(*count)++] = word;
    }
}

/* A line that names a unit. */
static int parse_unit(struct mask_unit *u, char *line, const struct decoder_config *c,
                      struct error *e) {
    enum { WORDS = 4 };
    char *words[WORDS + 1] = {NULL};
    int count;
    int64_t first = 0, rows = 0, outputs, inputs;
    split(line, words, WORDS, &count);
    if (count < WORDS - 1 || count > WORDS) {
        return error_set(e, ERR_FORMAT, "is not MATRIX FIRST-ROW ROWS [SCORE]");
    }
    if (!parse_matrix(u, words[0], c)) {
        return error_set(e, ERR_FORMAT, "the model has no matrix %.150s", words[0]);
    }
    if (!parse_number(&first, words[1]) || !parse_number(&rows, words[2]) ||
        !parse_score(&u->score, words[3])) {
        return error_set(e, ERR_FORMAT, "is not MATRIX FIRST-ROW ROWS [SCORE]");
    }
    decoder_matrix_shape(c, u->matrix, &outputs, &inputs);
    if (rows < 1 || first + rows > outputs) {
        return error_set(e, ERR_FORMAT,
                         "%s has %" PRId64 " rows, not %" PRId64 " from %" PRId64 " on", words[0],
                         outputs, rows, first);
    }
    u->first_row = (int32_t)first;
    u->rows = (int32_t)rows;
    return 0;
}

static int add_unit(struct mask *m, size_t *capacity, char *line, const struct decoder_config *c,
                    struct error *e) {
    struct mask_unit unit = {.layer = 0};
    int rc = parse_unit(&unit, line, c, e);
    if (rc < 0) {
        return rc;
    }
    struct mask_unit *units = array_grow(m->units, capacity, m->count + 1, sizeof *units, e);
    if (units == NULL) {
        return ERR_MEMORY;
    }
    m->units = units;
    m->units[m->count++] = unit;
    return 0;
}

/* The line from `at` on, without its end; what has a zero byte or is too long is none. */
static bool copy_line(char to[MOST_LINE], const char *at, size_t size) {
    if (size >= MOST_LINE || memchr(at, '\0', size) != NULL) {
        return false;
    }
    memcpy(to, at, size);
    to[size] = '\0';
    return true;
}

/* All lines; *number: of the last one. */
static int parse_lines(struct mask *m, const char *text, size_t size, size_t *number,
                       const struct decoder_config *c, struct error *e) {
    size_t capacity = 0;
    int rc = 0;
    *number = 0;
    for (size_t at = 0; at < size && rc == 0;) {
        char line[MOST_LINE];
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end != NULL ? (size_t)(end - text) - at : size - at;
        const bool is_comment = text[at] == '#';
        ++*number;
        if (!is_comment && !copy_line(line, text + at, length)) {
            rc = error_set(e, ERR_FORMAT, "is not a line of a mask");
        } else if (!is_comment && line[strspn(line, " \t\r")] != '\0') {
            rc = add_unit(m, &capacity, line, c, e);
        }
        at += length + 1;
    }
    return rc;
}

/* The first line, and what ends it. */
static bool has_head(const char *text, size_t size) {
    const size_t length = sizeof HEAD - 1;
    return size >= length && memcmp(text, HEAD, length) == 0 &&
           (size == length || text[length] == '\r' || text[length] == '\n');
}

int mask_parse(struct mask *m, const char *path, const char *text, size_t size,
               const struct decoder_config *c, struct error *e) {
    size_t number = 0;
    *m = (struct mask){.count = 0};
    if (!has_head(text, size)) {
        return error_set(e, ERR_FORMAT, "%s: is not a mask: its first line is not '%s'", path,
                         HEAD);
    }
    int rc = parse_lines(m, text, size, &number, c, e);
    if (rc < 0) {
        rc = error_context(e, "%s: line %zu", path, number);
    } else if (m->count == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: chooses no rows", path);
    } else {
        rc = mask_sort(m, e);
        rc = rc < 0 ? error_context(e, "%s", path) : 0;
    }
    if (rc < 0) {
        mask_close(m);
    }
    return rc;
}

int mask_read(struct mask *m, const char *path, const struct decoder_config *c, struct error *e) {
    struct bytes file;
    *m = (struct mask){.count = 0};
    bytes_init(&file, MOST_BYTES);
    int rc = file_read(path, &file, e);
    if (rc == 0) {
        rc = mask_parse(m, path, bytes_text(&file), file.size, c, e);
    }
    bytes_close(&file);
    return rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int print_comment(struct bytes *text, const char *comment, struct error *e) {
    int rc = 0;
    while (comment != NULL && *comment != '\0' && rc == 0) {
        const size_t length = strcspn(comment, "\n");
        rc = bytes_printf(text, e, "# %.*s\n", (int)length, comment);
        comment += comment[length] == '\n' ? length + 1 : length;
    }
    return rc;
}

int mask_write(const char *path, const struct mask *m, const char *comment, struct error *e) {
    struct output_file file;
    struct bytes text;
    bytes_init(&text, MOST_BYTES);
    int rc = bytes_printf(&text, e, "%s\n", HEAD);
    if (rc == 0) {
        rc = print_comment(&text, comment, e);
    }
    for (size_t i = 0; i < m->count && rc == 0; i++) {
        const struct mask_unit *u = &m->units[i];
        char name[TENSOR_SPEC_NAME];
        decoder_weight_name(name, u->layer, u->matrix);
        rc = bytes_printf(&text, e, "%s %" PRId32 " %" PRId32 " %.6g\n", name, u->first_row,
                          u->rows, u->score);
    }
    if (rc == 0) {
        rc = output_file_open(&file, path, e);
    }
    if (rc == 0) {
        rc = file_write(file.fd, text.data, text.size, NULL, e);
        if (rc == 0) {
            rc = output_file_commit(&file, e);
        } else {
            rc = error_context(e, "%s", path);
            output_file_discard(&file);
        }
    }
    bytes_close(&text);
    return rc;
}
