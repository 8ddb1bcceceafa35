/* sheet.h - the rows of the paper's table: how each is made, what it came to, and the table as
 * Markdown and as pictures. */
#ifndef OCC_TRAIN_PAPER_SHEET_H
#define OCC_TRAIN_PAPER_SHEET_H

#include <stdbool.h>
#include <stdint.h>

#include "store/bytes.h"
#include "train/paper/posts.h"

/* How `occ train tune` makes it. */
struct sheet_row {
    const char *name, *title;
    const char *method, *context;
    bool ages;    /* by --tau: optical forgetting */
    bool plain;   /* visual, but without experts */
    bool mixed;   /* half of the positions are the text of the newest posts */
    int64_t soft; /* soft tokens a visual one, and as many times the positions; 0: as the adapter
                     has it */
};
enum {
    ROW_TEXT, /* the baseline */
    ROW_TRUNCATED,
    ROW_GSPF,
    ROW_GSPF_TRUNCATED,
    ROW_OCC,
    ROW_MIXED,
    ROW_LASTING,
    ROW_NO_EXPERTS,
    ROW_RANDOM,
    ROW_POOLED,
    ROW_READ,
    ROW_NONE,
    ROW_STANDARD, /* rows up to here are those of the paper; these draw the frontier: */
    ROW_SOFT2 = ROW_STANDARD,
    ROW_SOFT4,
    ROW_SOFT8,
    SHEET_ROWS
};
extern const struct sheet_row SHEET[SHEET_ROWS];
/* Whether a row of that context shows visual tokens: it begins with an adapter that has learned to
 * read them. All others begin with the model as it is, so that nothing of it is in a baseline. */
bool sheet_is_visual(const char *context);
extern const char *const SHEET_NAMES[]; /* of all rows, "standard", "memory", NULL */

/* What a row came to: means over its seeds. Arrays by account. */
struct sheet_figures {
    int seeds;                  /* 0: it was not made */
    double *losses, *targets;   /* sums over its held-out posts; NAN: it has none */
    struct style_bounds *style; /* NAN likewise */
    double *captions;           /* caption_count percentiles */
    size_t caption_count, caption_room;
    double positions, shown,
        posts;              /* sums: positions of contexts, text tokens that these stand for */
    double predicted, peak; /* bytes by the ledger, by the system: most of its seeds */
};

/* Levers of memory. */
struct sheet_lever {
    const char *title;
    double predicted, peak; /* bytes; peak NAN: not measured */
};

struct sheet {
    struct sheet_figures rows[SHEET_ROWS];
    size_t accounts;
    struct sheet_lever levers[8];
    size_t lever_count;
    int64_t lever_row;  /* tokens of a row of theirs */
    const char *ranked; /* the account that has a caption score, or NULL */
    struct interval correlation;
    const char *made; /* how: a command line */
};
void sheet_close(struct sheet *t);

/* ---- What was measured ----------------------------------------------------------------------- */

/* Files of a row and a seed: lines of `occ eval perplexity --store --json`, lines of `occ generate
 * --batch`, {"predicted", "peak"}. ERR_FORMAT names the file. */
struct sheet_files {
    const char *posts, *texts, *cost;
};
int sheet_add(struct sheet *t, int row, const struct sheet_files *files,
              const struct paper_posts *posts, struct error *e);
/* The next lever, of such a file. */
int sheet_add_lever(struct sheet *t, const char *title, const char *cost, struct error *e);

/* ---- What is told ---------------------------------------------------------------------------- */

int sheet_markdown(struct bytes *out, const struct sheet *t, struct error *e);
/* Perplexity against positions; memory by levers. */
int sheet_frontier(struct bytes *out, const struct sheet *t, struct error *e);
int sheet_memory(struct bytes *out, const struct sheet *t, struct error *e);

int sheet_perplexity(struct interval *out, const struct sheet *t, int row, struct error *e);
/* Nats a token more than the baseline has, account by account. */
int sheet_beyond(struct interval *out, const struct sheet *t, int row, int baseline,
                 struct error *e);
/* How much of the way from no context to full text, both by GSPF, in nats: 0 to 1. */
int sheet_way(struct interval *out, const struct sheet *t, int row, struct error *e);
double sheet_compression(const struct sheet *t, int row); /* text tokens a position; NAN: none */

#endif
