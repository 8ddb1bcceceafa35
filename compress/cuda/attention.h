/* attention.h - what attention.cu hands to the kernels of attention, and how they find their part.
 *
 * A tile is some queries, or keys, of one head of one sequence, which is one of a batch, one of
 * those that lie packed one after another, or a window. A block of threads takes a tile. */
#ifndef OCC_COMPRESS_CUDA_ATTENTION_H
#define OCC_COMPRESS_CUDA_ATTENTION_H

#include "compress/cuda/device.h"
#include "compress/cuda/rows.h"

/* Scores are kept in units of ln 2, so that weights are powers of 2. What a query does not see gets
 * a score of EXCLUDED, and so a weight of 0: a power of 2, of which products are exact, so that it
 * is also 0 below the largest score where that is EXCLUDED itself. */
#define ATTENTION_LOG2_E 1.44269504f
#define ATTENTION_LN_2 0.69314718f
#define ATTENTION_EXCLUDED (-0x1p100f)

/* The tokens of heads. data NULL: not wanted. */
struct attention_rows {
    void *data;
    int64_t batch, token, head; /* elements from one to the next */
    bool bf16;
    int together;     /* elements that lie aligned to as many: 8, 4, 2 or 1 */
    const float *pad; /* (heads, head_dim): of what windows have outside the grid */
};

struct attention_call {
    struct attention_rows q, k, v, out, dout, dq, dk, dv;
    float *log_sum_exp;    /* a number a line, or NULL */
    int64_t lines;         /* of a head; lines of all heads lie one after another */
    int heads, group, dim; /* group: query heads that read one key head */
    int sequences, queries, keys;
    const int32_t *offsets; /* of packed sequences, on the device; NULL: all are of one length */
    int64_t packed;         /* tokens of all of them */
    bool rounded;           /* what is multiplied is rounded to BF16 */
    float scale;
    bool causal;
    int span, start;
    int height, width;                   /* of the grid of relative positions; 0: no bias */
    struct attention_rows rel_h, rel_w;  /* a token: a position */
    int window, grid_height, grid_width; /* window 0: none */
    unsigned per_width, per_window;      /* see attention_quotient */
    /* Of scratch memory, of each line: its products with the relative positions of each row and
     * column of the grid, the gradients of these, and D = out . dout. */
    float *sides, *dsides, *products;
};

/* ---- Tiles ----------------------------------------------------------------------------------- */

struct __align__(16) attention_tile {
    int64_t batch, token; /* in the tensors: which one, and the sequence's first token */
    int64_t line;         /* of the sequence's first query */
    int head, first;      /* query or key head; first query or key */
    int queries, keys;    /* of the sequence */
    int window_top, window_left;
};

/* Tiles of one head, some of which are empty where sequences are packed. */
static __host__ __device__ inline int64_t attention_tiles(const struct attention_call *c,
                                                          int length, int size) {
    return c->offsets != NULL ? c->packed / size + c->sequences
                              : (int64_t)((length + size - 1) / size) * c->sequences;
}

/* The packed sequence of a tile: number s begins at tile (offset of s) / size + s, which leaves
 * room for as many tiles as it can fill. */
static __device__ inline int attention_packed_sequence(const struct attention_call *c, int64_t tile,
                                                       int size, int64_t *begin) {
    int low = 0, high = c->sequences - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if ((c->offsets[middle] - c->offsets[0]) / size + middle <= tile) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *begin = (c->offsets[low] - c->offsets[0]) / size + low;
    return low;
}

/* The window that is number s of all. */
static __device__ inline void attention_window_at(struct attention_tile *t,
                                                  const struct attention_call *c, int s) {
    const int across = (c->grid_width + c->window - 1) / c->window;
    const int windows = (c->grid_height + c->window - 1) / c->window * across;
    t->batch = s / windows;
    t->window_top = s % windows / across * c->window;
    t->window_left = s % windows % across * c->window;
}

/* Tile `number` of all; length: of sequences that are not packed, in what tiles are of. false: it
 * is empty. */
static __device__ inline bool attention_tile_at(struct attention_tile *t,
                                                const struct attention_call *c, int64_t number,
                                                int length, int size) {
    const int64_t each = attention_tiles(c, length, size), tile = number % each;
    t->head = (int)(number / each);
    t->window_top = t->window_left = 0;
    if (c->offsets != NULL) {
        int64_t begin;
        const int s = attention_packed_sequence(c, tile, size, &begin);
        t->batch = 0;
        t->token = c->offsets[s];
        t->queries = t->keys = length = c->offsets[s + 1] - c->offsets[s];
        t->first = (int)(tile - begin) * size;
        t->line = t->head * c->lines + t->token;
        return t->first < length;
    }
    const int tiles = (length + size - 1) / size, s = (int)(tile / tiles);
    t->batch = s;
    t->token = 0;
    t->queries = c->queries;
    t->keys = c->keys;
    t->first = (int)(tile % tiles) * size;
    t->line = ((int64_t)s * c->heads + t->head) * c->lines;
    if (c->window > 0) {
        attention_window_at(t, c, s);
    }
    return true;
}

/* The first line of another head of the tile's sequence. */
static __device__ inline int64_t attention_line(const struct attention_call *c,
                                                const struct attention_tile *t, int head) {
    return t->line + (head - t->head) * c->lines;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* i / n, for i n below 2^32, without a division: `per` is 2^32 / n, rounded up, and 0 of 1. */
static __device__ inline int attention_quotient(int i, unsigned per) {
    return per == 0 ? i : (int)((uint64_t)(unsigned)i * per >> 32);
}

/* Token i of the tile's sequence among those of its batch; less than 0: it is a pad. */
static __device__ inline int64_t attention_token(const struct attention_call *c,
                                                 const struct attention_tile *t, int i) {
    if (c->window == 0) {
        return t->token + i;
    }
    const int row = attention_quotient(i, c->per_window);
    const int y = t->window_top + row, x = t->window_left + i - row * c->window;
    return y < c->grid_height && x < c->grid_width ? (int64_t)y * c->grid_width + x : -1;
}

/* Where it lies, in elements; less than 0: nowhere. */
static __device__ inline int64_t attention_at(const struct attention_call *c,
                                              const struct attention_tile *t,
                                              const struct attention_rows *rows, int head, int i) {
    const int64_t token = attention_token(c, t, i);
    return token < 0 ? -1 : t->batch * rows->batch + token * rows->token + head * rows->head;
}

static __device__ inline float attention_get(const struct attention_rows *rows, int64_t at) {
    return rows->bf16 ? gpu_float_of(((const uint16_t *)rows->data)[at])
                      : ((const float *)rows->data)[at];
}

/* As products read it. */
static __device__ inline float attention_factor(const struct attention_call *c, float x) {
    return c->rounded ? gpu_float_of(gpu_bf16_of(x)) : x;
}

/* at: of attention_at. */
static __device__ inline float attention_number(const struct attention_call *c,
                                                const struct attention_rows *rows, int head,
                                                int64_t at, int d) {
    return at < 0 ? rows->pad[head * c->dim + d] : attention_get(rows, at + d);
}

static __device__ inline void attention_put(const struct attention_rows *rows, int64_t at,
                                            float value) {
    if (rows->bf16) {
        ((uint16_t *)rows->data)[at] = gpu_bf16_of(value);
    } else {
        ((float *)rows->data)[at] = value;
    }
}

/* ---- Who sees whom --------------------------------------------------------------------------- */

/* Query i sees keys [attention_from, attention_to). */
static __device__ inline int attention_from(const struct attention_call *c, int i) {
    const int end = c->start + i + 1;
    return c->causal && c->span > 0 && end > c->span ? end - c->span : 0;
}

static __device__ inline int attention_to(const struct attention_call *c,
                                          const struct attention_tile *t, int i) {
    const int end = c->start + i + 1;
    return c->causal && end < t->keys ? end : t->keys;
}

/* Queries [*from, *to) may see one of keys [first, end); the others see none. */
static __device__ inline void attention_seers(const struct attention_call *c,
                                              const struct attention_tile *t, int first, int end,
                                              int *from, int *to) {
    const int last = end - 1 + c->span - c->start; /* sees no more of them */
    *from = c->causal && first > c->start ? first - c->start : 0;
    *to = c->causal && c->span > 0 && last < t->queries ? last : t->queries;
}

/* The bias of the query of a line at a key, of scratch memory. */
static __device__ inline float attention_bias(const struct attention_call *c, int64_t line,
                                              int key) {
    const float *sides = c->sides + line * (c->height + c->width);
    const int y = attention_quotient(key, c->per_width);
    return sides[y] + sides[c->height + key - y * c->width];
}

/* ---- Relative positions ------------------------------------------------------------------------
 *
 * A place is a row of either table, those of rel_h first. The query at (y, x) has its product with
 * place m of rel_h as its bias at all keys of row y + height - 1 - m of the grid, and likewise
 * across. */

static __host__ __device__ inline int attention_places(const struct attention_call *c) {
    return 2 * c->height - 1 + 2 * c->width - 1;
}

/* Number d of place m. */
static __device__ inline float attention_place(const struct attention_call *c, int m, int d) {
    const int down = 2 * c->height - 1;
    return m < down ? attention_get(&c->rel_h, m * c->rel_h.token + d)
                    : attention_get(&c->rel_w, (m - down) * c->rel_w.token + d);
}

/* ---- What the kernels' files do for attention.cu -----------------------------------------------
 */

/* Lets a kernel have that much shared memory. */
template <class kernel>
static inline int attention_allow(kernel *k, size_t shared_bytes, struct error *e) {
    return cuda_check(
        cudaFuncSetAttribute(k, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes),
        "attention", e);
}

/* In F32 throughout (attention_plain.cu); the bias comes from sides. */
int attention_plain_forward(struct device *d, const struct attention_call *c, struct error *e);
int attention_plain_dq(struct device *d, const struct attention_call *c, struct error *e);
int attention_plain_dkv(struct device *d, const struct attention_call *c, struct error *e);

/* In BF16 with sums of F32 (attention_forward.cu, attention_backward.cu), of heads of up to
 * ATTENTION_MMA_DIM numbers, and the shared memory that a block then has. */
enum { ATTENTION_MMA_DIM = 128 };
size_t attention_forward_bytes(const struct attention_call *c);
size_t attention_backward_bytes(const struct attention_call *c);
int attention_forward(struct device *d, const struct attention_call *c, struct error *e);
int attention_backward_dq(struct device *d, const struct attention_call *c, struct error *e);
int attention_backward_dkv(struct device *d, const struct attention_call *c, struct error *e);

/* Of few queries (attention_few.cu), with weights of F32, ATTENTION_FEW at most that read one key
 * head; neither bias nor windows, and not packed. */
enum { ATTENTION_FEW = 8, ATTENTION_FEW_DIM = 256 };
int attention_few(struct device *d, const struct attention_call *c, struct error *e);

/* Of at most ATTENTION_SMALL queries and keys (attention_small.cu), in BF16 with sums of F32, of
 * heads of up to ATTENTION_MMA_DIM numbers and of at most ATTENTION_SMALL_PLACES; not packed. */
enum { ATTENTION_SMALL = 16, ATTENTION_SMALL_PLACES = 32 };
int attention_small(struct device *d, const struct attention_call *c, struct error *e);

/* Of relative positions (attention_sides.cu): sides; dq += what dsides give; and the gradients of
 * the tables. */
int attention_sides(struct device *d, const struct attention_call *c, struct error *e);
int attention_sides_dq(struct device *d, const struct attention_call *c, struct error *e);
int attention_sides_drel(struct device *d, const struct attention_call *c,
                         const struct gpu_rows *drel_h, const struct gpu_rows *drel_w,
                         struct error *e);

#endif
