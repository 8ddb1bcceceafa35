/* gspf_state.h - what the files of train/gspf/ share. */
#ifndef OCC_TRAIN_GSPF_GSPF_STATE_H
#define OCC_TRAIN_GSPF_GSPF_STATE_H

#include "train/gspf/gspf.h"

/* "rows.model.layers.3.mlp.up_proj.weight". */
void gspf_name(char out[TENSOR_SPEC_NAME], int64_t layer, enum decoder_matrix which);
/* The units of the matrix "model.layers.3.mlp.up_proj.weight"; NULL and *count 0: it has none. */
const struct mask_unit *gspf_units_of_weight(const struct mask *m, const char *weight,
                                             size_t *count);

/* Units of a decoder without a choice: all of layer 0, then of layer 1, ...; in a layer by matrix
 * and row. */
struct gspf_units {
    const struct decoder_config *config;
    int64_t rows;                       /* of each but a matrix' last */
    int64_t matrices[DECODER_MATRICES]; /* units of each matrix */
    int64_t layer;                      /* units of a layer */
    int64_t count;                      /* of all layers */
};
struct gspf_units gspf_units_of(const struct decoder_config *c, int64_t rows);
struct mask_unit gspf_unit(const struct gspf_units *u, int64_t index); /* its score: 0 */
/* The first one of a matrix. */
int64_t gspf_unit_first(const struct gspf_units *u, int64_t layer, enum decoder_matrix which);

/* What the gradient of a matrix goes to; NULL: the tape has failed. */
struct node *gspf_scores_node(struct gspf_scores *s, struct tape *t, int64_t layer,
                              enum decoder_matrix which);
/* The score of a unit, as gspf.h has it. */
double gspf_score(const struct gspf_scores *s, int64_t unit);
const struct gspf_units *gspf_scores_units(const struct gspf_scores *s);
const struct gspf_options *gspf_scores_options(const struct gspf_scores *s);

#endif
