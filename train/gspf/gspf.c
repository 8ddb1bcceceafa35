/* gspf.c - see gspf.h: the tensors of chosen rows, and products with them on a tape. */
#include "train/gspf/gspf.h"

#include <stdlib.h>
#include <string.h>

#include "train/gspf/gspf_state.h"

int gspf_check(const struct gspf_options *o, struct error *e) {
    if (o->rows < 1) {
        return error_set(e, ERR_USAGE, "a unit has at least one row");
    }
    if (!(o->budget >= 0 && o->budget <= 1)) {
        return error_set(e, ERR_USAGE, "the budget is a share of the parameters, 0 to 100%%");
    }
    if (!(o->keep >= 0 && o->keep < 1)) {
        return error_set(e, ERR_USAGE, "what the scores keep of their means is a share below 1");
    }
    if (!(o->freeze >= 0 && o->freeze < 1)) {
        return error_set(e, ERR_USAGE, "the gradient that freezes rows is a share below 1");
    }
    if (o->patience < 1) {
        return error_set(e, ERR_USAGE, "rows freeze after at least one step");
    }
    if (o->probe < 0) {
        return error_set(e, ERR_USAGE, "the steps between looks at frozen rows are 0 or more");
    }
    return 0;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static const char PREFIX[] = "rows.";

void gspf_name(char out[TENSOR_SPEC_NAME], int64_t layer, enum decoder_matrix which) {
    char weight[TENSOR_SPEC_NAME];
    decoder_weight_name(weight, layer, which);
    snprintf(out, TENSOR_SPEC_NAME, "%s%.*s", PREFIX, TENSOR_SPEC_NAME - (int)sizeof PREFIX,
             weight);
}

const struct mask_unit *gspf_units_of_weight(const struct mask *m, const char *weight,
                                             size_t *count) {
    for (size_t i = 0; i < m->count; i += *count) {
        const struct mask_unit *u = &m->units[i];
        char name[TENSOR_SPEC_NAME];
        decoder_weight_name(name, u->layer, u->matrix);
        mask_find(m, u->layer, u->matrix, count);
        if (strcmp(name, weight) == 0) {
            return u;
        }
    }
    *count = 0;
    return NULL;
}

int gspf_list(const struct mask *m, const struct decoder_config *c, tensor_spec_take *take,
              void *context, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < m->count && rc >= 0;) {
        const struct mask_unit *u = &m->units[i];
        size_t count;
        int64_t outputs, inputs;
        decoder_matrix_shape(c, u->matrix, &outputs, &inputs);
        struct tensor_spec spec = tensor_spec_of(
            TENSOR_MATRIX, "gspf", TENSOR_SPEC_SHAPE(mask_rows(m, u->layer, u->matrix), inputs));
        gspf_name(spec.name, u->layer, u->matrix);
        spec.deviation = 0;
        spec.lean = true;
        rc = take(context, &spec, e);
        mask_find(m, u->layer, u->matrix, &count);
        i += count;
    }
    return rc;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

/* The runs of a matrix' units; false: the tape has failed, or there are none. */
static bool chosen_rows(const struct gspf_source *s, struct tape *t, int64_t layer,
                        enum decoder_matrix which, struct tape_adapter *out) {
    size_t count;
    bool learns = false;
    const struct mask_unit *units = mask_find(s->mask, layer, which, &count);
    struct tape_row_run *runs = count > 0 ? tape_host(t, count, sizeof *runs) : NULL;
    if (runs == NULL) {
        return false;
    }
    const bool *still = s->still != NULL ? s->still + (units - s->mask->units) : NULL;
    for (size_t i = 0; i < count; i++) {
        runs[i] = (struct tape_row_run){.first = units[i].first_row,
                                        .rows = units[i].rows,
                                        .learns = still == NULL || !still[i]};
        learns |= runs[i].learns;
    }
    char name[TENSOR_SPEC_NAME];
    gspf_name(name, layer, which);
    out->rows = tape_named(s->source, t, "%s", name);
    if (!learns) { /* nothing needs a gradient for its sake */
        out->rows = tape_still(t, out->rows);
    }
    out->runs = runs;
    out->run_count = count;
    return out->rows != NULL;
}

static struct node *project(const void *context, struct tape *t, struct node *x, int64_t layer,
                            enum decoder_matrix which) {
    const struct gspf_source *s = context;
    const struct packed *w = decoder_packed(s->base, layer, which);
    struct tape_adapter beside = {.a = NULL};
    bool adapted = s->lora != NULL && lora_low_rank(s->lora, t, layer, which, &beside);
    adapted |= chosen_rows(s, t, layer, which, &beside);
    if (s->scores != NULL) {
        beside.whole = gspf_scores_node(s->scores, t, layer, which);
        adapted = true;
    }
    return adapted ? tape_adapted_linear(t, x, w, &beside) : tape_packed_linear(t, x, w);
}

struct decoder_parts gspf_parts(const struct gspf_source *s) {
    struct decoder_parts parts = decoder_parts(s->base);
    parts.project = project;
    parts.matrices = s;
    return parts;
}

/* ---- Slices of the optimizer ----------------------------------------------------------------- */

static void add_units(const struct mask *m, const struct mask_unit *units, size_t count,
                      size_t parameter, const bool *still, struct slice *to) {
    int64_t row = 0;
    for (size_t i = 0; i < count; i++) {
        to[i] = (struct slice){.parameter = parameter,
                               .first_row = row,
                               .rows = units[i].rows,
                               .still = still != NULL ? still + (units - m->units) + i : NULL};
        row += units[i].rows;
    }
}

int gspf_slices(const struct mask *m, const struct parameters *p, const bool *still,
                struct slice **out, size_t *count, struct error *e) {
    struct slice *slices = calloc(m->count + parameters_count(p) + 1, sizeof *slices);
    *out = slices;
    *count = 0;
    if (slices == NULL) {
        return error_memory(e, "the optimizer");
    }
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        const size_t prefix = sizeof PREFIX - 1;
        const bool has_rows = strncmp(spec->name, PREFIX, prefix) == 0;
        size_t units = 0;
        const struct mask_unit *first =
            has_rows ? gspf_units_of_weight(m, spec->name + prefix, &units) : NULL;
        if (first != NULL) {
            add_units(m, first, units, i, still, slices + *count);
            *count += units;
        } else if (spec->trainable) {
            slices[(*count)++] = (struct slice){.parameter = i, .rows = spec->rows};
        }
    }
    return 0;
}
