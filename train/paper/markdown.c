/* markdown.c - see sheet.h: the table as text. */
#include <math.h>
#include <stdio.h>

#include "train/paper/sheet.h"

/* "24.6 [23.1, 26.2]", or a dash. */
static int put_interval(struct bytes *out, const struct interval *i, int digits, double factor,
                        struct error *e) {
    if (!isfinite(i->value)) {
        return bytes_append_text(out, " - |", e);
    }
    return bytes_printf(out, e, " %.*f [%.*f, %.*f] |", digits, factor * i->value, digits,
                        factor * i->low, digits, factor * i->high);
}

/* "31% (412 MB)" of the baseline's. */
static int put_memory(struct bytes *out, double bytes, double of, struct error *e) {
    if (!(bytes > 0)) {
        return bytes_append_text(out, " - |", e);
    }
    return of > 0 ? bytes_printf(out, e, " %.0f%% (%.0f MB) |", 100 * bytes / of, bytes * 1e-6)
                  : bytes_printf(out, e, " %.0f MB |", bytes * 1e-6);
}

static int put_row(struct bytes *out, const struct sheet *t, int row, struct error *e) {
    const struct sheet_figures *f = &t->rows[row], *base = &t->rows[ROW_TEXT];
    struct interval perplexity, beyond, style, captions;
    const double compression = sheet_compression(t, row);
    int rc = sheet_perplexity(&perplexity, t, row, e);
    rc = rc == 0 ? sheet_beyond(&beyond, t, row, ROW_TEXT, e) : rc;
    rc = rc == 0 ? style_share(&style, f->style, t->accounts, STYLE_ALL, e) : rc;
    rc = rc == 0 ? interval_mean(&captions, f->captions, f->caption_count, e) : rc;
    if (rc == 0) {
        rc = bytes_printf(out, e, "| %s |", SHEET[row].title);
    }
    rc = rc == 0 ? put_memory(out, f->predicted, base->predicted, e) : rc;
    rc = rc == 0 ? put_memory(out, f->peak, base->peak, e) : rc;
    if (rc == 0) {
        rc = isfinite(compression)
                 ? bytes_printf(out, e, " %.1fx | %.0f |", compression, f->positions / f->posts)
                 : bytes_append_text(out, " - | 0 |", e);
    }
    rc = rc == 0 ? put_interval(out, &perplexity, 2, 1, e) : rc;
    rc = rc == 0 ? put_interval(out, &beyond, 3, 1, e) : rc;
    rc = rc == 0 ? put_interval(out, &style, 0, 100, e) : rc;
    rc = rc == 0 ? put_interval(out, &captions, 0, 100, e) : rc;
    return rc == 0 ? bytes_append_text(out, "\n", e) : rc;
}

/* The first lever is the plain baseline, the second the recomputed one. */
static int put_levers(struct bytes *out, const struct sheet *t, struct error *e) {
    int rc =
        bytes_printf(out, e,
                     "\n| memory with rows of %lld tokens of text | by the ledger, of LoRA's | "
                     "of recomputed LoRA's | by the system |\n|---|---|---|---|\n",
                     (long long)t->lever_row);
    for (size_t i = 0; i < t->lever_count && rc == 0; i++) {
        const struct sheet_lever *l = &t->levers[i];
        rc = bytes_printf(out, e, "| %s |", l->title);
        rc = rc == 0 ? put_memory(out, l->predicted, t->levers[0].predicted, e) : rc;
        if (rc == 0) {
            rc = i > 0 ? bytes_printf(out, e, " %.0f%% |",
                                      100 * l->predicted / t->levers[1].predicted)
                       : bytes_append_text(out, " |", e);
        }
        rc = rc == 0 ? put_memory(out, l->peak, t->levers[0].peak, e) : rc;
        rc = rc == 0 ? bytes_append_text(out, "\n", e) : rc;
    }
    return rc;
}

/* ---- Aims ------------------------------------------------------------------------------------ */

static int put_aim(struct bytes *out, const char *aim, bool known, bool met, struct error *e) {
    return bytes_printf(out, e, "| %s | %s |", aim, !known ? "not measured" : met ? "yes" : "no");
}

/* Losses of a row less those of another, as an aim: below zero. */
static int put_below(struct bytes *out, const struct sheet *t, int row, int other,
                     struct error *e) {
    struct interval i;
    char aim[200];
    snprintf(aim, sizeof aim, "%s foresees better than %s (nats a token)", SHEET[row].title,
             SHEET[other].title);
    int rc = sheet_beyond(&i, t, row, other, e);
    rc = rc == 0 ? put_aim(out, aim, isfinite(i.value), i.value < 0, e) : rc;
    rc = rc == 0 ? put_interval(out, &i, 3, 1, e) : rc;
    return rc == 0 ? bytes_append_text(out, "\n", e) : rc;
}

static int put_share(struct bytes *out, const char *aim, double share, double least, double most,
                     const char *unit, double factor, struct error *e) {
    const int rc = put_aim(out, aim, isfinite(share), share >= least && share <= most, e);
    if (rc < 0 || !isfinite(share)) {
        return rc < 0 ? rc : bytes_append_text(out, " - |\n", e);
    }
    return bytes_printf(out, e, " %.1f%s |\n", share * factor, unit);
}

static int put_memory_aims(struct bytes *out, const struct sheet *t, struct error *e) {
    const double least = t->lever_count > 0 ? t->levers[t->lever_count - 1].predicted : (double)NAN;
    const double plain = t->lever_count > 0 ? least / t->levers[0].predicted : (double)NAN;
    const double again = t->lever_count > 1 ? least / t->levers[1].predicted : (double)NAN;
    int rc = put_share(out, "memory at most 28% of LoRA on full text", plain, 0, 0.28, "%", 100, e);
    return rc == 0 ? put_share(out, "... of recomputed LoRA", again, 0, 0.28, "%", 100, e) : rc;
}

static int put_way(struct bytes *out, const struct sheet *t, struct error *e) {
    struct interval way;
    int rc = sheet_way(&way, t, ROW_OCC, e);
    rc = rc == 0 ? put_aim(out, "at least 60% of the way from no context to full text",
                           isfinite(way.value), way.value >= 0.6, e)
                 : rc;
    rc = rc == 0 ? put_interval(out, &way, 0, 100, e) : rc;
    return rc == 0 ? bytes_append_text(out, "\n", e) : rc;
}

/* The middle of LoRA's must not lie above OCC's interval. */
static int put_not_below(struct bytes *out, const char *aim, const struct interval *occ,
                         const struct interval *lora, struct error *e) {
    int rc = put_aim(out, aim, isfinite(occ->value) && isfinite(lora->value),
                     occ->high >= lora->value, e);
    rc = rc == 0 ? put_interval(out, occ, 0, 100, e) : rc;
    return rc == 0 ? bytes_append_text(out, "\n", e) : rc;
}

static int put_writing(struct bytes *out, const struct sheet *t, struct error *e) {
    static const int SIDES[2] = {ROW_OCC, ROW_TEXT};
    struct interval styles[2], captions[2];
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        const struct sheet_figures *f = &t->rows[SIDES[i]];
        rc = style_share(&styles[i], f->style, f->seeds > 0 ? t->accounts : 0, STYLE_ALL, e);
        rc = rc == 0 ? interval_mean(&captions[i], f->captions, f->caption_count, e) : rc;
    }
    rc = rc == 0 ? put_not_below(out, "style not below LoRA's", &styles[0], &styles[1], e) : rc;
    return rc == 0
               ? put_not_below(out, "caption score not below LoRA's", &captions[0], &captions[1], e)
               : rc;
}

static int put_aims(struct bytes *out, const struct sheet *t, struct error *e) {
    static const int PAIRS[][2] = {{ROW_OCC, ROW_TRUNCATED},
                                   {ROW_OCC, ROW_GSPF_TRUNCATED},
                                   {ROW_MIXED, ROW_GSPF_TRUNCATED},
                                   {ROW_OCC, ROW_POOLED},
                                   {ROW_MIXED, ROW_POOLED}};
    int rc = bytes_append_text(out, "\n| aim | met | measured |\n|---|---|---|\n", e);
    if (rc == 0) {
        rc = put_share(out, "compression at least 9.7x", sheet_compression(t, ROW_OCC), 9.7,
                       HUGE_VAL, "x", 1, e);
    }
    rc = rc == 0 ? put_memory_aims(out, t, e) : rc;
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS && rc == 0; i++) {
        rc = put_below(out, t, PAIRS[i][0], PAIRS[i][1], e);
    }
    rc = rc == 0 ? put_way(out, t, e) : rc;
    return rc == 0 ? put_writing(out, t, e) : rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int put_notes(struct bytes *out, const struct sheet *t, struct error *e) {
    int rc = bytes_printf(
        out, e,
        "\nIn brackets: 95%% of 2,000 bootstrap samples, of accounts; of the caption score, of "
        "texts. "
        "Style: 0 is how alike others' posts are to an account's older ones, 100 how alike its own "
        "newer ones are. ");
    if (rc == 0 && t->ranked != NULL) {
        rc = bytes_printf(
            out, e,
            "Caption score: percentile among the real captions of one account, %s, by a "
            "ranker whose rank correlation with their reach is %.2f [%.2f, %.2f]. ",
            t->ranked, t->correlation.value, t->correlation.low, t->correlation.high);
    }
    return rc == 0 ? bytes_printf(out, e, "%zu accounts. Made by\n\n    %s\n", t->accounts, t->made)
                   : rc;
}

int sheet_markdown(struct bytes *out, const struct sheet *t, struct error *e) {
    int seeds = 0;
    for (int row = 0; row < SHEET_ROWS; row++) {
        seeds = t->rows[row].seeds > seeds ? t->rows[row].seeds : seeds;
    }
    int rc = bytes_append_text(
        out,
        "| row | memory by the ledger, of LoRA's | by the system | compression | positions | "
        "perplexity of held-out posts | nats a token beyond LoRA | style, % | caption score, % |\n"
        "|---|---|---|---|---|---|---|---|---|\n",
        e);
    for (int row = 0; row < SHEET_ROWS && rc == 0; row++) {
        if (t->rows[row].seeds > 0) {
            rc = put_row(out, t, row, e);
        }
    }
    if (rc == 0 && t->lever_count > 0) {
        rc = put_levers(out, t, e);
    }
    rc = rc == 0 ? put_aims(out, t, e) : rc;
    return rc == 0 ? put_notes(out, t, e) : rc;
}
