/* freeze.c - phase C of gspf.h: units whose gradients have become small stay as they are, until a
 * look at them says otherwise.
 *
 * A unit's gradient is that of the whole step, as the optimizer has it, by its root mean square.
 * What it was at first is the mean of the unit's first `patience` steps. A look at a frozen unit is
 * a step in which it has a gradient again; where that is THAW times the limit, it learns on from
 * there. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "train/gspf/gspf_state.h"

/* Apart from the limit, so that who is thawed is not frozen at once. */
static const double THAW = 1.5;
enum { SHARE = 16 /* of frozen units one in so many is looked at, or one where they are fewer */ };

struct unit_state {
    double first; /* sum, then mean, of the first steps' gradients */
    int64_t seen; /* steps with a gradient, up to `patience` */
    int64_t low;  /* in a row that it was small */
    bool frozen;
};

struct gspf_freeze {
    struct gspf_options options;
    struct unit_state *units;
    size_t count;
    bool *still; /* of each unit, in the step at hand */
};

int gspf_freeze_open(struct gspf_freeze **out, const struct gspf_options *o, size_t units,
                     struct error *e) {
    struct gspf_freeze *f = calloc(1, sizeof *f);
    *out = NULL;
    int rc = f != NULL ? gspf_check(o, e) : error_memory(e, "units");
    if (rc == 0) {
        f->options = *o;
        f->count = units;
        f->units = calloc(units + 1, sizeof *f->units);
        f->still = calloc(units + 1, sizeof *f->still);
        rc = f->units != NULL && f->still != NULL ? 0 : error_memory(e, "units");
    }
    if (rc < 0) {
        gspf_freeze_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void gspf_freeze_close(struct gspf_freeze *f) {
    if (f != NULL) {
        free(f->units);
        free(f->still);
        free(f);
    }
}

const bool *gspf_freeze_still(const struct gspf_freeze *f) {
    return f->still;
}

size_t gspf_freeze_count(const struct gspf_freeze *f) {
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++) {
        count += f->units[i].frozen;
    }
    return count;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

void gspf_freeze_plan(struct gspf_freeze *f, int64_t step) {
    const int64_t probe = f->options.probe;
    const bool looks = probe > 0 && step > 0 && step % probe == 0;
    const size_t frozen = gspf_freeze_count(f), share = frozen < SHARE ? frozen : SHARE;
    size_t number = 0; /* among the frozen ones */
    for (size_t i = 0; i < f->count; i++) {
        f->still[i] = f->units[i].frozen;
        if (f->still[i] && looks && number % share == (size_t)(step / probe) % share) {
            f->still[i] = false;
        }
        number += f->units[i].frozen;
    }
}

/* `gradient`: its root mean square in this step. */
static void watch_unit(const struct gspf_options *o, struct unit_state *u, double gradient) {
    if (u->frozen) {
        u->frozen = gradient < o->freeze * THAW * u->first;
        u->low = 0;
        return;
    }
    if (u->seen < o->patience) {
        u->first += gradient / (double)o->patience;
        u->seen++;
        return;
    }
    u->low = gradient < o->freeze * u->first ? u->low + 1 : 0;
    u->frozen = u->low >= o->patience;
}

/* The unit of a slice, or -1. */
static int64_t unit_of(const struct gspf_freeze *f, const struct slice *s) {
    return s->still != NULL ? s->still - f->still : -1;
}

int gspf_freeze_watch(struct gspf_freeze *f, const struct optimizer *o, struct error *e) {
    if (f->options.freeze <= 0) {
        return 0;
    }
    double *squares = calloc(o->slice_count + 1, sizeof *squares);
    int rc = squares != NULL ? optimizer_slice_squares(o, squares, e) : error_memory(e, "units");
    for (size_t i = 0; i < o->slice_count && rc == 0; i++) {
        const struct slice *s = &o->slices[i];
        const int64_t unit = unit_of(f, s);
        const double numbers = (double)(s->rows * tensor_width(&s->first_moment));
        if (unit < 0 || !s->active || !isfinite(squares[i])) {
            continue;
        }
        assert((size_t)unit < f->count);
        watch_unit(&f->options, &f->units[unit], sqrt(squares[i] / numbers));
        f->still[unit] = f->units[unit].frozen;
    }
    free(squares);
    return rc;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

json_t *gspf_freeze_state(const struct gspf_freeze *f) {
    json_t *all = json_array();
    for (size_t i = 0; i < f->count && all != NULL; i++) {
        const struct unit_state *u = &f->units[i];
        json_t *unit = json_pack("[f, I, I, b]", u->first, (json_int_t)u->seen, (json_int_t)u->low,
                                 (int)u->frozen);
        if (json_array_append_new(all, unit) != 0) {
            json_decref(all);
            all = NULL;
        }
    }
    return all;
}

int gspf_freeze_restore(struct gspf_freeze *f, const json_t *state, struct error *e) {
    if (!json_is_array(state) || json_array_size(state) != f->count) {
        return error_set(e, ERR_FORMAT, "the checkpoint says nothing of the units of its mask");
    }
    for (size_t i = 0; i < f->count; i++) {
        json_t *unit = json_array_get(state, i);
        json_int_t seen, low;
        int frozen;
        if (json_unpack(unit, "[F, I, I, b]", &f->units[i].first, &seen, &low, &frozen) != 0) {
            return error_set(e, ERR_FORMAT, "the checkpoint's state of unit %zu is damaged", i);
        }
        f->units[i].seen = (int64_t)seen;
        f->units[i].low = (int64_t)low;
        f->units[i].frozen = frozen != 0;
    }
    return 0;
}
