/* team_rows.c - operations row by row, without those that add up (team_sums.c). */
#include <assert.h>

#include "compress/cpu/team_part.h"

PART(rms_norm_part) {
    return cpu_rms_norm(d, t[0], t[1], t[2], ((const struct rest *)rest)->numbers[0], e);
}

int team_rms_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct tensor *gamma, float eps, struct error *e) {
    const struct rest rest = {.numbers = {eps}};
    const struct split s = {.count = 3,
                            .tensors = {out, x, gamma},
                            .as = {[2] = SPLIT_WHOLE},
                            .part = rms_norm_part,
                            .rest = &rest};
    return split_rows(d, &s, e);
}

PART(layer_norm_part) {
    return cpu_layer_norm(d, t[0], t[1], t[2], t[3], ((const struct rest *)rest)->numbers[0], e);
}

int team_layer_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                    const struct tensor *gamma, const struct tensor *beta, float eps,
                    struct error *e) {
    const struct rest rest = {.numbers = {eps}};
    const struct split s = {.count = 4,
                            .tensors = {out, x, gamma, beta},
                            .as = {[2] = SPLIT_WHOLE, [3] = SPLIT_WHOLE},
                            .part = layer_norm_part,
                            .rest = &rest};
    return split_rows(d, &s, e);
}

int team_softmax(struct device *d, const struct tensor *out, const struct tensor *x,
                 struct error *e) {
    const struct rest rest = {.entry.two = cpu_softmax};
    const struct split s = {.count = 2, .tensors = {out, x}, .part = two_part, .rest = &rest};
    return split_rows(d, &s, e);
}

int team_softmax_backward(struct device *d, const struct tensor *dx, const struct tensor *y,
                          const struct tensor *dy, struct error *e) {
    const struct rest rest = {.entry.three = cpu_softmax_backward};
    const struct split s = {.count = 3, .tensors = {dx, y, dy}, .part = three_part, .rest = &rest};
    return split_rows(d, &s, e);
}

int team_gather(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct tensor *index, struct error *e) {
    const struct rest rest = {.entry.three = cpu_gather};
    const struct split s = {.count = 3,
                            .tensors = {out, x, index},
                            .as = {[1] = SPLIT_WHOLE, [2] = SPLIT_NUMBERS},
                            .part = three_part,
                            .rest = &rest};
    return split_rows(d, &s, e);
}

PART(gather_packed_part) {
    return cpu_gather_packed(d, t[0], ((const struct rest *)rest)->options, t[1], e);
}

int team_gather_packed(struct device *d, const struct tensor *out, const struct packed *w,
                       const struct tensor *index, struct error *e) {
    const struct rest rest = {.options = w};
    const struct split s = {.count = 2,
                            .tensors = {out, index},
                            .as = {[1] = SPLIT_NUMBERS},
                            .part = gather_packed_part,
                            .rest = &rest};
    return split_rows(d, &s, e);
}

/* By columns: two rows of dy may go to one of dx. */
int team_scatter_add(struct device *d, const struct tensor *dx, const struct tensor *dy,
                     const struct tensor *index, struct error *e) {
    const struct rest rest = {.entry.three = cpu_scatter_add};
    const struct split s = {.count = 3,
                            .tensors = {dx, dy, index},
                            .as = {[2] = SPLIT_WHOLE},
                            .part = three_part,
                            .rest = &rest,
                            .work = tensor_count(dy)};
    return split_columns(d, &s, e);
}

int team_sum_rows(struct device *d, const struct tensor *sums, const struct tensor *x,
                  struct error *e) {
    const struct rest rest = {.entry.two = cpu_sum_rows};
    const struct split s = {
        .count = 2, .tensors = {sums, x}, .part = two_part, .rest = &rest, .work = tensor_count(x)};
    return split_columns(d, &s, e);
}

PART(rotary_part) {
    return cpu_rotary(d, t[0], t[1], t[2], ((const struct rest *)rest)->options, e);
}

/* Tokens are an axis of their own where there is one sequence; else sequences are cut, and the
 * positions of each are a row. */
int team_rotary(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct tensor *positions, const struct rotary_options *o, struct error *e) {
    const struct rest rest = {.options = o};
    struct tensor places = *positions;
    const int axis = x->shape[0] == 1 ? 1 : 0;
    assert(tensor_is_dense(positions));
    places = tensor_reshape(&places, TENSOR_SHAPE(x->shape[0], x->shape[1], 1, 1));
    const struct split s = {
        .count = 3, .tensors = {out, x, &places}, .part = rotary_part, .rest = &rest};
    return split_axis(d, &s, axis, e);
}

/* ---- By the place of a row ------------------------------------------------------------------- */

struct dropout_call {
    const struct tensor *out, *x;
    float share;
    uint64_t seed;
    int64_t first, pieces;
};

static int dropout_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct dropout_call *c = context;
    const struct share rows = share_at(tensor_rows(c->x), 1, i, c->pieces);
    const struct tensor out = split_row_range(c->out, &rows);
    const struct tensor x = split_row_range(c->x, &rows);
    return cpu_dropout(d, &out, &x, c->share, c->seed, c->first + rows.first * tensor_width(c->x),
                       e);
}

int team_dropout(struct device *d, const struct tensor *out, const struct tensor *x, float share,
                 uint64_t seed, int64_t first, struct error *e) {
    struct dropout_call c = {.out = out, .x = x, .share = share, .seed = seed, .first = first};
    c.pieces = cpu_pieces(d, tensor_rows(x), tensor_count(x));
    return cpu_share(d, c.pieces, dropout_piece, &c, e);
}
