/* cublas.cu - see cublas.h. cuBLASLt counts along columns: what it sees of out = a b is out^T =
 * b^T a^T, so that its A is b, and its bias, one for each of its rows, is ours for each column. */
#include "compress/cuda/cublas.h"

#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "compress/cuda/device.h"

/* ---- The library ----------------------------------------------------------------------------- */

/* clang-format off */
#define CUBLAS_FUNCTIONS(F) \
    F(Create) F(Destroy) F(GetStatusString) F(Matmul) F(MatmulAlgoGetHeuristic) \
    F(MatmulDescInit_internal) F(MatmulDescSetAttribute) \
    F(MatrixLayoutInit_internal) F(MatrixLayoutSetAttribute) \
    F(MatmulPreferenceInit_internal) F(MatmulPreferenceSetAttribute)
/* clang-format on */

struct library {
    void *handle; /* of dlopen */
#define MEMBER(name) __typeof__(cublasLt##name) *name;
    CUBLAS_FUNCTIONS(MEMBER)
};

#ifdef __CUDACC__
#include <dlfcn.h>

/* Stays in memory: it is half a gigabyte, and is opened again by each device. */
static int library_open(struct library *l, struct error *e) {
    static const char *const NAMES[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    bool whole = true;
    for (int i = 0; NAMES[i] != NULL && l->handle == NULL; i++) {
        l->handle = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    }
    if (l->handle == NULL) {
        return error_set(e, ERR_UNSUPPORTED,
                         "there is a GPU, but products on it need cuBLASLt: neither %s nor %s was "
                         "found",
                         NAMES[0], NAMES[1]);
    }
#define FIND(name)                                                                                 \
    l->name = (__typeof__(l->name))dlsym(l->handle, "cublasLt" #name);                             \
    whole = whole && l->name != NULL;
    CUBLAS_FUNCTIONS(FIND)
    if (!whole) {
        dlclose(l->handle);
        l->handle = NULL;
        return error_set(e, ERR_UNSUPPORTED, "this cuBLASLt lacks a function that is needed");
    }
    return 0;
}

static void library_close(struct library *l) {
    if (l->handle != NULL) {
        dlclose(l->handle);
    }
}
#else /* tests/kernels/cublas.cc stands for it */
static int library_open(struct library *l, struct error *e) {
    (void)e;
#define TAKE(name) l->name = cublasLt##name;
    CUBLAS_FUNCTIONS(TAKE)
    return 0;
}

static void library_close(struct library *l) {
    (void)l;
}
#endif

/* ---- Algorithms ------------------------------------------------------------------------------ */

enum { A, B, C, D, OPERANDS };

/* All that the choice of an algorithm depends on. Of words alone, so that keys are compared and
 * hashed by their bytes. */
struct key {
    int64_t m, n, k, batch;
    int64_t type, out_type, a_turned, b_turned, added;
    int64_t stride[OPERANDS], step[OPERANDS];
    int64_t alignment[OPERANDS], bias_alignment; /* bytes; without bias 0 */
};

struct algorithm {
    bool taken; /* by `key`, of which there is an algorithm or, not `found`, none */
    bool found;
    struct key key;
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t layouts[OPERANDS];
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;
};

enum {
    ALGORITHMS = 1024,  /* that are kept */
    PLACES = 8,         /* where one may be */
    WORKSPACE = 1 << 25 /* bytes, at most */
};

struct cublas {
    struct library library;
    cublasLtHandle_t handle;
    struct algorithm algorithms[ALGORITHMS];
};

static int check(const struct cublas *c, cublasStatus_t status, struct error *e) {
    return status == CUBLAS_STATUS_SUCCESS
               ? 0
               : error_set(e, ERR_IO, "GPU: cuBLASLt: %s", c->library.GetStatusString(status));
}

/* Of an address: the largest power of two, up to 256, that divides it. */
static int64_t alignment_of(const void *data) {
    const uintptr_t low = ((uintptr_t)data | 256) & (~((uintptr_t)data | 256) + 1);
    return (int64_t)low;
}

/* Of out's type, as cuBLASLt wants it; NULL: none. */
static const void *bias_of(const struct product *p) {
    return p->bias != NULL && p->out.type == DTYPE_BF16 ? (const void *)p->rounded_bias : p->bias;
}

static struct key key_of(const struct product *p) {
    struct key key = {};
    const struct product_matrix *const operands[OPERANDS] = {
        &p->b, &p->a, p->add.data != NULL ? &p->add : &p->out, &p->out};
    key.m = p->m;
    key.n = p->n;
    key.k = p->k;
    key.batch = p->batch;
    key.type = p->a.type;
    key.out_type = p->out.type;
    key.a_turned = p->a.turned;
    key.b_turned = p->b.turned;
    key.added = p->add.data != NULL;
    for (int i = 0; i < OPERANDS; i++) {
        key.stride[i] = operands[i]->stride;
        key.step[i] = p->batch > 1 ? operands[i]->step : 0;
        key.alignment[i] = alignment_of(operands[i]->data);
    }
    key.bias_alignment = p->bias != NULL ? alignment_of(bias_of(p)) : 0;
    return key;
}

static uint64_t hash_of(const struct key *key) {
    uint64_t words[sizeof *key / sizeof(uint64_t)], hash = 0;
    memcpy(words, key, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    return hash;
}

/* Where the algorithm of `key` is, or is to be put. */
static struct algorithm *place_of(struct cublas *c, const struct key *key) {
    const uint64_t hash = hash_of(key);
    for (uint64_t i = 0; i < PLACES; i++) {
        struct algorithm *a = &c->algorithms[(hash + i) % ALGORITHMS];
        if (!a->taken || memcmp(&a->key, key, sizeof *key) == 0) {
            return a;
        }
    }
    struct algorithm *replaced = &c->algorithms[hash % ALGORITHMS];
    replaced->taken = false;
    return replaced;
}

static cudaDataType_t data_type(int64_t type) {
    return type == DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasStatus_t describe_operation(const struct library *l, struct algorithm *a) {
    const int32_t turn_a = a->key.b_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t turn_b = a->key.a_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    const uint32_t epilogue =
        a->key.bias_alignment != 0 ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    cublasLtMatmulDesc_t it = &a->operation;
    cublasStatus_t status =
        l->MatmulDescInit_internal(it, sizeof *it, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->MatmulDescSetAttribute(it, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->MatmulDescSetAttribute(it, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b);
    }
    return status == CUBLAS_STATUS_SUCCESS
               ? l->MatmulDescSetAttribute(it, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                           sizeof epilogue)
               : status;
}

/* As it lies in memory: `rows` along which it is dense. */
static cublasStatus_t describe_layout(const struct library *l, struct algorithm *a, int which,
                                      int64_t type, int64_t rows, int64_t columns) {
    const int32_t batch = (int32_t)a->key.batch;
    cublasLtMatrixLayout_t it = &a->layouts[which];
    cublasStatus_t status = l->MatrixLayoutInit_internal(
        it, sizeof *it, data_type(type), (uint64_t)rows, (uint64_t)columns, a->key.stride[which]);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->MatrixLayoutSetAttribute(it, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                             sizeof batch);
    }
    return status == CUBLAS_STATUS_SUCCESS
               ? l->MatrixLayoutSetAttribute(it, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                             &a->key.step[which], sizeof a->key.step[which])
               : status;
}

static cublasStatus_t describe_layouts(const struct library *l, struct algorithm *a) {
    const struct key *key = &a->key;
    const int64_t sizes[OPERANDS][2] = {
        {key->b_turned ? key->k : key->n, key->b_turned ? key->n : key->k},
        {key->a_turned ? key->m : key->k, key->a_turned ? key->k : key->m},
        {key->n, key->m},
        {key->n, key->m}};
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    for (int i = 0; i < OPERANDS && status == CUBLAS_STATUS_SUCCESS; i++) {
        status =
            describe_layout(l, a, i, i < C ? key->type : key->out_type, sizes[i][0], sizes[i][1]);
    }
    return status;
}

/* Parts of a sum are added in their type, and in one order. */
static cublasStatus_t describe_preference(const struct library *l, const struct key *key,
                                          cublasLtMatmulPreference_t it) {
    static const cublasLtMatmulPreferenceAttributes_t ALIGNMENTS[OPERANDS] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const uint64_t workspace = WORKSPACE;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasStatus_t status = l->MatmulPreferenceInit_internal(it, sizeof *it);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->MatmulPreferenceSetAttribute(it, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                 &workspace, sizeof workspace);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->MatmulPreferenceSetAttribute(it, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                 &schemes, sizeof schemes);
    }
    for (int i = 0; i < OPERANDS && status == CUBLAS_STATUS_SUCCESS; i++) {
        const uint32_t alignment = (uint32_t)key->alignment[i];
        status = l->MatmulPreferenceSetAttribute(it, ALIGNMENTS[i], &alignment, sizeof alignment);
    }
    return status;
}

/* Fills `a` for its key. The alignment of the bias is known by its address. */
static int find_algorithm(struct cublas *c, struct algorithm *a, const void *bias,
                          struct error *e) {
    const struct library *l = &c->library;
    cublasLtMatmulPreferenceOpaque_t preference;
    cublasLtMatmulHeuristicResult_t result = {};
    int count = 0;
    cublasStatus_t status = describe_operation(l, a);
    if (status == CUBLAS_STATUS_SUCCESS && bias != NULL) {
        status = l->MatmulDescSetAttribute(&a->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                           sizeof bias);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = describe_layouts(l, a);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = describe_preference(l, &a->key, &preference);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->MatmulAlgoGetHeuristic(c->handle, &a->operation, &a->layouts[A], &a->layouts[B],
                                           &a->layouts[C], &a->layouts[D], &preference, 1, &result,
                                           &count);
    }
    if (status != CUBLAS_STATUS_SUCCESS && status != CUBLAS_STATUS_NOT_SUPPORTED) {
        return check(c, status, e);
    }
    a->found =
        status == CUBLAS_STATUS_SUCCESS && count > 0 && result.state == CUBLAS_STATUS_SUCCESS;
    a->algorithm = result.algo;
    a->workspace = result.workspaceSize;
    a->taken = true;
    return 0;
}

/* ---- Products -------------------------------------------------------------------------------- */

static int run(struct device *d, struct algorithm *a, const struct product *p, struct error *e) {
    const struct cublas *c = cuda_device(d)->cublas;
    const struct library *l = &c->library;
    const float one = 1, beta = a->key.added ? 1 : 0;
    const void *bias = bias_of(p), *added = a->key.added ? p->add.data : p->out.data;
    void *workspace = NULL;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    if (a->workspace > 0) {
        int rc = cuda_scratch(&workspace, d, SCRATCH_BLAS, a->workspace, e);
        if (rc < 0) {
            return rc;
        }
    }
    if (bias != NULL) {
        status = l->MatmulDescSetAttribute(&a->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                           sizeof bias);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = l->Matmul(c->handle, &a->operation, &one, p->b.data, &a->layouts[A], p->a.data,
                           &a->layouts[B], &beta, added, &a->layouts[C], (void *)p->out.data,
                           &a->layouts[D], &a->algorithm, workspace, a->workspace, cuda_stream(d));
    }
    return check(c, status, e);
}

int cublas_product(struct device *d, const struct product *p, bool *done, struct error *e) {
    const struct key key = key_of(p);
    struct algorithm *a = place_of(cuda_device(d)->cublas, &key);
    int rc = 0;
    assert(p->m > 0 && p->n > 0 && p->k > 0 && p->batch > 0 && p->batch <= INT32_MAX);
    if (!a->taken) {
        a->key = key;
        rc = find_algorithm(cuda_device(d)->cublas, a, bias_of(p), e);
    }
    *done = rc == 0 && a->found;
    return *done ? run(d, a, p, e) : rc;
}

/* ---- Opening --------------------------------------------------------------------------------- */

int cublas_probe(struct error *e) {
    struct library l = {};
    int rc = library_open(&l, e);
    library_close(&l);
    return rc;
}

int cublas_open(struct cublas **out, struct error *e) {
    struct cublas *c = (struct cublas *)calloc(1, sizeof *c);
    *out = NULL;
    if (c == NULL) {
        return error_memory(e, NULL);
    }
    int rc = library_open(&c->library, e);
    if (rc == 0) {
        rc = check(c, c->library.Create(&c->handle), e);
    }
    if (rc < 0) {
        cublas_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

void cublas_close(struct cublas *c) {
    if (c == NULL) {
        return;
    }
    if (c->handle != NULL) {
        c->library.Destroy(c->handle);
    }
    library_close(&c->library);
    free(c);
}
