/* decoder_packed_test.c - folders whose matrices are stored packed: their numbers are what the
 * layout says (decoder.h), a session computes with them as with the same numbers in F32, and what
 * does not fit is refused. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "compress/dry.h"
#include "tests/model_folder.h"
#include "tests/tested_device.h"
#include "train/decoder/session.h"
#include "train/decoder/stored.h"

enum { TENSORS = 64, MOST = 300 * 64, BLOCK = 32, VOCABULARY = 300, TOKENS = 9 };

/* A file of packed tensors, and the floats that they stand for. */
struct packing {
    struct safetensor list[3 * TENSORS];
    char names[3 * TENSORS][TENSOR_SPEC_NAME + 16];
    size_t count;
    struct tensor_spec specs[TENSORS];
    float *floats[TENSORS];
    int matrices;
    uint64_t state;
};

static uint32_t random_bits(struct packing *p) {
    p->state = p->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(p->state >> 33);
}

static float random_small(struct packing *p) { /* exact in half precision */
    return (float)(1 + random_bits(p) % 31) / 1024.0f;
}

/* Zeroed memory of a new tensor of the file. */
static void *add(struct packing *p, const char *name, const char *suffix, enum dtype type,
                 int64_t rows, int64_t columns) {
    struct safetensor *t = &p->list[p->count];
    snprintf(p->names[p->count], sizeof p->names[0], "%s%s", name, suffix);
    *t = (struct safetensor){.name = p->names[p->count++],
                             .type = type,
                             .rank = columns > 0 ? 2 : 1,
                             .shape = {rows, columns}};
    t->bytes = (size_t)(rows * (columns > 0 ? columns : 1)) * dtype_size(type);
    void *data = calloc(1, t->bytes);
    t->data = data;
    return data;
}

static void put_half(uint16_t *list, int64_t i, float value) {
    dtype_from_float(list + i, DTYPE_F16, &value, 1);
}

static void pack_rows(struct packing *p, const struct tensor_spec *s, float *x) {
    const int64_t rows = s->shape[0], width = s->shape[1];
    signed char *q = add(p, s->name, "", DTYPE_I8, rows, width);
    float *scale = add(p, s->name, ".scale", DTYPE_F32, rows, 0);
    for (int64_t i = 0; i < rows * width; i++) {
        scale[i / width] = i % width == 0 ? random_small(p) : scale[i / width];
        q[i] = (signed char)(random_bits(p) % 255 - 127);
        x[i] = scale[i / width] * (float)q[i] / 16;
    }
    for (int64_t r = 0; r < rows; r++) {
        scale[r] /= 16;
    }
}

static void pack_blocks(struct packing *p, const struct tensor_spec *s, float *x) {
    const int64_t rows = s->shape[0], width = s->shape[1];
    signed char *q = add(p, s->name, "", DTYPE_I8, rows, width);
    uint16_t *scale = add(p, s->name, ".scale", DTYPE_F16, rows, width / BLOCK);
    for (int64_t b = 0; b < rows * width / BLOCK; b++) {
        const float factor = random_small(p) / 16;
        put_half(scale, b, factor);
        for (int64_t i = b * BLOCK; i < (b + 1) * BLOCK; i++) {
            q[i] = (signed char)(random_bits(p) % 255 - 127);
            x[i] = factor * (float)q[i];
        }
    }
}

/* Number i of a block lies in byte i % 16, the first 16 in the low halves. */
static void pack_fours(struct packing *p, const struct tensor_spec *s, float *x) {
    const int64_t rows = s->shape[0], width = s->shape[1];
    unsigned char *q = add(p, s->name, "", DTYPE_U8, rows, width / 2);
    uint16_t *scale = add(p, s->name, ".scale", DTYPE_F16, rows, width / BLOCK);
    uint16_t *minimum = add(p, s->name, ".minimum", DTYPE_F16, rows, width / BLOCK);
    for (int64_t b = 0; b < rows * width / BLOCK; b++) {
        const float factor = random_small(p), least = -random_small(p) * 7;
        put_half(scale, b, factor);
        put_half(minimum, b, least);
        for (int i = 0; i < BLOCK; i++) {
            const uint32_t number = random_bits(p) % 16;
            q[b * 16 + i % 16] |= (unsigned char)(i < 16 ? number : number << 4);
            x[b * BLOCK + i] = factor * (float)number + least;
        }
    }
}

/* In turn by row, in blocks, in fours. */
static int pack_one(void *context, const struct tensor_spec *s, struct error *e) {
    struct packing *p = context;
    const int64_t count = tensor_spec_count(s);
    float *x = calloc((size_t)count, sizeof *x);
    (void)e;
    p->specs[p->matrices] = *s;
    p->floats[p->matrices++] = x;
    if (s->rank == 1) {
        float *gain = add(p, s->name, "", DTYPE_F32, count, 0);
        for (int64_t i = 0; i < count; i++) {
            gain[i] = x[i] = 0.5f + random_small(p) * 16;
        }
    } else if (p->matrices % 3 == 0) {
        pack_rows(p, s, x);
    } else if (p->matrices % 3 == 1) {
        pack_blocks(p, s, x);
    } else {
        pack_fours(p, s, x);
    }
    return 0;
}

static struct packing packing;

static void end_packing(void) {
    for (size_t i = 0; i < packing.count; i++) {
        free((void *)(uintptr_t)packing.list[i].data);
    }
    for (int i = 0; i < packing.matrices; i++) {
        free(packing.floats[i]);
    }
    packing = (struct packing){.state = 1};
}

static struct decoder_config small_config(void) {
    struct decoder_config c;
    CHECK_NUMBER(decoder_preset(&c, "nano", NULL), 0);
    c.width = 64;
    c.layers = 2;
    c.heads = 4;
    c.kv_heads = 2;
    c.head_dim = 16;
    c.hidden = 96;
    return c;
}

/* A folder whose weights are packed, those of `packing`. */
static void packed_folder(char path[64]) {
    struct decoder_config c = small_config();
    struct error e = {0};
    char file[128];
    snprintf(path, 64, "/tmp/occ-model-XXXXXX");
    CHECK(mkdtemp(path) != NULL);
    CHECK_NUMBER(decoder_init(path, &c, SMALL_MODEL, DTYPE_F32, 1, &e), 0);
    CHECK_TEXT(e.text, "");
    c.vocabulary = VOCABULARY;
    end_packing();
    CHECK_NUMBER(decoder_config_list(&c, pack_one, &packing, &e), 0);
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    CHECK_NUMBER(safetensors_write(file, packing.list, packing.count, NULL, &e), 0);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static void packed_numbers_are_what_the_layout_says(void) {
    struct decoder_folder f;
    struct error e = {0};
    char path[64];
    int formats[4] = {0};
    static float x[MOST];
    packed_folder(path);
    if (CHECK_NUMBER(decoder_folder_open(&f, path, &e), 0)) {
        for (int i = 0; i < packing.matrices; i++) {
            const struct tensor_spec *s = &packing.specs[i];
            struct stored_matrix m;
            struct frozen_matrix stored;
            CHECK_NUMBER(decoder_folder_floats(&f, s->name, x, &e), 0);
            CHECK(memcmp(x, packing.floats[i], (size_t)tensor_spec_count(s) * sizeof *x) == 0);
            if (s->rank == 2) {
                CHECK_NUMBER(stored_matrix_find(&m, f.tensors, s->name, &e), 0);
                CHECK(stored_matrix_frozen(&m, &stored));
                CHECK(stored.outputs == s->shape[0] && stored.inputs == s->shape[1]);
                formats[stored.format]++;
            }
        }
        decoder_folder_close(&f);
    }
    CHECK(formats[FROZEN_I8] > 4 && formats[FROZEN_U4] > 2);
    folder_remove(path);
    end_packing();
}

static int read_floats(void *context, const char *name, float *values, struct error *e) {
    return decoder_folder_floats(context, name, values, e);
}

/* Of the folder: what a decoder without weights takes. */
static void check_forecast(const struct decoder_folder *f, enum decoder_format format,
                           enum dtype compute, size_t bytes) {
    struct device *dry = NULL;
    struct decoder *decoder = NULL;
    struct error e = {0};
    CHECK_NUMBER(dry_open(&dry, tested_backend(), compute, &e), 0);
    if (CHECK_NUMBER(decoder_open_dry(&decoder, &f->config, f, format, dry, &e), 0)) {
        CHECK_NUMBER(decoder_bytes(decoder), bytes);
    }
    decoder_close(decoder);
    dry_close(dry);
}

static void logits_of(float logits[VOCABULARY], size_t *bytes, const char *path,
                      enum decoder_format format, enum dtype compute) {
    static const int32_t IDS[TOKENS] = {4, 299, 7, 0, 31, 32, 100, 4, 250};
    struct device *d = tested_device_open(compute);
    struct decoder_folder f;
    struct decoder *decoder = NULL;
    struct decoder_session *s = NULL;
    struct error e = {0};
    const struct decoder_turn turn = {.sequence = 0, .ids = IDS, .count = TOKENS};
    int rc = decoder_folder_open(&f, path, &e);
    rc = rc == 0 ? decoder_open(&decoder, &f, format, d, &e) : rc;
    if (!CHECK_NUMBER(rc, 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    const struct decoder_parts parts = decoder_parts(decoder);
    CHECK_NUMBER(decoder_session_open(&s, d, &f.config, &parts, 1, TOKENS, &e), 0);
    CHECK_NUMBER(decoder_extend(s, &turn, 1, false, logits, &e), 0);
    *bytes = decoder_bytes(decoder);
    check_forecast(&f, format, compute, *bytes);
    decoder_session_close(s);
    decoder_close(decoder);
    decoder_folder_close(&f);
    device_close(d);
}

/* max|x - y| / max|y| */
static double distance(const float *x, const float *y) {
    double most = 0, largest = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
        largest = fmax(largest, fabs((double)y[i]));
    }
    return most / largest;
}

/* Against the same numbers, written as F32. */
static void sessions_compute_with_packed_numbers(void) {
    struct decoder_folder f;
    struct error e = {0};
    char path[64], plain[64];
    float wanted[VOCABULARY], got[VOCABULARY];
    size_t whole, bytes;
    packed_folder(path);
    snprintf(plain, sizeof plain, "/tmp/occ-model-XXXXXX");
    CHECK(mkdtemp(plain) != NULL);
    CHECK_NUMBER(decoder_folder_open(&f, path, &e), 0);
    CHECK_NUMBER(decoder_folder_write(plain, &f.config, &f, DTYPE_F32, read_floats, &f, &e), 0);
    decoder_folder_close(&f);
    logits_of(wanted, &whole, plain, DECODER_F32, DTYPE_F32);
    logits_of(got, &bytes, path, DECODER_AUTO, DTYPE_F32);
    CHECK(distance(got, wanted) < 1e-5);
    CHECK(bytes < whole / 3);
    logits_of(got, &bytes, path, DECODER_F32, DTYPE_F32);
    CHECK(distance(got, wanted) < 1e-6);
    CHECK_NUMBER(bytes, whole);
    /* Made anew from what is not stored so: 8 and 4 bits cost what they cost. */
    logits_of(got, &bytes, path, DECODER_INT8, DTYPE_F32);
    CHECK(distance(got, wanted) < 0.05);
    logits_of(got, &bytes, plain, DECODER_INT8, DTYPE_F32);
    CHECK(distance(got, wanted) < 0.05);
    logits_of(got, &bytes, plain, DECODER_INT4, DTYPE_F32);
    CHECK(distance(got, wanted) < 0.5);
    CHECK(bytes < whole / 4);
    folder_remove(path);
    folder_remove(plain);
    end_packing();
}

/* ---- Hostile --------------------------------------------------------------------------------- */

/* The folder again, with one tensor of the file changed. */
static void refused(const char *path, size_t which, const struct safetensor *with, int code,
                    const char *what) {
    struct decoder_folder f;
    struct error e = {0};
    char file[128];
    const struct safetensor kept = packing.list[which];
    packing.list[which] = *with;
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    CHECK_NUMBER(safetensors_write(file, packing.list, packing.count, NULL, &e), 0);
    const int rc = decoder_folder_open(&f, path, &e);
    if (!CHECK_NUMBER(rc, code) || !CHECK(strstr(e.text, what) != NULL)) {
        printf("# %s\n# wanted: %s\n", e.text, what);
    }
    if (rc == 0) {
        decoder_folder_close(&f);
    }
    packing.list[which] = kept;
}

static size_t index_of(const char *name) {
    for (size_t i = 0; i < packing.count; i++) {
        if (strcmp(packing.names[i], name) == 0) {
            return i;
        }
    }
    printf("# no tensor %s\n", name);
    exit(1);
}

static void parts_that_do_not_fit_are_refused(void) {
    char path[64], scale[sizeof packing.names[0]] = "", minimum[sizeof packing.names[0]] = "";
    packed_folder(path);
    for (size_t i = 0; i < packing.count; i++) { /* the last that has both */
        if (strstr(packing.names[i], ".minimum") != NULL) {
            memcpy(minimum, packing.names[i], sizeof minimum);
            memcpy(scale, packing.names[i - 1], sizeof scale);
        }
    }
    const size_t s = index_of(scale), m = index_of(minimum), q = s - 1;
    struct safetensor t = packing.list[s];
    t.name = "other";
    refused(path, s, &t, ERR_FORMAT, "weight.scale is missing");
    t = packing.list[m];
    t.name = "other";
    refused(path, m, &t, ERR_FORMAT, "weight.minimum is missing");
    t = packing.list[s];
    t.type = DTYPE_BF16;
    refused(path, s, &t, ERR_FORMAT, "weight.scale is of another type or shape");
    t = packing.list[m];
    t.shape[0] /= 2;
    t.bytes /= 2;
    refused(path, m, &t, ERR_FORMAT, "weight.minimum is of another type or shape");
    t = packing.list[q];
    t.rank = 1;
    t.shape[0] = (int64_t)t.bytes;
    refused(path, q, &t, ERR_FORMAT, "is not a matrix");
    t = packing.list[q];
    t.shape[0] *= 2;
    t.shape[1] /= 2;
    refused(path, q, &t, ERR_FORMAT, "weight");
    t = packing.list[q];
    t.type = DTYPE_I32;
    t.shape[1] /= 4;
    refused(path, q, &t, ERR_UNSUPPORTED, "of a type that is not supported");
    t = packing.list[index_of(DECODER_EMBEDDING ".scale")];
    t.shape[1] *= 2;
    t.shape[0] /= 2;
    refused(path, index_of(DECODER_EMBEDDING ".scale"), &t, ERR_FORMAT,
            "weight.scale is of another type or shape");
    folder_remove(path);
    end_packing();
}

int main(void) {
    RUN(packed_numbers_are_what_the_layout_says);
    RUN(sessions_compute_with_packed_numbers);
    RUN(parts_that_do_not_fit_are_refused);
    return test_finish();
}
