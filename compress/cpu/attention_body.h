/* attention_body.h - fused attention of one head, for every level: included after vector_body.h
 * with
 *
 *     PACK           values of the inner dimension that one 4-byte element holds: 1 (F32), 2 (BF16)
 *     multiply_add   (vec sum, element a of all lanes, vector of elements b) -> vec
 *     or, where there are tiles, block_product itself
 *
 * Flash attention (Dao et al. 2022): blocks of queries against blocks of keys, with a running
 * maximum and sum for each query, so that no matrix of tokens x tokens exists. Keys lie in rows of
 * the grid, each padded to whole vectors; what is padded gets a bias of EXCLUDED and so a weight
 * of 0. Without positions the rows are of FLAT_WIDTH tokens and the bias is 0. */

enum { FLAT_WIDTH = 256, KEY_BLOCK = 512 };
#define EXCLUDED (-1e30f)
/* Scores are kept in units of ln 2, so that weights are powers of 2. */
#define LOG2_E 1.44269504f

/* Sizes of a head, and where its parts lie in the scratch memory (offsets in floats). */
struct plan {
    int64_t tokens, dim;
    int64_t height, width; /* of the rows of keys */
    int64_t padded;        /* width in whole vectors */
    bool whole;            /* a small grid: no row is padded, each query has the bias of each key */
    int64_t depth;         /* elements of a query: dim, packed and padded */
    int64_t columns;       /* of a value: dim in whole vectors */
    int64_t block_rows;    /* rows of keys in a block */
    int64_t rel_h, rel_w;  /* columns of the reversed tables */
    size_t keys, values, table_h, table_w, queries, scores, weights, sums, bias_h, bias_w, zeros,
        tail, end;
};

static int64_t round_up(int64_t x, int64_t unit) {
    return (x + unit - 1) / unit * unit;
}

static struct plan make_plan(int64_t tokens, int64_t dim, const struct head_position *position) {
    struct plan p = {.tokens = tokens, .dim = dim};
    p.width = position != NULL ? position->width : tokens < FLAT_WIDTH ? tokens : FLAT_WIDTH;
    p.height = (tokens + p.width - 1) / p.width;
    p.whole = position != NULL && p.width % KEY_UNIT != 0 && p.width % PACK == 0 &&
              tokens % KEY_UNIT == 0 && tokens <= FLAT_WIDTH;
    p.padded = p.whole ? p.width : round_up(p.width, KEY_UNIT);
    p.depth = round_up((dim + PACK - 1) / PACK, DEPTH_UNIT);
    p.columns = round_up(dim, LANES);
    p.block_rows = p.padded > KEY_BLOCK ? 1 : KEY_BLOCK / p.padded;
    if (p.whole || p.block_rows > p.height) {
        p.block_rows = p.height;
    }
    p.rel_h = position != NULL ? 2 * p.height - 1 + LANES : 0;
    p.rel_w = position != NULL ? 2 * p.width - 1 + LANES : 0;
    size_t at = 0;
    const struct {
        size_t *offset;
        int64_t floats;
    } parts[] = {
        {&p.keys, p.depth * p.height * p.padded},
        {&p.values, p.height * p.padded / PACK * p.columns},
        {&p.table_h, dim * p.rel_h},
        {&p.table_w, dim * p.rel_w},
        {&p.queries, QUERY_BLOCK * p.depth},
        {&p.scores, QUERY_BLOCK * p.block_rows * p.padded},
        {&p.weights, PACK == 1 ? 0 : QUERY_BLOCK * p.block_rows * p.padded / 2},
        {&p.sums, QUERY_BLOCK * p.columns},
        {&p.bias_h, QUERY_BLOCK * round_up(p.height + 1, LANES)},
        {&p.bias_w, QUERY_BLOCK * (p.whole ? tokens : p.padded)},
        {&p.zeros, round_up(p.padded, LANES)},
        {&p.tail, p.padded},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].offset = at;
        at += (size_t)round_up(parts[i].floats, 16);
    }
    p.end = at;
    return p;
}

static size_t attention_scratch(int64_t tokens, int64_t head_dim,
                                const struct head_position *position) {
    return make_plan(tokens, head_dim, position).end * sizeof(float);
}

/* ---- Packing ------------------------------------------------------------------------- */

#if PACK == 2
static inline float element_of(float low, float high) {
    uint32_t bits = (uint32_t)bf16_of(high) << 16 | bf16_of(low);
    float element;
    memcpy(&element, &bits, sizeof element);
    return element;
}
#endif

/* keys[d][key]: the element of inner index d for all keys, rows padded. */
static void pack_keys(float *keys, const struct plan *p, const float *k, int64_t stride) {
    int64_t all_keys = p->height * p->padded;
    memset(keys, 0, (size_t)(p->depth * all_keys) * sizeof *keys);
    for (int64_t t = 0; t < p->tokens; t++) {
        float *column = keys + t / p->width * p->padded + t % p->width;
        const float *key = k + t * stride;
#if PACK == 1
        for (int64_t d = 0; d < p->dim; d++) {
            column[d * all_keys] = key[d];
        }
#else
        for (int64_t d = 0; d < p->dim; d += 2) {
            column[d / 2 * all_keys] = element_of(key[d], d + 1 < p->dim ? key[d + 1] : 0);
        }
#endif
    }
}

/* values[key][column], or for pairs of keys [key / 2][column] with both. */
static void pack_values(float *values, const struct plan *p, const float *v, int64_t stride) {
    memset(values, 0, (size_t)(p->height * p->padded / PACK * p->columns) * sizeof *values);
#if PACK == 1
    for (int64_t t = 0; t < p->tokens; t++) {
        int64_t place = t / p->width * p->padded + t % p->width;
        memcpy(values + place * p->columns, v + t * stride, (size_t)p->dim * sizeof *v);
    }
#else
    for (int64_t y = 0; y < p->height; y++) {
        for (int64_t x = 0; x < p->width; x += 2) {
            int64_t t = y * p->width + x;
            if (t >= p->tokens) {
                break;
            }
            bool pair = x + 1 < p->width && t + 1 < p->tokens;
            float *row = values + (y * p->padded + x) / 2 * p->columns;
            for (int64_t d = 0; d < p->dim; d++) {
                row[d] = element_of(v[t * stride + d], pair ? v[(t + 1) * stride + d] : 0);
            }
        }
    }
#endif
}

/* table[d][m] = rel[last - m][d]: then the biases of a query at place y are the columns from
 * side - 1 - y on, in the order of the keys. */
static void pack_table(float *table, int64_t columns, const float *rel, int64_t side, int64_t dim) {
    int64_t last = 2 * side - 2;
    memset(table, 0, (size_t)(dim * columns) * sizeof *table);
    for (int64_t m = 0; m <= last; m++) {
        for (int64_t d = 0; d < dim; d++) {
            table[d * columns + m] = rel[(last - m) * dim + d];
        }
    }
}

/* ---- Products ---------------------------------------------------------------------------- */

#ifndef BLOCK_PRODUCT
/* c (TILE_ROWS, vectors) (+)= a (TILE_ROWS, depth) b (depth, vectors); strides in elements. */
static inline __attribute__((always_inline)) void
tile_product(float *c, int64_t c_stride, const float *a, int64_t a_stride, const float *b,
             int64_t b_stride, int64_t depth, int vectors, bool accumulate) {
    vec sums[TILE_ROWS][TILE_VECTORS];
    for (int i = 0; i < TILE_ROWS; i++) {
        for (int j = 0; j < vectors; j++) {
            sums[i][j] = accumulate ? load(c + i * c_stride + j * LANES) : (vec){0};
        }
    }
    for (int64_t d = 0; d < depth; d++) {
        vec row[TILE_VECTORS];
        for (int j = 0; j < vectors; j++) {
            row[j] = load(b + d * b_stride + j * LANES);
        }
        for (int i = 0; i < TILE_ROWS; i++) {
            vec element = all_of(a + i * a_stride + d);
            for (int j = 0; j < vectors; j++) {
                sums[i][j] = multiply_add(sums[i][j], element, row[j]);
            }
        }
    }
    for (int i = 0; i < TILE_ROWS; i++) {
        for (int j = 0; j < vectors; j++) {
            store(c + i * c_stride + j * LANES, sums[i][j]);
        }
    }
}

/* rows: rounded up to whole tiles by the callers' buffers; columns: whole vectors. */
static void block_product(float *c, int64_t c_stride, const float *a, int64_t a_stride,
                          const float *b, int64_t b_stride, int64_t rows, int64_t columns,
                          int64_t depth, bool accumulate) {
    int64_t step = TILE_VECTORS * LANES;
    for (int64_t j = 0; j < columns; j += step) {
        int64_t vectors = columns - j < step ? (columns - j) / LANES : TILE_VECTORS;
        for (int64_t i = 0; i < rows; i += TILE_ROWS) {
            float *out = c + i * c_stride + j;
            const float *left = a + i * a_stride, *right = b + j;
            switch (vectors) {
#if TILE_VECTORS > 2
            case 4:
                tile_product(out, c_stride, left, a_stride, right, b_stride, depth, 4, accumulate);
                break;
            case 3:
                tile_product(out, c_stride, left, a_stride, right, b_stride, depth, 3, accumulate);
                break;
#endif
            case 2:
                tile_product(out, c_stride, left, a_stride, right, b_stride, depth, 2, accumulate);
                break;
            default:
                tile_product(out, c_stride, left, a_stride, right, b_stride, depth, 1, accumulate);
            }
        }
    }
}
#endif

/* out[0 .. columns) = log2 e times q (dim) . table (dim, columns from `first` on); writes whole
 * vectors. */
static void bias_row(float *out, const float *q, const float *table, int64_t stride, int64_t first,
                     int64_t columns, int64_t dim) {
    for (int64_t j = 0; j < columns; j += LANES) {
        vec sum = {0};
        for (int64_t d = 0; d < dim; d++) {
            sum += q[d] * load(table + d * stride + first + j);
        }
        store(out + j, sum * LOG2_E);
    }
}

/* ---- One block of queries -------------------------------------------------------------------- */

struct head {
    struct plan plan;
    const struct head_position *position;
    float *scratch;
    float scale;
    float largest[QUERY_BLOCK], total[QUERY_BLOCK];
};

static void pack_queries(struct head *h, const float *q, int64_t stride, int64_t first,
                         int64_t rows) {
    const struct plan *p = &h->plan;
    float *queries = h->scratch + p->queries;
    memset(queries, 0, (size_t)(QUERY_BLOCK * p->depth) * sizeof *queries);
    for (int64_t i = 0; i < rows; i++) {
        const float *query = q + (first + i) * stride;
#if PACK == 1
        memcpy(queries + i * p->depth, query, (size_t)p->dim * sizeof *query);
#else
        to_bf16((uint16_t *)(void *)(queries + i * p->depth), query, (size_t)p->dim);
#endif
    }
}

static void make_biases(struct head *h, const float *q, int64_t stride, int64_t first,
                        int64_t rows) {
    const struct plan *p = &h->plan;
    float *s = h->scratch;
    int64_t step = round_up(p->height + 1, LANES);
    for (int64_t i = 0; i < rows; i++) {
        const float *query = q + (first + i) * stride;
        int64_t y = (first + i) / p->width, x = (first + i) % p->width;
        float *across = p->whole ? s + p->zeros : s + p->bias_w + i * p->padded;
        float *down = s + p->bias_h + i * step;
        bias_row(down, query, s + p->table_h, p->rel_h, p->height - 1 - y, p->height, p->dim);
        bias_row(across, query, s + p->table_w, p->rel_w, p->width - 1 - x, p->width, p->dim);
        for (int64_t t = 0; t < p->tokens && p->whole; t += p->width) {
            for (int64_t j = 0; j < p->width; j++) {
                s[p->bias_w + (size_t)(i * p->tokens + t + j)] = down[t / p->width] + across[j];
            }
        }
        for (int64_t j = p->width; j < p->padded; j++) {
            across[j] = EXCLUDED;
        }
    }
}

/* Scores of query i become weights 2^(score - largest); returns what the sums so far are to be
 * multiplied with. */
static float weigh(struct head *h, int64_t i, int64_t first_row, int64_t key_rows) {
    const struct plan *p = &h->plan;
    float *s = h->scratch, *scores = s + p->scores + i * p->block_rows * p->padded;
    int64_t width = p->whole ? p->tokens : p->padded, rows = p->whole ? 1 : key_rows;
    const float *across = h->position != NULL ? s + p->bias_w + i * width : s + p->zeros;
    const float *down = s + p->bias_h + i * round_up(p->height + 1, LANES);
    vec largest = all(h->largest[i]);
    for (int64_t r = 0; r < rows; r++) {
        const float *bias = across;
        if (h->position == NULL && first_row + r == p->height - 1) {
            bias = s + p->tail;
        }
        vec row_bias = all(h->position != NULL && !p->whole ? down[first_row + r] : 0);
        for (int64_t j = 0; j < width; j += LANES) {
            float *at = scores + r * width + j;
            vec score = load(at) * h->scale + (load(bias + j) + row_bias);
            largest = larger(largest, score);
            store(at, score);
        }
    }
    float now = largest_of(largest), before = h->largest[i];
    vec total = {0};
#if PACK == 2
    uint16_t *weights = (uint16_t *)(void *)(s + p->weights) + i * p->block_rows * p->padded;
#endif
    for (int64_t j = 0; j < key_rows * p->padded; j += LANES) {
        vec weight = power_of_two(load(scores + j) - now, PACK == 2);
        total += weight;
#if PACK == 1
        store(scores + j, weight);
#else
        store_bf16(weights + j, weight);
#endif
    }
    vec shrink = power_of_two(all(before - now), false);
    h->largest[i] = now;
    h->total[i] = h->total[i] * shrink[0] + sum_of(total);
    return shrink[0];
}

static void attend_block(struct head *h, int64_t rows) {
    const struct plan *p = &h->plan;
    float *s = h->scratch, *sums = s + p->sums;
    int64_t keys = p->height * p->padded, stride = p->block_rows * p->padded;
    for (int64_t i = 0; i < rows; i++) {
        h->largest[i] = EXCLUDED;
        h->total[i] = 0;
    }
    memset(sums, 0, (size_t)(QUERY_BLOCK * p->columns) * sizeof *sums);
    for (int64_t first = 0; first < p->height; first += p->block_rows) {
        int64_t key_rows = p->height - first < p->block_rows ? p->height - first : p->block_rows;
        int64_t count = key_rows * p->padded;
        block_product(s + p->scores, stride, s + p->queries, p->depth,
                      s + p->keys + first * p->padded, keys, rows, count, p->depth, false);
        for (int64_t i = 0; i < rows; i++) {
            float shrink = weigh(h, i, first, key_rows);
            for (int64_t j = 0; j < p->columns; j += LANES) {
                store(sums + i * p->columns + j, load(sums + i * p->columns + j) * shrink);
            }
        }
        block_product(sums, p->columns, s + (PACK == 1 ? p->scores : p->weights), stride / PACK,
                      s + p->values + first * p->padded / PACK * p->columns, p->columns, rows,
                      p->columns, count / PACK, true);
    }
}

static void attention(float *out, int64_t out_stride, const float *q, const float *k,
                      const float *v, int64_t stride, int64_t tokens, int64_t head_dim,
                      const struct head_position *position, void *scratch) {
    struct head h = {.plan = make_plan(tokens, head_dim, position),
                     .position = position,
                     .scratch = scratch,
                     .scale = LOG2_E / sqrtf((float)head_dim)};
    const struct plan *p = &h.plan;
    float *s = scratch;
    /* Rows behind the last query take part in products, and are never looked at; they must not
     * hold what slows the processor down (denormals, NaN). */
    memset(s + p->scores, 0, (p->end - p->scores) * sizeof *s);
    pack_keys(s + p->keys, p, k, stride);
    pack_values(s + p->values, p, v, stride);
    if (position != NULL) {
        pack_table(s + p->table_h, p->rel_h, position->rel_h, p->height, head_dim);
        pack_table(s + p->table_w, p->rel_w, position->rel_w, p->width, head_dim);
    } else {
        int64_t last = tokens - (p->height - 1) * p->width;
        for (int64_t j = 0; j < p->padded; j++) {
            s[p->zeros + (size_t)j] = j < p->width ? 0 : EXCLUDED;
            s[p->tail + (size_t)j] = j < last ? 0 : EXCLUDED;
        }
    }
    for (int64_t first = 0; first < tokens; first += QUERY_BLOCK) {
        int64_t rows = tokens - first < QUERY_BLOCK ? tokens - first : QUERY_BLOCK;
        pack_queries(&h, q, stride, first, rows);
        if (position != NULL) {
            make_biases(&h, q, stride, first, rows);
        }
        attend_block(&h, rows);
        for (int64_t i = 0; i < rows; i++) {
            float share = 1.0f / h.total[i];
            const float *sum = s + p->sums + i * p->columns;
            for (int64_t d = 0; d < head_dim; d++) {
                out[(first + i) * out_stride + d] = sum[d] * share;
            }
        }
    }
}
