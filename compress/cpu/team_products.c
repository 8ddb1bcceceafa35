/* team_products.c - products by packed matrices, cut by rows or by outputs. Those with many rows of
 * frozen ones, and those of tensors, are shared where they are made (gemm.c). */
#include <assert.h>

#include "compress/cpu/frozen.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/team_ops.h"
#include "compress/cpu/team_split.h"

enum { ROWS = 32, OUTPUTS = 64 /* of a piece: a multiple, for few shapes and whole tiles */ };

struct packed_call {
    const struct tensor *out, *x, *residual;
    const struct packed *w;
    enum activation activation;
    int64_t rows, pieces;
};

static int rows_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct packed_call *c = context;
    const struct share rows = share_at(c->rows, ROWS, i, c->pieces);
    const struct tensor out = split_row_range(c->out, &rows), x = split_row_range(c->x, &rows);
    const struct tensor rest = split_row_range(c->residual, &rows);
    return rows.count == 0 ? 0
                           : cpu_linear(d, &out, &x, c->w, c->activation,
                                        c->residual != NULL ? &rest : NULL, e);
}

static int outputs_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct packed_call *c = context;
    const struct share s = share_at(c->w->outputs, OUTPUTS, i, c->pieces);
    struct tensor out = tensor_as_matrix(c->out), rest = out;
    if (s.count == 0) {
        return 0;
    }
    out = tensor_column_range(&out, s.first, s.count);
    if (c->residual != NULL) {
        rest = tensor_as_matrix(c->residual);
        rest = tensor_column_range(&rest, s.first, s.count);
    }
    const struct frozen part = frozen_part(c->w, s.first, s.count);
    return cpu_linear(d, &out, c->x, &part.head, c->activation, c->residual != NULL ? &rest : NULL,
                      e);
}

int team_linear(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct packed *w, enum activation activation, const struct tensor *residual,
                struct error *e) {
    struct packed_call c = {.out = out,
                            .x = x,
                            .residual = residual,
                            .w = w,
                            .activation = activation,
                            .rows = tensor_rows(x)};
    const int64_t work = c.rows * w->outputs * w->inputs / TEAM_MULTIPLY_ADDS;
    if (w->frozen && !frozen_by_outputs(w, c.rows)) {
        return cpu_linear(d, out, x, w, activation, residual, e);
    }
    if (w->frozen) {
        c.pieces = cpu_pieces(d, (w->outputs + OUTPUTS - 1) / OUTPUTS, 4 * work);
        return cpu_share(d, c.pieces, outputs_piece, &c, e);
    }
    c.pieces = cpu_pieces(d, (c.rows + ROWS - 1) / ROWS, work);
    return cpu_share(d, c.pieces, rows_piece, &c, e);
}
