/* calibrate.c - see calibrate.h. */
#include "train/fidelity/calibrate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "store/array.h"

int measured_rows_add(struct measured_rows *rows, const struct measured_row *row, struct error *e) {
    struct measured_row *items =
        array_grow(rows->items, &rows->capacity, rows->count + 1, sizeof *items, e);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    rows->items = items;
    items[rows->count++] = *row;
    return 0;
}

void measured_rows_close(struct measured_rows *rows) {
    free(rows->items);
    *rows = (struct measured_rows){.items = NULL};
}

/* Accuracy too, so that the order of the threads does not matter. */
static int compare_rows(const void *a, const void *b) {
    const struct measured_row *x = a, *y = b;
    int order = (x->confidence > y->confidence) - (x->confidence < y->confidence);
    return order != 0 ? order : (x->accuracy > y->accuracy) - (x->accuracy < y->accuracy);
}

void measured_rows_sort(struct measured_rows *rows) {
    if (rows->count > 0) {
        qsort(rows->items, rows->count, sizeof *rows->items, compare_rows);
    }
}

void calibration_table(struct calibration_tenth tenths[CALIBRATION_TENTHS],
                       const struct measured_rows *sorted, const struct calibration *c) {
    for (size_t t = 0; t < CALIBRATION_TENTHS; t++) {
        size_t first = sorted->count * t / CALIBRATION_TENTHS;
        size_t end = sorted->count * (t + 1) / CALIBRATION_TENTHS;
        struct calibration_tenth sum = {.rows = (int64_t)(end - first)};
        for (size_t i = first; i < end; i++) {
            const struct measured_row *r = &sorted->items[i];
            sum.confidence += (double)r->confidence;
            sum.expected += calibration_apply(c, (double)r->confidence);
            sum.accuracy += (double)r->accuracy;
            sum.whole += r->accuracy >= 1;
        }
        double rows = end > first ? (double)(end - first) : 1;
        tenths[t] = (struct calibration_tenth){.rows = sum.rows,
                                               .confidence = sum.confidence / rows,
                                               .expected = sum.expected / rows,
                                               .accuracy = sum.accuracy / rows,
                                               .whole = sum.whole / rows};
    }
}

/* ---- The line ---------------------------------------------------------------------------- */

/* Rows that follow each other, with sums while they are pooled, then means. */
struct step {
    double rows, confidence, accuracy;
    bool is_knot;
};
enum { STEPS = 256, STEP_ROWS = 8 /* at least: one row says nothing */ };

static bool falls(const struct step *a, const struct step *b) {
    return a->accuracy * b->rows >= b->accuracy * a->rows ||
           b->confidence / b->rows - a->confidence / a->rows < 1e-6;
}

/* Steps whose accuracy and confidence rise; returns how many. */
static int pool_rows(struct step steps[STEPS], const struct measured_rows *sorted) {
    size_t groups = sorted->count / STEP_ROWS < STEPS ? sorted->count / STEP_ROWS : STEPS;
    int count = 0;
    for (size_t g = 0; g < groups; g++) {
        struct step step = {.rows = 0};
        for (size_t i = sorted->count * g / groups; i < sorted->count * (g + 1) / groups; i++) {
            step.rows++;
            step.confidence += (double)sorted->items[i].confidence;
            step.accuracy += (double)sorted->items[i].accuracy;
        }
        while (count > 0 && falls(&steps[count - 1], &step)) {
            count--;
            step.rows += steps[count].rows;
            step.confidence += steps[count].confidence;
            step.accuracy += steps[count].accuracy;
        }
        steps[count++] = step;
    }
    for (int i = 0; i < count; i++) {
        steps[i].confidence /= steps[i].rows;
        steps[i].accuracy /= steps[i].rows;
    }
    return count;
}

/* How far the line through the knots misses a step, more where it is of many rows. */
static double miss(const struct step *steps, int i) {
    int a = i, b = i;
    while (!steps[a].is_knot) {
        a--;
    }
    while (!steps[b].is_knot) {
        b++;
    }
    if (a == b) {
        return 0;
    }
    double share =
        (steps[i].confidence - steps[a].confidence) / (steps[b].confidence - steps[a].confidence);
    double line = steps[a].accuracy + share * (steps[b].accuracy - steps[a].accuracy);
    return fabs(line - steps[i].accuracy) * sqrt(steps[i].rows);
}

static void choose_knots(struct step *steps, int count) {
    steps[0].is_knot = steps[count - 1].is_knot = true;
    for (int knots = 2; knots < CALIBRATION_KNOTS && knots < count; knots++) {
        int worst = 0;
        for (int i = 1; i < count; i++) {
            worst = miss(steps, i) > miss(steps, worst) ? i : worst;
        }
        steps[worst].is_knot = true;
    }
}

int calibration_fit(struct calibration *c, const struct measured_rows *sorted, struct error *e) {
    struct step steps[STEPS];
    *c = (struct calibration){.count = 0};
    if (sorted->count < CALIBRATION_ROWS) {
        return error_set(e, ERR_FORMAT, "%zu rows were read; a calibration takes %d", sorted->count,
                         CALIBRATION_ROWS);
    }
    int count = pool_rows(steps, sorted);
    if (count < 2) {
        return error_set(e, ERR_FORMAT, "confidence does not tell the rows apart");
    }
    choose_knots(steps, count);
    for (int i = 0; i < count; i++) {
        if (steps[i].is_knot) {
            c->confidence[c->count] = steps[i].confidence;
            c->accuracy[c->count++] = steps[i].accuracy;
        }
    }
    return 0;
}
