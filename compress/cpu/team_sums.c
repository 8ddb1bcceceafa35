/* team_sums.c - operations that add up over rows: each piece has a sum of its own, and these are
 * added in order. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/team_ops.h"
#include "compress/cpu/team_split.h"
#include "compress/cpu/walk.h"

/* Sums of the pieces, `width` each. */
struct sums {
    int64_t pieces, width;
    float *parts; /* zeros at first */
};

static int sums_open(struct sums *s, struct device *d, int64_t pieces, int64_t width,
                     struct error *e) {
    void *scratch = NULL;
    const size_t bytes = (size_t)(pieces * width) * sizeof(float);
    int rc = cpu_scratch(&scratch, d, SCRATCH_RESULT, bytes, e);
    *s = (struct sums){.pieces = pieces, .width = width, .parts = scratch};
    if (rc == 0) {
        memset(scratch, 0, bytes);
    }
    return rc;
}

static struct tensor sum_at(const struct sums *s, int64_t i, int64_t first, int64_t count) {
    return tensor_vector(s->parts + i * s->width + first, DTYPE_F32, NULL, count);
}

/* Adds numbers [first, first + count) of each piece. */
static void sums_add(const struct sums *s, struct device *d, const struct tensor *to,
                     int64_t first) {
    const int64_t count = tensor_count(to);
    for (int64_t i = 0; i < s->pieces; i++) {
        cpu_device(d)->level->accumulate(to->data, s->parts + i * s->width + first, (size_t)count);
    }
}

/* ---- Norms ----------------------------------------------------------------------------------- */

struct norm_call {
    const struct tensor *dx, *x, *gamma, *dy;
    bool dgamma, dbeta, layer;
    float eps;
    struct sums sums; /* of the gain's gradient, then of the bias's */
};

static int norm_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct norm_call *c = context;
    const int64_t width = tensor_width(c->x);
    const struct share rows = share_at(tensor_rows(c->x), 1, i, c->sums.pieces);
    const struct tensor x = split_row_range(c->x, &rows), dy = split_row_range(c->dy, &rows);
    const struct tensor dx = c->dx != NULL ? split_row_range(c->dx, &rows) : x;
    const struct tensor dgamma = sum_at(&c->sums, i, 0, width);
    const struct tensor dbeta = sum_at(&c->sums, i, c->dbeta ? width : 0, width);
    const struct tensor *to = c->dx != NULL ? &dx : NULL;
    const struct tensor *gain = c->dgamma ? &dgamma : NULL;
    return c->layer ? cpu_layer_norm_backward(d, to, gain, c->dbeta ? &dbeta : NULL, &x, c->gamma,
                                              &dy, c->eps, e)
                    : cpu_rms_norm_backward(d, to, gain, &x, c->gamma, &dy, c->eps, e);
}

static int norm_backward(struct device *d, struct norm_call *c, const struct tensor *dgamma,
                         const struct tensor *dbeta, struct error *e) {
    const int64_t width = tensor_width(c->x), rows = tensor_rows(c->x);
    const int64_t pieces = cpu_pieces(d, rows, rows * width);
    c->dgamma = dgamma != NULL;
    c->dbeta = dbeta != NULL;
    int rc = sums_open(&c->sums, d, pieces, width * (c->dbeta ? 2 : 1), e);
    if (rc == 0) {
        rc = cpu_share(d, pieces, norm_piece, c, e);
    }
    if (rc == 0 && c->dgamma) {
        sums_add(&c->sums, d, dgamma, 0);
    }
    if (rc == 0 && c->dbeta) {
        sums_add(&c->sums, d, dbeta, width);
    }
    return rc;
}

int team_layer_norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                             const struct tensor *dbeta, const struct tensor *x,
                             const struct tensor *gamma, const struct tensor *dy, float eps,
                             struct error *e) {
    struct norm_call c = {.dx = dx, .x = x, .gamma = gamma, .dy = dy, .layer = true, .eps = eps};
    return norm_backward(d, &c, dgamma, dbeta, e);
}

int team_rms_norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                           const struct tensor *x, const struct tensor *gamma,
                           const struct tensor *dy, float eps, struct error *e) {
    struct norm_call c = {.dx = dx, .x = x, .gamma = gamma, .dy = dy, .eps = eps};
    return norm_backward(d, &c, dgamma, NULL, e);
}

/* ---- Losses ---------------------------------------------------------------------------------- */

struct loss_call {
    const struct tensor *dlogits, *logits, *labels;
    float scale;
    struct sums sums;
};

static int loss_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct loss_call *c = context;
    const struct share rows = share_at(tensor_rows(c->logits), 1, i, c->sums.pieces);
    const struct tensor logits = split_row_range(c->logits, &rows);
    const struct tensor slopes = c->dlogits != NULL ? split_row_range(c->dlogits, &rows) : logits;
    const struct tensor flat =
        tensor_vector(c->labels->data, DTYPE_I32, c->labels->home, tensor_count(c->labels));
    const struct tensor labels = tensor_column_range(&flat, rows.first, rows.count);
    const struct tensor loss = sum_at(&c->sums, i, 0, 1);
    return cpu_cross_entropy(d, &loss, c->dlogits != NULL ? &slopes : NULL, &logits, &labels,
                             c->scale, e);
}

int team_cross_entropy(struct device *d, const struct tensor *loss, const struct tensor *dlogits,
                       const struct tensor *logits, const struct tensor *labels, float scale,
                       struct error *e) {
    struct loss_call c = {.dlogits = dlogits, .logits = logits, .labels = labels, .scale = scale};
    const int64_t pieces = cpu_pieces(d, tensor_rows(logits), tensor_count(logits));
    assert(tensor_is_dense(labels));
    int rc = sums_open(&c.sums, d, pieces, 1, e);
    if (rc == 0) {
        rc = cpu_share(d, pieces, loss_piece, &c, e);
    }
    if (rc == 0) {
        sums_add(&c.sums, d, loss, 0);
    }
    return rc;
}

/* ---- Squares --------------------------------------------------------------------------------- */

struct square_call {
    struct tensor x; /* a matrix */
    int axis;
    struct sums sums;
};

static int square_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct square_call *c = context;
    const struct share share =
        share_at(c->x.shape[c->axis], c->axis == TENSOR_RANK - 1 ? 64 : 1, i, c->sums.pieces);
    const struct tensor part = tensor_slice(&c->x, c->axis, share.first, share.count);
    const struct tensor sum = sum_at(&c->sums, i, 0, 1);
    return cpu_square_sum(d, &sum, &part, e);
}

int team_square_sum(struct device *d, const struct tensor *sum, const struct tensor *x,
                    struct error *e) {
    struct square_call c = {.x = tensor_as_matrix(x)};
    c.axis = tensor_rows(x) >= tensor_width(x) ? TENSOR_RANK - 2 : TENSOR_RANK - 1;
    const int64_t pieces = cpu_pieces(d, (c.x.shape[c.axis] + 63) / 64, tensor_count(x));
    int rc = sums_open(&c.sums, d, pieces, 1, e);
    if (rc == 0) {
        rc = cpu_share(d, pieces, square_piece, &c, e);
    }
    if (rc == 0) {
        sums_add(&c.sums, d, sum, 0);
    }
    return rc;
}
