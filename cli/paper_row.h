/* paper_row.h - a row of the paper's table as commands: tune, measure, write. */
#ifndef OCC_CLI_PAPER_ROW_H
#define OCC_CLI_PAPER_ROW_H

#include "cli/eval_paper.h"
#include "train/paper/sheet.h"

struct paper_work {
    const struct paper_arguments *a;
    const char *prompts;                 /* a file of lines for `occ generate --batch` */
    int64_t longest;                     /* tokens of a row that the model takes, at most 8,192 */
    double deadline;                     /* of clock_seconds; 0: none */
    const volatile sig_atomic_t *cancel; /* NULL: never */
};

/* Files in FOLDER/NAME: what was made of a row and a seed, or of a lever. */
struct paper_files {
    char *folder, *run, *log, *report, *posts, *texts, *cost; /* owned */
};
int paper_files_open(struct paper_files *f, const char *output, const char *name, struct error *e);
void paper_files_close(struct paper_files *f); /* {0} is allowed */
bool paper_files_done(const struct paper_files *f, bool lever);

/* Makes what is missing. */
int paper_row_make(const struct paper_work *w, const struct sheet_row *row, int64_t seed,
                   const struct paper_files *f, struct error *e);

struct paper_lever {
    const char *name, *title;
    const char *method, *context, *recompute, *weights;
    bool still; /* the bridge is not trained: the adapter must have one */
};
enum { PAPER_LEVERS = 7 };
extern const struct paper_lever PAPER_LEVER[PAPER_LEVERS];
int paper_lever_make(const struct paper_work *w, const struct paper_lever *lever,
                     const struct paper_files *f, struct error *e);

#endif
