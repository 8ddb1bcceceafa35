/* gemm.c - see gemm.h: panels, blocks, and what becomes of their sums. */
#include "compress/cpu/gemm.h"

#include <assert.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/team.h"

/* Of the second cache a panel of b takes at most 400 KB, as the first one's rows pass it again and
 * again, and a block of a as much, unless sums must not be parted. */
enum {
    ROWS = 96,          /* of a: a multiple of every level's units */
    SHARED_ROWS = 48,   /* a thread takes a multiple of */
    DEPTH = 512,        /* elements of the inner dimension */
    PANEL = 96 << 10,   /* elements of b */
    COLUMNS_UNIT = 64,  /* of a panel: a multiple, and at least as many */
    COLUMNS_MOST = 512, /* numbers */
    PAD = 16            /* elements, which keep rows from falling on each other in the cache */
};

/* A product on its way. */
struct work {
    const struct gemm *g;
    bool turned; /* out is that of the product turned over */
    const struct gemm_kernels *kernels;
    const struct level *level;
    int64_t depth, columns; /* numbers of b that are taken at a time */
    int64_t a_stride, b_stride, c_stride, staged_stride;
    float *a, *b, *c;
    float *staged;          /* elements that are turned */
    float *lines;           /* of a frozen matrix, unpacked */
    int64_t a_row, a_inner; /* of the block that is packed; -1: none */
};

/* A part of the product. */
struct range {
    int64_t first, count;
};

static int64_t least_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* Whether sums of all of the inner dimension must be at hand when they are finished. */
static bool is_whole(const struct gemm *g) {
    return g->out.type != DTYPE_F32 || g->activation != ACTIVATION_NONE || g->residual.data != NULL;
}

static void choose_sizes(struct work *w) {
    const struct gemm *g = w->g;
    const int64_t pack = w->kernels->pack, parts = (g->k + DEPTH * pack - 1) / (DEPTH * pack);
    w->depth = is_whole(g) ? g->k : round_up((g->k + parts - 1) / parts, COLUMNS_UNIT);
    const int64_t elements = (w->depth + pack - 1) / pack;
    int64_t most = PANEL / elements / COLUMNS_UNIT * COLUMNS_UNIT;
    most = most < COLUMNS_UNIT ? COLUMNS_UNIT : least_of(most, COLUMNS_MOST);
    const int64_t panels = (g->n + most - 1) / most;
    w->columns = least_of(round_up((g->n + panels - 1) / panels, COLUMNS_UNIT),
                          round_up(g->n, w->kernels->column_unit));
}

static bool is_packed(const struct gemm_factor *f) {
    return f->frozen != NULL && (f->frozen->format == FROZEN_I8 || f->frozen->format == FROZEN_U4);
}

static int make_room(struct work *w, struct device *d, struct error *e) {
    const int64_t square = w->kernels->square, pack = w->kernels->pack;
    const int64_t depth = round_up(w->depth, square * pack * w->kernels->depth_unit) / pack;
    const int64_t wide = round_up(w->columns, square);
    const int64_t longest = w->depth > wide * pack ? w->depth : wide * pack;
    w->a_stride = depth + PAD;
    w->b_stride = wide;
    w->c_stride = wide + PAD;
    w->staged_stride = (depth > ROWS ? depth : ROWS) + PAD;
    const int64_t sizes[] = {ROWS * w->a_stride, depth * w->b_stride, ROWS * w->c_stride,
                             square * w->staged_stride,
                             is_packed(&w->g->b) ? round_up(square * longest, PAD) : 0};
    float **const parts[] = {&w->a, &w->b, &w->c, &w->staged, &w->lines};
    int64_t total = 0;
    for (int i = 0; i < 5; i++) {
        total += round_up(sizes[i], PAD);
    }
    void *scratch = NULL;
    int rc = cpu_scratch(&scratch, d, SCRATCH_GEMM, (size_t)total * sizeof(float), e);
    float *at = scratch;
    for (int i = 0; i < 5 && rc == 0; i++) {
        *parts[i] = at;
        at += round_up(sizes[i], PAD);
    }
    return rc;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Numbers [first, ..) of a line of a factor: of row `line` of `along`, or across. */
static const void *line_at(const struct gemm_factor *f, int64_t line, int64_t first) {
    const int64_t step = f->inner_step == 1 ? f->outer_step : f->inner_step;
    return (const char *)f->data + (line * step + first) * (int64_t)dtype_size(f->type);
}

/* The same of any factor; unpacked in place `slot` of w->lines. Lines from `end` on are NULL. */
static const void *numbers_of(const struct work *w, const struct gemm_factor *f, int64_t line,
                              int64_t end, const struct range *numbers, int64_t slot) {
    if (line >= end) {
        return NULL;
    }
    if (!is_packed(f)) {
        return line_at(f, line, numbers->first);
    }
    float *out = w->lines + slot * numbers->count;
    w->level->unpack(out, f->frozen, line, numbers->first, numbers->count);
    return out;
}

static enum dtype type_of(const struct gemm_factor *f) {
    return is_packed(f) ? DTYPE_F32 : f->type;
}

/* Whether pairs along lines of a factor can be read as elements where they lie. */
static bool lies_in_elements(const struct work *w, const struct gemm_factor *f) {
    return f->inner_step == 1 && type_of(f) == (w->kernels->pack == 2 ? DTYPE_BF16 : DTYPE_F32) &&
           !is_packed(f) && (uintptr_t)f->data % sizeof(float) == 0 &&
           f->outer_step % w->kernels->pack == 0;
}

/* ---- Packing --------------------------------------------------------------------------------- */

/* out (inner elements, outer) from lines along the outer dimension. */
static void pack_across(const struct work *w, float *out, int64_t stride,
                        const struct gemm_factor *f, const struct range *outer,
                        const struct range *inner, int64_t wide) {
    const int64_t pack = w->kernels->pack, end = inner->first + inner->count;
    const int64_t elements = round_up((inner->count + pack - 1) / pack, w->kernels->depth_unit);
    for (int64_t i = 0; i < elements; i++) {
        const int64_t line = inner->first + i * pack;
        const void *lines[2] = {numbers_of(w, f, line, end, outer, 0)};
        if (pack == 2) {
            lines[1] = numbers_of(w, f, line + 1, end, outer, 1);
        }
        w->kernels->pack_pair(out + i * stride, wide, lines, type_of(f), outer->count);
    }
}

/* The same from lines along the inner one. */
static void pack_along(const struct work *w, float *out, int64_t stride,
                       const struct gemm_factor *f, const struct range *outer,
                       const struct range *inner) {
    const int64_t square = w->kernels->square, end = outer->first + outer->count;
    const int64_t pack = w->kernels->pack;
    const int64_t elements =
        round_up((inner->count + pack - 1) / pack,
                 square > w->kernels->depth_unit ? square : w->kernels->depth_unit);
    const bool there = inner->count % (square * pack) == 0 && lies_in_elements(w, f);
    for (int64_t o = 0; o < outer->count; o += square) {
        if (there && outer->count - o >= square) {
            w->kernels->turn(out + o, stride, line_at(f, outer->first + o, inner->first),
                             f->outer_step / pack, square, elements);
            continue;
        }
        for (int64_t i = 0; i < square; i++) {
            const void *line = numbers_of(w, f, outer->first + o + i, end, inner, i);
            w->kernels->pack_line(w->staged + i * w->staged_stride, elements, line, type_of(f),
                                  inner->count);
        }
        w->kernels->turn(out + o, stride, w->staged, w->staged_stride, square, elements);
    }
}

static void pack_b(const struct work *w, const struct range *columns, const struct range *inner) {
    const struct gemm_factor *b = &w->g->b;
    if (b->inner_step == 1) {
        pack_along(w, w->b, w->b_stride, b, columns, inner);
    } else {
        pack_across(w, w->b, w->b_stride, b, columns, inner,
                    round_up(columns->count, w->kernels->column_unit));
    }
}

/* Whether these rows of a lie as if they were packed. */
static bool lies_packed(const struct work *w, const struct range *rows, const struct range *inner) {
    const struct gemm_kernels *k = w->kernels;
    return lies_in_elements(w, &w->g->a) && rows->count % k->row_unit == 0 &&
           inner->count % (k->pack * k->depth_unit) == 0;
}

/* Rows of a, and of zeros up to whole units. */
static void pack_a(struct work *w, const struct range *rows, const struct range *inner) {
    const struct gemm_factor *a = &w->g->a;
    const int64_t square = w->kernels->square, pack = w->kernels->pack;
    const int64_t whole = round_up(rows->count, w->kernels->row_unit);
    const int64_t depth = round_up((inner->count + pack - 1) / pack, w->kernels->depth_unit);
    int64_t done = 0;
    if (w->a_row == rows->first && w->a_inner == inner->first) {
        return;
    }
    w->a_row = rows->first;
    w->a_inner = inner->first;
    if (a->inner_step != 1) {
        const int64_t wide = round_up(rows->count, square);
        for (int64_t i = 0; i < depth; i += square) {
            const struct range part = {.first = inner->first + i * pack,
                                       .count = least_of(square * pack, inner->count - i * pack)};
            memset(w->staged, 0, (size_t)(square * w->staged_stride) * sizeof *w->staged);
            pack_across(w, w->staged, w->staged_stride, a, rows, &part, wide);
            w->kernels->turn(w->a + i, w->a_stride, w->staged, w->staged_stride, square, wide);
        }
        done = wide;
    }
    for (; done < whole; done++) {
        const void *line = done < rows->count ? line_at(a, rows->first + done, inner->first) : NULL;
        w->kernels->pack_line(w->a + done * w->a_stride, depth, line, a->type, inner->count);
    }
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* sums += columns of a row of x. */
static void add_row(const struct level *level, float *sums, const struct rows *x, int64_t row,
                    const struct range *columns) {
    const size_t count = (size_t)columns->count;
    const struct rows at = rows_at(x, row);
    if (x->type == DTYPE_F32) {
        level->accumulate(sums, (const float *)at.data + columns->first, count);
    } else {
        float line[COLUMNS_MOST];
        level->from_bf16(line, (const uint16_t *)at.data + columns->first, count);
        level->accumulate(sums, line, count);
    }
}

/* The same into columns of out, F32 without anything else. */
static void finish_turned(const struct work *w, const struct range *rows,
                          const struct range *columns, bool begun) {
    const struct rows *out = &w->g->out;
    for (int64_t c = 0; c < columns->count; c++) {
        float *to = (float *)out->data + (columns->first + c) * out->stride + rows->first;
        for (int64_t r = 0; r < rows->count; r++) {
            to[r] = (begun ? to[r] : 0) + w->c[r * w->c_stride + c];
        }
    }
}

/* `begun`: out holds a part of the sums; `last`: of the inner dimension. */
static void finish(const struct work *w, const struct range *rows, const struct range *columns,
                   bool begun, bool last) {
    const struct gemm *g = w->g;
    const size_t count = (size_t)columns->count;
    for (int64_t i = 0; i < rows->count; i++) {
        float *sums = w->c + i * w->c_stride;
        const int64_t row = rows->first + i;
        const struct rows to = rows_at(&g->out, row);
        if (begun) {
            add_row(w->level, sums, &g->out, row, columns);
        }
        if (last && g->bias != NULL) {
            w->level->accumulate(sums, g->bias + columns->first, count);
        }
        if (last) {
            const struct rows line = {.data = sums, .stride = columns->count, .type = DTYPE_F32};
            rows_activate(w->level, &line, 1, columns->count, g->activation);
        }
        if (last && g->residual.data != NULL) {
            add_row(w->level, sums, &g->residual, row, columns);
        }
        if (to.type == DTYPE_F32) {
            memcpy((float *)to.data + columns->first, sums, count * sizeof *sums);
        } else {
            w->level->to_bf16((uint16_t *)to.data + columns->first, sums, count);
        }
    }
}

/* Whether these sums can be made where they belong. */
static bool lies_summed(const struct work *w, const struct range *rows,
                        const struct range *columns) {
    return !is_whole(w->g) && w->g->bias == NULL && !w->turned &&
           rows->count % w->kernels->row_unit == 0 && columns->count % w->kernels->column_unit == 0;
}

/* ---- Loops ----------------------------------------------------------------------------------- */

/* A block of rows against the panel that is packed. */
static void multiply_rows(struct work *w, const struct range *columns, const struct range *inner,
                          const struct range *rows) {
    const struct gemm *g = w->g;
    const struct gemm_kernels *k = w->kernels;
    const int64_t depth = round_up((inner->count + k->pack - 1) / k->pack, k->depth_unit);
    const bool begun = g->accumulate || inner->first > 0;
    const bool last = inner->first + inner->count == g->k;
    const bool there = lies_packed(w, rows, inner), whole = lies_summed(w, rows, columns);
    const int64_t r = rows->first;
    const float *a = there ? line_at(&g->a, r, inner->first) : w->a;
    const int64_t a_stride = there ? g->a.outer_step / k->pack : w->a_stride;
    float *c = whole ? (float *)g->out.data + r * g->out.stride + columns->first : w->c;
    if (!there) {
        pack_a(w, rows, inner);
    }
    k->multiply(c, whole ? g->out.stride : w->c_stride, a, a_stride, w->b, w->b_stride,
                round_up(rows->count, k->row_unit), round_up(columns->count, k->column_unit), depth,
                whole && begun);
    if (w->turned) {
        finish_turned(w, rows, columns, begun);
    } else if (!whole) {
        finish(w, rows, columns, begun, last);
    }
}

static struct range columns_of(const struct work *w, int64_t panel) {
    const int64_t first = panel * w->columns;
    return (struct range){.first = first, .count = least_of(w->columns, w->g->n - first)};
}

static struct range inner_from(const struct work *w, int64_t first) {
    return (struct range){.first = first, .count = least_of(w->depth, w->g->k - first)};
}

static int64_t panels_of(const struct work *w) {
    return (w->g->n + w->columns - 1) / w->columns;
}

/* ---- Threads: each takes a panel, or some rows against it, and packs what it needs ----------- */

/* Panels and blocks of rows, each met with each. */
struct grid {
    const struct work *work;
    int64_t panels, blocks;
};

static int grid_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct grid *grid = context;
    struct work w = *grid->work;
    const struct range columns = columns_of(&w, i % grid->panels);
    const struct share rows = share_at(w.g->m, SHARED_ROWS, i / grid->panels, grid->blocks);
    int rc = make_room(&w, d, e);
    for (int64_t k = 0; k < w.g->k && rows.count > 0 && rc == 0; k += w.depth) {
        const struct range inner = inner_from(&w, k);
        pack_b(&w, &columns, &inner);
        for (int64_t r = 0; r < rows.count; r += ROWS) {
            const struct range block = {.first = rows.first + r,
                                        .count = least_of(ROWS, rows.count - r)};
            multiply_rows(&w, &columns, &inner, &block);
        }
    }
    return rc;
}

/* Of panels `width` units of columns wide and of some blocks of rows, those that threads are done
 * with soonest, each taking the next piece. Packing a panel takes as long as some rows of it. */
static void choose_grid(struct grid *grid, struct work *w, int64_t threads) {
    enum { PACKING = 48 };
    const int64_t units = (w->g->n + COLUMNS_UNIT - 1) / COLUMNS_UNIT;
    const int64_t most = (w->columns + COLUMNS_UNIT - 1) / COLUMNS_UNIT;
    const int64_t parts = least_of((w->g->m + SHARED_ROWS - 1) / SHARED_ROWS, 4 * threads);
    int64_t best = 1, least = INT64_MAX;
    for (int64_t width = most; width > 0; width--) {
        const int64_t panels = (units + width - 1) / width;
        for (int64_t blocks = 1; blocks <= parts; blocks++) {
            const int64_t turns = (panels * blocks + threads - 1) / threads;
            const int64_t time = turns * width * (w->g->m / blocks + PACKING);
            if (time < least) {
                least = time;
                best = width;
                grid->blocks = blocks;
            }
        }
    }
    w->columns = least_of(w->columns, best * COLUMNS_UNIT);
    grid->panels = panels_of(w);
}

static bool is_shared(const struct device *d, const struct gemm *g) {
    return cpu_pieces(d, cpu_threads(d), g->m * g->n / TEAM_MULTIPLY_ADDS * g->k) > 1;
}

static int share_grid(struct device *d, struct work *w, struct error *e) {
    struct grid grid = {.work = w, .blocks = 1};
    choose_grid(&grid, w, cpu_threads(d));
    return cpu_share(d, grid.panels * grid.blocks, grid_piece, &grid, e);
}

static int all_panels(struct device *d, struct work *w, struct error *e) {
    int rc = make_room(w, d, e);
    for (int64_t p = 0; p < panels_of(w) && rc == 0; p++) {
        const struct range columns = columns_of(w, p);
        for (int64_t k = 0; k < w->g->k; k += w->depth) {
            const struct range inner = inner_from(w, k);
            pack_b(w, &columns, &inner);
            for (int64_t r = 0; r < w->g->m; r += ROWS) {
                const struct range rows = {.first = r, .count = least_of(ROWS, w->g->m - r)};
                multiply_rows(w, &columns, &inner, &rows);
            }
        }
    }
    return rc;
}

/* b^T a^T is packed sooner than a b where a's rows are across and b is narrow. */
static bool is_turned(const struct gemm *g) {
    return g->k > 0 && g->a.outer_step == 1 && g->a.inner_step != 1 && g->n <= COLUMNS_UNIT &&
           g->m > g->n && !is_whole(g) && g->bias == NULL && !is_packed(&g->b);
}

static struct gemm turned(const struct gemm *g) {
    struct gemm other = *g;
    other.m = g->n;
    other.n = g->m;
    other.a = g->b;
    other.b = g->a;
    return other;
}

/* Without an inner dimension sums are zeros: those of one number, 0. */
static struct gemm of_zeros(const struct gemm *g) {
    static const float zero = 0;
    const struct gemm_factor f = {.data = &zero, .type = DTYPE_F32, .inner_step = 1};
    struct gemm other = *g;
    other.k = 1;
    other.a = other.b = f;
    return other;
}

int gemm_run(struct device *d, const struct gemm *g, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    const bool bf16 = g->compute == DTYPE_BF16 && level->has_bf16;
    const struct gemm made = g->k == 0 ? of_zeros(g) : is_turned(g) ? turned(g) : *g;
    struct work w = {.g = &made,
                     .turned = is_turned(g),
                     .kernels = bf16 ? level->gemm_bf16 : level->gemm,
                     .level = level,
                     .a_row = -1,
                     .a_inner = -1};
    assert(!is_packed(&g->a));
    if (g->m == 0 || g->n == 0) {
        return 0;
    }
    choose_sizes(&w);
    return is_shared(d, w.g) ? share_grid(d, &w, e) : all_panels(d, &w, e);
}
