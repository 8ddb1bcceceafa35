/* tokens_compare.c - visual tokens beside others of the same pages:
 *
 *     tokens_compare ONE OTHER LEAST
 *
 * Files of `occ store export --format safetensors`. Prints how many tokens there are, and the least
 * and the mean cosine of a token with its like; fails where one is below LEAST, and where the files
 * have not the same pages. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/safetensors.h"

static void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "tokens_compare: %s\n", e->text);
        exit(1);
    }
}

static int64_t count_of(const struct safetensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= t->shape[i];
    }
    return count;
}

static float *floats_of(const struct safetensors *s, const struct safetensor *t) {
    struct error e;
    float *values = malloc((size_t)count_of(t) * sizeof *values + 1);
    if (values == NULL) {
        exit(1);
    }
    must(safetensors_floats(s, t, values, &e), &e);
    return values;
}

/* 0 where one of them is not a number. */
static double cosine_of(const float *a, const float *b, int64_t width) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < width; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    const double cosine = ab / sqrt(aa * bb);
    return isfinite(cosine) ? cosine : 0;
}

struct sum {
    int64_t tokens;
    double least, all;
};

/* False: they are not of one shape. */
static bool add_page(struct sum *s, struct safetensors *const files[2],
                     const struct safetensor *const t[2]) {
    if (t[1] == NULL || t[0]->rank < 2 || t[0]->rank != t[1]->rank ||
        memcmp(t[0]->shape, t[1]->shape, (size_t)t[0]->rank * sizeof *t[0]->shape) != 0) {
        return false;
    }
    const int64_t width = t[0]->shape[t[0]->rank - 1], rows = count_of(t[0]) / width;
    float *values[2] = {floats_of(files[0], t[0]), floats_of(files[1], t[1])};
    for (int64_t i = 0; i < rows; i++) {
        const double cosine = cosine_of(values[0] + i * width, values[1] + i * width, width);
        s->least = cosine < s->least ? cosine : s->least;
        s->all += cosine;
    }
    s->tokens += rows;
    free(values[0]);
    free(values[1]);
    return true;
}

/* Vectors of the encoder itself are in the file, too. */
int main(int argc, char **argv) {
    struct safetensors *files[2];
    struct sum sum = {.least = 1};
    struct error e;
    bool same = true;
    if (argc != 4) {
        fprintf(stderr, "tokens_compare: ONE OTHER LEAST\n");
        return 2;
    }
    must(safetensors_open(&files[0], argv[1], &e), &e);
    must(safetensors_open(&files[1], argv[2], &e), &e);
    for (size_t i = 0; i < safetensors_count(files[0]); i++) {
        const struct safetensor *const t[2] = {
            safetensors_get(files[0], i),
            safetensors_find(files[1], safetensors_get(files[0], i)->name)};
        same = (t[0]->rank < 2 || add_page(&sum, files, t)) && same;
    }
    same = same && safetensors_count(files[0]) == safetensors_count(files[1]) && sum.tokens > 0;
    printf("%lld tokens, least cosine %.6f, mean %.6f%s\n", (long long)sum.tokens, sum.least,
           sum.tokens > 0 ? sum.all / (double)sum.tokens : 0, same ? "" : "; not the same pages");
    safetensors_close(files[0]);
    safetensors_close(files[1]);
    return !same || sum.least < strtod(argv[3], NULL);
}
