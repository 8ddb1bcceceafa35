/* cublas.cc - cuBLASLt's products in memory of the host: see cublasLt.h. Plain sums of F32, in the
 * order of k, and what the manual says of every argument is checked.
 *
 * Stricter than the library: it has no algorithm for BF16 at odd places, which on a GPU is slow at
 * best; and an algorithm runs only with the layouts and on the alignment that it was found for. */
#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/cublas.h"

extern "C" {
#include "store/dtype.h"
}

struct layout {
    int32_t type, batch;
    uint64_t rows, columns;
    int64_t stride, step; /* of columns, and of matrices of a batch */
};
static_assert(sizeof(struct layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "");

struct operation {
    const void *bias;
    int32_t compute, scale, turned[2];
    uint32_t epilogue, unused;
};
static_assert(sizeof(struct operation) <= sizeof(cublasLtMatmulDescOpaque_t), "");

enum { A, B, C, D, OPERANDS };

struct preference {
    uint64_t workspace;
    uint32_t schemes, alignment[OPERANDS];
};
static_assert(sizeof(struct preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "");

struct algorithm {
    uint64_t found_for; /* a hash */
    uint64_t workspace;
    uint32_t alignment[OPERANDS], bias_alignment;
};
static_assert(sizeof(struct algorithm) <= sizeof(cublasLtMatmulAlgo_t), "");

static int64_t searches;

int64_t gpu_blas_searches(void) {
    return searches;
}

/* ---- Descriptions ---------------------------------------------------------------------------- */

/* The opaque ones hold ours. */
template <class T, class opaque> static T *inside(opaque *it) {
    return (T *)(void *)it;
}

static cublasStatus_t set(void *to, size_t wanted, const void *value, size_t size) {
    if (size != wanted) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(to, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    *handle = (cublasLtHandle_t)malloc(1);
    return *handle != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    return status == CUBLAS_STATUS_INVALID_VALUE ? "an invalid value" : "it does not go";
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t size,
                                                 cudaDataType type, uint64_t rows, uint64_t cols,
                                                 int64_t ld) {
    if (size < sizeof *layout) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    memset(layout, 0, size);
    *inside<struct layout>(layout) = {type, 1, rows, cols, ld, 0};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t size) {
    struct layout *l = inside<struct layout>(layout);
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return set(&l->batch, sizeof l->batch, value, size);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return set(&l->step, sizeof l->step, value, size);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t operation, size_t size,
                                               cublasComputeType_t compute, cudaDataType_t scale) {
    if (size < sizeof *operation) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    memset(operation, 0, size);
    struct operation *o = inside<struct operation>(operation);
    o->compute = compute;
    o->scale = scale;
    o->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t size) {
    struct operation *o = inside<struct operation>(operation);
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(&o->turned[A], sizeof o->turned[A], value, size);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(&o->turned[B], sizeof o->turned[B], value, size);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(&o->epilogue, sizeof o->epilogue, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return set(&o->bias, sizeof o->bias, value, size);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     size_t size) {
    if (size < sizeof *preference) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    memset(preference, 0, size);
    *inside<struct preference>(preference) = {
        0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t size) {
    struct preference *p = inside<struct preference>(preference);
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return set(&p->workspace, sizeof p->workspace, value, size);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return set(&p->schemes, sizeof p->schemes, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: {
        uint32_t *at = &p->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES];
        return set(at, sizeof *at, value, size);
    }
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

/* ---- What goes ------------------------------------------------------------------------------- */

/* All that describes a product: op(A) (m, k), op(B) (k, n), C and D (m, n). */
struct problem {
    struct operation operation;
    struct layout layouts[OPERANDS];
    int64_t m, n, k;
};
static_assert(__has_unique_object_representations(struct problem), "it is hashed by its bytes");

static struct problem problem_of(cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                                 cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                 cublasLtMatrixLayout_t d) {
    struct problem p = {*inside<struct operation>(operation),
                        {*inside<struct layout>(a), *inside<struct layout>(b),
                         *inside<struct layout>(c), *inside<struct layout>(d)},
                        0,
                        0,
                        0};
    p.m = (int64_t)p.layouts[D].rows;
    p.n = (int64_t)p.layouts[D].columns;
    p.k = (int64_t)(p.operation.turned[A] != 0 ? p.layouts[A].rows : p.layouts[A].columns);
    return p;
}

static bool has_sizes(const struct layout *l, int64_t rows, int64_t columns, int32_t turned,
                      int32_t batch) {
    const int64_t held[2] = {(int64_t)l->rows, (int64_t)l->columns};
    return held[turned != 0] == rows && held[turned == 0] == columns && rows > 0 && columns > 0 &&
           l->stride >= held[0] && l->batch == batch && batch > 0;
}

static bool is_whole(const struct problem *p) {
    const struct layout *l = p->layouts;
    return has_sizes(&l[A], p->m, p->k, p->operation.turned[A], l[D].batch) &&
           has_sizes(&l[B], p->k, p->n, p->operation.turned[B], l[D].batch) &&
           has_sizes(&l[C], p->m, p->n, 0, l[D].batch) &&
           has_sizes(&l[D], p->m, p->n, 0, l[D].batch) && (l[D].batch == 1 || l[D].step >= p->m) &&
           p->operation.scale == CUDA_R_32F;
}

static size_t unit_of(const struct layout *l) {
    return l->type == CUDA_R_16BF ? 2 : 4;
}

/* Of addresses, columns and matrices, of BF16, in pairs; and sums that are kept in F32. */
static bool is_supported(const struct problem *p, const struct preference *preference) {
    const struct layout *l = p->layouts;
    const bool types =
        l[A].type == l[B].type && l[C].type == l[D].type &&
        (l[D].type == CUDA_R_32F || (l[D].type == CUDA_R_16BF && l[A].type == CUDA_R_16BF));
    bool even = true;
    for (int i = 0; i < OPERANDS; i++) {
        if (l[i].type == CUDA_R_16BF) {
            even = even && preference->alignment[i] >= 4 && l[i].step % 2 == 0 &&
                   (l[i].stride % 2 == 0 || l[i].columns == 1);
        }
    }
    return types && even && p->operation.compute == CUBLAS_COMPUTE_32F;
}

static uint64_t hash_of(const struct problem *p) {
    struct problem plain = *p;
    plain.operation.bias = NULL;
    const unsigned char *bytes = (const unsigned char *)&plain;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof plain; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

static uint32_t alignment_of(const void *data) {
    uint32_t alignment = 256;
    while ((uintptr_t)data % alignment != 0) {
        alignment /= 2;
    }
    return alignment;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *count) {
    enum { LONG = 64 /* sums of so many are cut in parts */, WORKSPACE = 4096 };
    const struct problem p = problem_of(operation, a, b, c, d);
    const struct preference *wish = inside<struct preference>(preference);
    searches++;
    *count = 0;
    if (handle == NULL || asked < 1 || !is_whole(&p)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!is_supported(&p, wish)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    struct algorithm found = {hash_of(&p), 0, {}, alignment_of(p.operation.bias)};
    memcpy(found.alignment, wish->alignment, sizeof found.alignment);
    found.workspace = p.k >= LONG && wish->workspace >= WORKSPACE &&
                              (wish->schemes & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0
                          ? WORKSPACE
                          : 0;
    results[0] = {};
    *inside<struct algorithm>(&results[0].algo) = found;
    results[0].workspaceSize = found.workspace;
    results[0].state = CUBLAS_STATUS_SUCCESS;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- Products -------------------------------------------------------------------------------- */

static float number_at(const void *data, const struct layout *l, int64_t at) {
    return l->type == CUDA_R_16BF ? float_of_bf16(((const uint16_t *)data)[at])
                                  : ((const float *)data)[at];
}

/* `count` rows of op(X) (rows, columns) from `first` on, column by column, `apart` floats apart. */
static void take(float *to, const void *data, const struct layout *l, int64_t batch, int32_t turned,
                 int64_t first, int64_t count, int64_t columns, int64_t apart) {
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < count; i++) {
            const int64_t row = turned != 0 ? j : first + i, column = turned != 0 ? first + i : j;
            to[j * apart + i] = number_at(data, l, batch * l->step + column * l->stride + row);
        }
    }
}

enum { ROWS = 64, COLUMNS = 4 };

/* sums (COLUMNS, ROWS) of a (k, ROWS) and b (k, COLUMNS), which are of this file: nothing for a
 * sanitizer. */
#ifdef __clang__
__attribute__((no_sanitize("address", "undefined")))
#endif
static void
sum_tile(float sums[COLUMNS][ROWS], const float *a, const float *b, int64_t k) {
    memset(sums, 0, sizeof(float) * COLUMNS * ROWS);
    for (int64_t l = 0; l < k; l++, a += ROWS, b += COLUMNS) {
        for (int j = 0; j < COLUMNS; j++) {
            for (int i = 0; i < ROWS; i++) {
                sums[j][i] += a[i] * b[j];
            }
        }
    }
}

struct call {
    struct problem problem;
    float alpha, beta;
    const void *operands[OPERANDS];
};

static void put(const struct call *it, int64_t batch, int64_t row, int64_t column, float sum) {
    const struct layout *c = &it->problem.layouts[C], *d = &it->problem.layouts[D];
    const int64_t at = batch * d->step + column * d->stride + row;
    sum *= it->alpha;
    if (it->beta != 0) {
        sum += it->beta * number_at(it->operands[C], c, batch * c->step + column * c->stride + row);
    }
    if (it->problem.operation.epilogue == CUBLASLT_EPILOGUE_BIAS) {
        sum += number_at(it->problem.operation.bias, d, row);
    }
    if (d->type == CUDA_R_16BF) {
        ((uint16_t *)it->operands[D])[at] = bf16_of(sum);
    } else {
        ((float *)it->operands[D])[at] = sum;
    }
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ROWS rows of D, or the last ones. a, b: room for a tile's factors. */
static void multiply_rows(const struct call *it, int64_t batch, int64_t row, float *a, float *b) {
    const struct problem *p = &it->problem;
    const int64_t rows = least(ROWS, p->m - row);
    float sums[COLUMNS][ROWS];
    take(a, it->operands[A], &p->layouts[A], batch, p->operation.turned[A], row, rows, p->k, ROWS);
    for (int64_t column = 0; column < p->n; column += COLUMNS) {
        const int64_t columns = least(COLUMNS, p->n - column);
        /* B's columns are the rows of its transpose. */
        take(b, it->operands[B], &p->layouts[B], batch, p->operation.turned[B] == 0, column,
             columns, p->k, COLUMNS);
        sum_tile(sums, a, b, p->k);
        for (int64_t i = 0; i < rows * columns; i++) {
            put(it, batch, row + i % rows, column + i / rows, sums[i / rows][i % rows]);
        }
    }
}

/* In the stream's turn. */
static void multiply(const struct call *it) {
    const struct problem *p = &it->problem;
    float *a = (float *)calloc((size_t)(p->k * ROWS), sizeof *a);
    float *b = (float *)calloc((size_t)(p->k * COLUMNS), sizeof *b);
    if (a == NULL || b == NULL) {
        abort();
    }
    for (int64_t batch = 0; batch < p->layouts[D].batch; batch++) {
        for (int64_t row = 0; row < p->m; row += ROWS) {
            multiply_rows(it, batch, row, a, b);
        }
    }
    free(a);
    free(b);
}

/* Whether all lies as it was told when the algorithm was found. */
static bool fits(const struct call *it, const struct algorithm *algorithm) {
    bool fit = algorithm->found_for == hash_of(&it->problem);
    for (int i = 0; i < OPERANDS; i++) {
        fit = fit && it->operands[i] != NULL &&
              (uintptr_t)it->operands[i] % algorithm->alignment[i] == 0 &&
              (uintptr_t)it->operands[i] % unit_of(&it->problem.layouts[i]) == 0;
    }
    if (it->problem.operation.epilogue == CUBLASLT_EPILOGUE_BIAS) {
        const void *bias = it->problem.operation.bias;
        fit = fit && bias != NULL && (uintptr_t)bias % algorithm->bias_alignment == 0;
    }
    const struct layout *c = &it->problem.layouts[C], *d = &it->problem.layouts[D];
    return fit && (it->operands[C] != it->operands[D] || memcmp(c, d, sizeof *c) == 0);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    const struct algorithm *how = inside<const struct algorithm>(algorithm);
    const struct call it = {problem_of(operation, a_layout, b_layout, c_layout, d_layout),
                            *(const float *)alpha,
                            *(const float *)beta,
                            {a, b, c, d}};
    if (handle == NULL || stream == NULL || !is_whole(&it.problem) || !fits(&it, how) ||
        workspace_bytes < how->workspace || (how->workspace > 0 && workspace == NULL)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    const size_t bytes = how->workspace;
    gpu_enqueue("cublasLtMatmul", stream, [=] {
        if (bytes > 0) {
            memset(workspace, 0xFF, bytes);
        }
        multiply(&it);
    });
    return CUBLAS_STATUS_SUCCESS;
}
