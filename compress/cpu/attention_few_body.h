/* attention_few_body.h - attention of a few queries, as in generation: keys and values are read
 * once, where they lie, instead of being packed for products with blocks of queries. In F32.
 * Included after attention_body.h. */

/* Half of the lanes of a onto the others, and of b, beside each other. */
static inline vec fold(vec a, vec b) {
    return MERGED(a, b, 0) + MERGED(a, b, LANES / 2);
}

/* Lane i of the result: the sum of the lanes of x[i]. Every fold halves what belongs to a sum and
 * brings lanes of two vectors together in turns; the last vectors that meet lie a place apart. */
static inline vec sums_of(vec x[LANES]) {
#if LANES > 8
    for (int i = 0; i < 8; i++) {
        x[i] = fold(x[i], x[i + 8]);
    }
#endif
#if LANES > 4
    for (int i = 0; i < 4; i++) {
        x[i] = fold(x[i], x[i + 4]);
    }
#endif
    return fold(fold(x[0], x[2]), fold(x[1], x[3]));
}

/* The queries of all heads of a group, head by head. */
struct few {
    const struct attention_call *call;
    const struct attention_group *group;
    struct few_plan plan;
    float *scratch;
    int64_t rows;
    float largest[ATTENTION_FEW], total[ATTENTION_FEW];
};

/* Lines of LANES tokens at most, as find_lines has them; whole ones of BF16 sooner. */
static void few_lines(const struct few *f, const float **lines, const struct attention_rows *rows,
                      int64_t first, int64_t count) {
    const int64_t wide = f->plan.wide, dim = f->call->dim;
    const struct source x = {.rows = rows, .dim = dim, .wide = wide};
    float *staged = f->scratch + f->plan.staged;
    if (rows->type != DTYPE_BF16 || dim != wide) {
        find_lines(lines, staged, &x, first, count, LANES);
        return;
    }
    const uint16_t *from = (const uint16_t *)rows->data + first * rows->step;
    for (int64_t i = 0; i < LANES; i++, staged += wide) {
        lines[i] = staged;
        for (int64_t d = 0; d < wide && i < count; d += FEW_TOGETHER * LANES) {
            for (int v = 0; v < FEW_TOGETHER; v++) {
                const char *at = (const char *)(from + i * rows->step + d + v * LANES);
                __builtin_prefetch(at + FEW_AHEAD);
                store(staged + d + v * LANES, (vec)(wide_halves(at) << 16));
            }
        }
    }
}

/* Scores of all queries at keys [first, first + count), over scale ln 2. */
static void few_scores(const struct few *f, int64_t first, int64_t count) {
    const int64_t wide = f->plan.wide;
    const float scale = f->call->scale * LOG2_E;
    const float *lines[LANES];
    for (int64_t t = 0; t < count; t += LANES) {
        const int64_t now = count - t < LANES ? count - t : LANES;
        few_lines(f, lines, &f->group->k, first + t, now);
        for (int64_t r = 0; r < f->rows; r++) {
            const float *q = f->scratch + f->plan.queries + r * wide;
            vec parts[LANES] = {0};
            for (int64_t d = 0; d < wide; d += FEW_TOGETHER * LANES) {
                for (int i = 0; i < LANES; i++) {
                    for (int v = 0; v < FEW_TOGETHER; v++) {
                        parts[i] += load(q + d + v * LANES) * load(lines[i] + d + v * LANES);
                    }
                }
            }
            store(f->scratch + f->plan.scores + r * FEW_KEYS + t, sums_of(parts) * scale);
        }
    }
}

/* Scores of a query become weights; returns what its sums so far are to be multiplied with. */
static float few_weigh(struct few *f, int64_t row, int64_t first, int64_t count) {
    float *scores = f->scratch + f->plan.scores + row * FEW_KEYS;
    const int64_t whole = round_up(count, LANES);
    int64_t from, to;
    visible(f->call, f->group, row % f->group->queries, &from, &to);
    for (int64_t j = 0; j < whole; j++) {
        scores[j] = first + j < from || first + j >= to ? EXCLUDED : scores[j];
    }
    vec largest = all(f->largest[row]), total = {0};
    for (int64_t j = 0; j < whole; j += LANES) {
        largest = larger(largest, load(scores + j));
    }
    const float now = largest_of(largest);
    for (int64_t j = 0; j < whole; j += LANES) {
        const vec weight = power_of_two(load(scores + j) - now, false);
        total += weight;
        store(scores + j, weight);
    }
    const float shrink = power_of_two(all(f->largest[row] - now), false)[0];
    f->largest[row] = now;
    f->total[row] = f->total[row] * shrink + sum_of(total);
    return shrink;
}

/* FEW_TOGETHER vectors of the sums of as many queries += weights by values of some keys. */
static inline __attribute__((always_inline)) void few_add(const struct few *f, int64_t row,
                                                          int64_t at, const float *const *lines,
                                                          int64_t key, int64_t count) {
    float *to = f->scratch + f->plan.sums + row * f->plan.wide + at;
    const float *weights = f->scratch + f->plan.scores + row * FEW_KEYS + key;
    vec sums[FEW_TOGETHER][FEW_TOGETHER];
    for (int r = 0; r < FEW_TOGETHER; r++) {
        for (int v = 0; v < FEW_TOGETHER; v++) {
            sums[r][v] = load(to + r * f->plan.wide + v * LANES);
        }
    }
    for (int64_t t = 0; t < count; t++) {
        for (int r = 0; r < FEW_TOGETHER; r++) {
            const vec weight = all(weights[r * FEW_KEYS + t]);
            for (int v = 0; v < FEW_TOGETHER; v++) {
                sums[r][v] += weight * load(lines[t] + at + v * LANES);
            }
        }
    }
    for (int r = 0; r < FEW_TOGETHER; r++) {
        for (int v = 0; v < FEW_TOGETHER; v++) {
            store(to + r * f->plan.wide + v * LANES, sums[r][v]);
        }
    }
}

static void few_values(const struct few *f, int64_t first, int64_t count) {
    const float *lines[LANES];
    for (int64_t t = 0; t < count; t += LANES) {
        const int64_t now = count - t < LANES ? count - t : LANES;
        few_lines(f, lines, &f->group->v, first + t, now);
        for (int64_t r = 0; r < f->rows; r += FEW_TOGETHER) {
            for (int64_t at = 0; at < f->plan.wide; at += FEW_TOGETHER * LANES) {
                few_add(f, r, at, lines, t, now);
            }
        }
    }
}

static void few_finish(const struct few *f) {
    const struct attention_group *g = f->group;
    for (int64_t r = 0; r < f->rows; r++) {
        const float factor = 1.0f / f->total[r];
        const int64_t head = r / g->queries, query = r % g->queries;
        set_rows(&g->out, NULL, head, query, 1, f->call->dim,
                 f->scratch + f->plan.sums + r * f->plan.wide, f->plan.wide, &factor);
        if (g->log_sum_exp != NULL) {
            g->log_sum_exp[head * g->log_head + query] = f->largest[r] / LOG2_E + logf(f->total[r]);
        }
    }
}

static void attend_few(const struct attention_call *c, const struct attention_group *g,
                       float *scratch) {
    struct few f = {.call = c,
                    .group = g,
                    .plan = plan_few(c),
                    .scratch = scratch,
                    .rows = g->heads * g->queries};
    int64_t begin = g->keys, end = 0;
    memset(scratch, 0, f.plan.staged * sizeof *scratch);
    for (int64_t r = 0; r < f.rows; r++) {
        int64_t from, to;
        const struct source q = {
            .rows = &g->q, .head = r / g->queries, .dim = c->dim, .wide = f.plan.wide};
        stage_line(scratch + f.plan.queries + r * f.plan.wide, &q, r % g->queries);
        visible(c, g, r % g->queries, &from, &to);
        begin = from < begin ? from : begin;
        end = to > end ? to : end;
        f.largest[r] = EXCLUDED;
    }
    for (int64_t first = begin; first < end; first += FEW_KEYS) {
        const int64_t count = end - first < FEW_KEYS ? end - first : FEW_KEYS;
        few_scores(&f, first, count);
        for (int64_t r = 0; r < f.rows; r++) {
            const float shrink = few_weigh(&f, r, first, count);
            float *sums = scratch + f.plan.sums + r * f.plan.wide;
            for (int64_t d = 0; d < f.plan.wide && shrink != 1; d += LANES) {
                store(sums + d, load(sums + d) * shrink);
            }
        }
        few_values(&f, first, count);
    }
    few_finish(&f);
}
