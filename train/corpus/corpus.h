/* corpus.h - text to learn from: documents of accounts, in tokens, split by time, packed into rows.
 *
 * Where documents come from:
 *   - a store (a folder) or the stream of the stages: of each clip two documents, on the same side
 *     of the split, "Account: NAME\nCaption:" with " CAPTION" (description, else title) and
 *     "Account: NAME\nScript:" with " SCRIPT". A store has scripts where its pages are set in cells
 *     (spans.h). A clip that came before, by its key, is not taken again;
 *   - JSON lines, an object each, told by its members: {"messages": [{"role", "content"}, ...]} by
 *     the chat template; {"prompt", "completion"}; or {"text"}; "account" and "created" (see
 *     date_created) where they are given. A template that writes the date of today writes that of
 *     "created", else 1970's first.
 *
 * A document ends with the model's end token, which is a target, and begins with the token that its
 * tokenizer puts there (begin.h); conversations have what their template writes. Prompts, and all
 * of a conversation but its answers, are no targets; each part is made into tokens by itself, as it
 * is where something is generated. A document of more tokens than a row goes on in rows of its own,
 * whose positions begin at 0. */
#ifndef OCC_TRAIN_CORPUS_CORPUS_H
#define OCC_TRAIN_CORPUS_CORPUS_H

#include <signal.h>

#include "train/decoder/decoder.h"

enum { CORPUS_CONTEXT = 1 << 20 }; /* tokens of a row, at most */
enum corpus_set { CORPUS_TRAINING, CORPUS_HELD_OUT, CORPUS_SETS };

struct corpus_options {
    const struct decoder_folder *model; /* tokenizer, chat template, end token */
    int64_t context; /* most tokens of a row; longer documents are cut into rows */
    /* Share of each account's clips or lines, the newest, that are not learned; those without a
     * date are the oldest, in the order in which they come. Above 0 one is held out at least, but
     * never all of an account. */
    double held_out;
    bool prompts;  /* the prompts' tokens are targets too */
    bool packing;  /* several documents share a row, each a sequence of its own */
    uint64_t seed; /* of the order */
};

/* A row: up to `context` tokens of one or more sequences. The labels of what is no target are -1;
 * labels[i] is the token after ids[i]. Counts of a row fit int32. */
struct corpus_row {
    const int32_t *ids, *labels, *positions; /* (tokens) */
    const int32_t *offsets;                  /* (sequences + 1) */
    int64_t tokens, sequences, targets;
};

struct corpus; /* read-only once it is open, shared by threads */
/* `paths`: stores, streams ("-": standard input), JSON lines; what cannot be read is an error, what
 * has no text is counted. */
int corpus_open(struct corpus **out, const struct corpus_options *o, char *const *paths, int count,
                const volatile sig_atomic_t *cancel, struct error *e);
void corpus_close(struct corpus *c); /* NULL is allowed */

struct corpus_counts {
    int64_t accounts, documents, empty; /* documents without text, left out */
    int64_t rows, tokens, targets;
};
struct corpus_counts corpus_counts(const struct corpus *c, enum corpus_set set);
/* The rows of an epoch in an order that follows from seed and epoch alone: row `index` of `epoch`;
 * held-out rows have one order. */
struct corpus_row corpus_row(const struct corpus *c, enum corpus_set set, int64_t epoch,
                             int64_t index);
/* Of texts and packing: a run that goes on must have the same. */
uint64_t corpus_hash(const struct corpus *c);

#endif
