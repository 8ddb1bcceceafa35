/* Which rows of a decoder are trained: scores against double precision; what is chosen by them and
 * by chance. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "tests/gspf_network.h"

enum { UNIT_ROWS = 5 /* no matrix has a multiple of it but one */ };

static const struct gspf_options OPTIONS = {
    .rows = UNIT_ROWS, .budget = 0.2, .keep = 0.8, .patience = 1};

/* ---- Scores ---------------------------------------------------------------------------------- */

enum { ROWS_SEEN = 12 };

/* What scores stand for, in double precision, from whole gradients. */
struct exact {
    double magnitude, square, sum[MOST]; /* EMAs of |g|, |g|^2 and g of a unit */
};

static void add_exact(struct exact *x, const float *g, int64_t count) {
    const double keep = OPTIONS.keep;
    double magnitude = 0, square = 0;
    for (int64_t i = 0; i < count; i++) {
        magnitude += fabs((double)g[i]);
        square += (double)g[i] * (double)g[i];
        x->sum[i] = keep * x->sum[i] + (1 - keep) * (double)g[i];
    }
    x->magnitude = keep * x->magnitude + (1 - keep) * magnitude / (double)count;
    x->square = keep * x->square + (1 - keep) * square;
}

static double mean_magnitude(const float *numbers, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += fabs((double)numbers[i]);
    }
    return sum / (double)count;
}

struct scoring {
    struct network n;
    struct trained all;
    struct gspf_scores *scores;
};

static void scoring_open(struct scoring *s, enum tape_recompute recompute) {
    const struct tape_options options = {.storage = DTYPE_F32, .recompute = recompute};
    struct error e = {0};
    *s = (struct scoring){.scores = NULL};
    network_open(&s->n, SMALL_MODEL, &options);
    trained_whole(&s->all, &s->n);
    must(gspf_scores_open(&s->scores, &OPTIONS, s->n.base, NULL, tape_device(s->n.tape), &e), &e);
}

static void scoring_close(struct scoring *s) {
    gspf_scores_close(s->scores);
    trained_close(&s->all);
    network_close(&s->n);
}

static void score_row(struct scoring *s, uint64_t number) {
    network_row(&s->n, number);
    tape_set_sink(s->n.tape, gspf_scores_sink, s->scores);
    network_learn(&s->n, gspf_probe_parts(s->scores));
    tape_set_sink(s->n.tape, NULL, NULL);
    CHECK(gspf_scores_step(s->scores));
}

/* The unit's numbers of its whole matrix. */
static const float *numbers_of(const struct scoring *s, const struct mask_unit *u,
                               const float *whole, int64_t *count) {
    int64_t outputs, inputs;
    decoder_matrix_shape(&s->n.folder.config, u->matrix, &outputs, &inputs);
    *count = u->rows * inputs;
    return whole + u->first_row * inputs;
}

static void scores_are_those_of_double_precision(void) {
    static struct exact exact[200];
    static float whole[MOST];
    struct scoring s;
    struct error e = {0};
    scoring_open(&s, RECOMPUTE_NONE);
    const struct gspf_units units = *gspf_scores_units(s.scores);
    double of_stability = 0, of_exact = 0, worst = 0;
    CHECK(units.count <= (int64_t)(sizeof exact / sizeof *exact));
    memset(exact, 0, sizeof exact);
    for (uint64_t row = 0; row < ROWS_SEEN; row++) {
        score_row(&s, row / 2); /* each twice */
        const struct decoder_source full = {.source = &s.all.source, .config = &s.n.folder.config};
        network_learn(&s.n, decoder_source_parts(&full));
        for (int64_t i = 0; i < units.count; i++) {
            const struct mask_unit u = gspf_unit(&units, i);
            char name[TENSOR_SPEC_NAME];
            int64_t count;
            decoder_weight_name(name, u.layer, u.matrix);
            if (u.first_row == 0) {
                trained_gradient(&s.all, &s.n, name, whole);
            }
            const float *g = numbers_of(&s, &u, whole, &count);
            add_exact(&exact[i], g, count);
        }
    }
    const double share = 1 - pow(OPTIONS.keep, ROWS_SEEN);
    for (int64_t i = 0; i < units.count; i++) {
        const struct mask_unit u = gspf_unit(&units, i);
        char name[TENSOR_SPEC_NAME];
        int64_t count;
        decoder_weight_name(name, u.layer, u.matrix);
        must(decoder_folder_floats(&s.n.folder, name, whole, &e), &e);
        const float *w = numbers_of(&s, &u, whole, &count);
        double square = 0;
        for (int64_t k = 0; k < count; k++) {
            square += exact[i].sum[k] * exact[i].sum[k];
        }
        const double stability = square / exact[i].square / share;
        const double relative = exact[i].magnitude / share / mean_magnitude(w, count);
        const double got = gspf_score(s.scores, i) / relative;
        CHECK(got > 0 && got < 1.0001);
        worst = fmax(worst, fabs(got - stability));
        of_stability += got / (double)units.count;
        of_exact += stability / (double)units.count;
    }
    printf("# stability %.4f on average, %.4f in double; %.2f off at most\n", of_stability,
           of_exact, worst);
    CHECK_NEAR(of_stability / of_exact, 1, 0.1); /* of 16 sums */
    CHECK(worst < 0.3);
    scoring_close(&s);
}

/* One row, again and again: what is left is |g| / |w|. */
static void a_gradient_that_stays_is_stable(void) {
    static float whole[MOST], weights[MOST];
    struct scoring s;
    struct error e = {0};
    scoring_open(&s, RECOMPUTE_NONE);
    const struct gspf_units units = *gspf_scores_units(s.scores);
    for (int i = 0; i < 3; i++) {
        score_row(&s, 5);
    }
    const struct decoder_source full = {.source = &s.all.source, .config = &s.n.folder.config};
    network_learn(&s.n, decoder_source_parts(&full));
    for (int64_t i = 0; i < units.count; i++) {
        const struct mask_unit u = gspf_unit(&units, i);
        char name[TENSOR_SPEC_NAME];
        int64_t count;
        decoder_weight_name(name, u.layer, u.matrix);
        if (u.first_row == 0) {
            trained_gradient(&s.all, &s.n, name, whole);
            must(decoder_folder_floats(&s.n.folder, name, weights, &e), &e);
        }
        const float *gradient = numbers_of(&s, &u, whole, &count);
        const double g = mean_magnitude(gradient, count);
        const double w = mean_magnitude(weights + (gradient - whole), count);
        CHECK_NEAR(gspf_score(s.scores, i) * w / g, 1, 1e-4);
    }
    scoring_close(&s);
}

static void scores_do_not_depend_on_what_is_kept(void) {
    struct scoring kept, again;
    for (int mode = RECOMPUTE_BLOCK; mode <= RECOMPUTE_ALL; mode++) {
        scoring_open(&kept, RECOMPUTE_NONE);
        scoring_open(&again, (enum tape_recompute)mode);
        for (uint64_t i = 0; i < 3; i++) {
            score_row(&kept, i);
            score_row(&again, i);
        }
        for (int64_t i = 0; i < gspf_scores_units(kept.scores)->count; i++) {
            const double score = gspf_score(kept.scores, i);
            CHECK(score > 0);
            CHECK_NEAR(gspf_score(again.scores, i) / score, 1, 1e-3);
        }
        CHECK(tape_peak(again.n.tape) < tape_peak(kept.n.tape));
        scoring_close(&kept);
        scoring_close(&again);
    }
}

/* ---- Gradients that are not finite ----------------------------------------------------------- */

/* Hands gradients on to the scores, one number of the first one spoiled. */
struct spoiled {
    struct gspf_scores *scores;
    struct device *device;
    float with;
    bool done;
};

static int spoiled_sink(void *context, const void *key, const struct tensor *gradient,
                        struct error *e) {
    struct spoiled *x = context;
    if (gradient != NULL && !x->done) {
        struct tensor number = tensor_row_range(gradient, 1, 1);
        number.shape[1] = 1;
        must(x->device->ops->fill(x->device, &number, x->with, e), e);
        x->done = true;
    }
    return gspf_scores_sink(x->scores, key, gradient, e);
}

static void spoil_row(struct scoring *s, uint64_t number, float with) {
    struct spoiled x = {.scores = s->scores, .device = tape_device(s->n.tape), .with = with};
    network_row(&s->n, number);
    tape_set_sink(s->n.tape, spoiled_sink, &x);
    network_learn(&s->n, gspf_probe_parts(s->scores));
    tape_set_sink(s->n.tape, NULL, NULL);
    CHECK(x.done && !gspf_scores_step(s->scores));
}

static void rows_that_are_not_finite_are_left_out(void) {
    const float with[] = {INFINITY, -INFINITY, NAN, 1e30F /* its square is infinite */};
    struct scoring s, other;
    scoring_open(&s, RECOMPUTE_NONE);
    scoring_open(&other, RECOMPUTE_NONE);
    for (uint64_t i = 0; i < sizeof with / sizeof *with; i++) {
        score_row(&s, i);
        score_row(&other, i);
        spoil_row(&s, 9, with[i]);
    }
    for (int64_t i = 0; i < gspf_scores_units(s.scores)->count; i++) {
        const double score = gspf_score(other.scores, i);
        CHECK(score > 0 && gspf_score(s.scores, i) == score);
    }
    scoring_close(&s);
    scoring_close(&other);
}

static void without_scores_nothing_is_chosen(void) {
    const struct gspf_cost free_layers = {.fixed = 0};
    struct scoring s;
    struct mask m;
    struct error e = {0};
    scoring_open(&s, RECOMPUTE_NONE);
    CHECK_NUMBER(gspf_choose(&m, s.scores, &free_layers, &e), ERR_FORMAT);
    spoil_row(&s, 1, NAN);
    CHECK_NUMBER(gspf_choose(&m, s.scores, &free_layers, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "zero or not finite") != NULL && m.count == 0);
    score_row(&s, 1);
    must(gspf_choose(&m, s.scores, &free_layers, &e), &e);
    mask_close(&m);
    scoring_close(&s);
}

static void options_that_make_no_sense_are_named(void) {
    const struct {
        struct gspf_options options;
        const char *named;
    } WRONG[] = {
        {{.rows = 0, .patience = 1}, "a unit"},
        {{.rows = 4, .budget = 1.5, .patience = 1}, "the budget"},
        {{.rows = 4, .keep = 1, .patience = 1}, "what the scores keep"},
        {{.rows = 4, .freeze = (double)NAN, .patience = 1}, "the gradient that freezes"},
        {{.rows = 4, .patience = 0}, "at least one step"},
        {{.rows = 4, .patience = 1, .probe = -1}, "looks at frozen rows"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct error e = {0};
        CHECK_NUMBER(gspf_check(&WRONG[i].options, &e), ERR_USAGE);
        CHECK(strstr(e.text, WRONG[i].named) != NULL);
    }
}

/* ---- What is chosen -------------------------------------------------------------------------- */

static bool same_units(const struct mask *a, const struct mask *b) {
    return a->count == b->count && mask_hash(a) == mask_hash(b);
}

static double sum_of(const struct mask *m) {
    double sum = 0;
    for (size_t i = 0; i < m->count; i++) {
        sum += m->units[i].score;
    }
    return sum;
}

static int32_t lowest_of(const struct mask *m) {
    return m->units[0].layer;
}

static double numbers_of_units(const struct gspf_units *units) {
    double sum = 0;
    for (int64_t i = 0; i < units->count; i++) {
        const struct mask_unit u = gspf_unit(units, i);
        int64_t outputs, inputs;
        decoder_matrix_shape(units->config, u.matrix, &outputs, &inputs);
        sum += (double)(u.rows * inputs);
    }
    return sum;
}

/* None that is left out is better than one of its matrix that is in; and each matrix has its share,
 * as near as units allow. */
static void best_of_each_matrix(const struct mask *m, const struct gspf_scores *s) {
    const struct gspf_units *units = gspf_scores_units(s);
    const double share = (double)mask_parameters(m, units->config) / numbers_of_units(units);
    for (int64_t i = 0; i < units->config->layers * DECODER_MATRICES; i++) {
        const enum decoder_matrix which = (enum decoder_matrix)(i % DECODER_MATRICES);
        const int64_t layer = i / DECODER_MATRICES, first = gspf_unit_first(units, layer, which);
        int64_t outputs, inputs;
        size_t count;
        double least = (double)INFINITY, most = 0;
        const struct mask_unit *in = mask_find(m, layer, which, &count);
        for (int64_t k = 0; k < units->matrices[which]; k++) {
            bool is_in = false;
            for (size_t j = 0; j < count; j++) {
                is_in |= in[j].first_row == gspf_unit(units, first + k).first_row;
            }
            least = is_in ? fmin(least, gspf_score(s, first + k)) : least;
            most = is_in ? most : fmax(most, gspf_score(s, first + k));
        }
        CHECK(least >= most && most > 0);
        decoder_matrix_shape(units->config, which, &outputs, &inputs);
        CHECK(fabs((double)mask_rows(m, layer, which) - share * (double)outputs) <= UNIT_ROWS);
    }
}

static void the_best_of_each_matrix_are_chosen(void) {
    struct scoring s, other;
    struct mask m, again, random, tight, some;
    struct error e = {0};
    const struct gspf_cost free_layers = {.fixed = 0};
    scoring_open(&s, RECOMPUTE_NONE);
    scoring_open(&other, RECOMPUTE_NONE);
    const struct decoder_config *c = &s.n.folder.config;
    const double all = (double)decoder_config_parameters(c);
    for (uint64_t i = 0; i < 4; i++) {
        score_row(&s, i);
        score_row(&other, i);
    }
    must(gspf_choose(&m, s.scores, &free_layers, &e), &e);
    must(gspf_choose(&again, other.scores, &free_layers, &e), &e);
    CHECK(same_units(&m, &again));
    const double share = (double)mask_parameters(&m, c) / all;
    CHECK(share <= 0.2 && share > 0.19);
    best_of_each_matrix(&m, s.scores);
    must(gspf_choose_random(&random, &OPTIONS, c, &free_layers, 7, &e), &e);
    CHECK_NEAR((double)mask_parameters(&random, c) / all, share, 0.01);
    must(gspf_choose_random(&some, &OPTIONS, c, &free_layers, 7, &e), &e);
    CHECK(same_units(&random, &some));
    mask_close(&some);
    must(gspf_choose_random(&some, &OPTIONS, c, &free_layers, 8, &e), &e);
    CHECK(!same_units(&random, &some) && !same_units(&random, &m));
    must(gspf_choose(&tight, s.scores, &(struct gspf_cost){.layer = SIZE_MAX}, &e), &e);
    CHECK(same_units(&tight, &m)); /* without a limit of memory layers cost nothing */
    mask_close(&m);
    mask_close(&again);
    mask_close(&random);
    mask_close(&some);
    mask_close(&tight);
    scoring_close(&s);
    scoring_close(&other);
}

static void memory_pays_for_the_layers_it_goes_down_to(void) {
    struct scoring s;
    struct mask m, deep;
    struct error e = {0};
    struct gspf_options o = OPTIONS;
    scoring_open(&s, RECOMPUTE_NONE);
    for (uint64_t i = 0; i < 4; i++) {
        score_row(&s, i);
    }
    gspf_scores_close(s.scores);
    o.budget = 0;
    o.memory = 1000 + 200000;
    must(gspf_scores_open(&s.scores, &o, s.n.base, NULL, tape_device(s.n.tape), &e), &e);
    for (uint64_t i = 0; i < 4; i++) {
        score_row(&s, i);
    }
    const struct decoder_config *c = &s.n.folder.config;
    must(gspf_choose(&deep, s.scores, &(struct gspf_cost){.fixed = 1000, .layer = 1}, &e), &e);
    CHECK_NUMBER(lowest_of(&deep), 0);
    CHECK(mask_parameters(&deep, c) * 16 <= 200000 && mask_parameters(&deep, c) * 16 > 190000);
    /* two layers more than the last one would take more than half of it */
    must(gspf_choose(&m, s.scores, &(struct gspf_cost){.fixed = 1000, .layer = 60000}, &e), &e);
    CHECK(lowest_of(&m) > 0);
    CHECK(mask_parameters(&m, c) * 16 + (3 - lowest_of(&m)) * 60000 <= 200000);
    CHECK(sum_of(&m) < sum_of(&deep));
    mask_close(&deep);
    /* chance goes down to the first one, and has fewer */
    must(
        gspf_choose_random(&deep, &o, c, &(struct gspf_cost){.fixed = 1000, .layer = 60000}, 7, &e),
        &e);
    CHECK(lowest_of(&deep) == 0 && mask_parameters(&deep, c) < mask_parameters(&m, c));
    CHECK(mask_parameters(&deep, c) * 16 + 3 * 60000 <= 200000);
    mask_close(&m);
    mask_close(&deep);
    CHECK_NUMBER(gspf_choose(&m, s.scores, &(struct gspf_cost){.fixed = 300000}, &e), ERR_USAGE);
    CHECK(strstr(e.text, "0.3 MB") != NULL);
    CHECK_NUMBER(gspf_choose(&m, s.scores, &(struct gspf_cost){.layer = 300000}, &e), ERR_USAGE);
    scoring_close(&s);
}

int main(void) {
    RUN(scores_are_those_of_double_precision);
    RUN(a_gradient_that_stays_is_stable);
    RUN(scores_do_not_depend_on_what_is_kept);
    RUN(rows_that_are_not_finite_are_left_out);
    RUN(without_scores_nothing_is_chosen);
    RUN(options_that_make_no_sense_are_named);
    RUN(the_best_of_each_matrix_are_chosen);
    RUN(memory_pays_for_the_layers_it_goes_down_to);
    return test_finish();
}
