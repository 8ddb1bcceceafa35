/* layout.h - what a decoder is given of an account before a post that it is to write: only what is
 * older than the post, never itself; within a budget of positions, the newest first.
 *
 *     [style] [page, age k, soft tokens, facts] ... oldest to newest [text of the newest] [end]
 *     "Account: NAME\nCaption:" -> " caption" + end token        as corpus.h has it
 *
 * Older are posts of an earlier second; undated posts are older than all dated ones, and of their
 * own past nothing is known. A stretch is what is shown of a page at one age: a page mark, the mark
 * of its age where that is not the age of the stretch before, its soft tokens. Where only a part
 * fits, it is the newest one. Contexts of text have a newline behind each post of a page (what is
 * read: behind each stretch) and no marks; pooled text has newlines in the places of marks, and
 * nothing for a style token. A style token is shown where all that was folded is older than the
 * target. */
#ifndef OCC_TRAIN_CONTEXT_LAYOUT_H
#define OCC_TRAIN_CONTEXT_LAYOUT_H

#include "train/context/history.h"
#include "train/context/row.h"
#include "train/corpus/corpus.h"
#include "train/decoder/decoder.h"

enum context_kind {
    CONTEXT_NONE,
    CONTEXT_VISUAL, /* soft tokens */
    CONTEXT_TEXT,   /* the text that CONTEXT_VISUAL would show, whatever it takes (up to the row) */
    CONTEXT_TRUNCATED, /* the newest of that text, as many positions as CONTEXT_VISUAL has */
    CONTEXT_POOLED,    /* means of the embeddings under each soft token: the same positions */
    CONTEXT_READ       /* the text that the reading head reads from the tokens, whatever it takes */
};
extern const char *const CONTEXT_KIND_NAMES[]; /* "none", "visual", "text", "truncated-text",
                                                  "pooled-text", "read", NULL */

struct layout_options {
    const struct decoder_folder *model;
    enum context_kind kind;
    int64_t positions;  /* most of the context, marks included: what CONTEXT_VISUAL may take */
    int64_t row;        /* most tokens of a row: context, prompt and target */
    int64_t expand;     /* soft tokens of a visual token */
    double tau_seconds; /* ages, as `occ forget` counts them, at the time of the target: bucket k
                           keeps 1 / 2^k of the tokens; 0: as stored */
    int64_t newest;  /* positions of the budget that go to the text of the newest posts; 0: none */
    int64_t facts;   /* ... to the exact facts (store/facts.h) of what is shown halved; 0: none */
    int64_t target;  /* most tokens of a target with its prompt; longer ones go on in rows of their
                        own, each behind the same context; 0: what `positions` leave of the row */
    double held_out; /* share of each account's posts, the newest */
    double held_accounts; /* share of the accounts (by the hash of their names) all of whose posts
                             are held out */
    uint64_t seed;        /* of the order */
    const struct reader *reader; /* CONTEXT_READ (compress/reader.h) */
};

struct layout; /* read-only once it is open; of any number of threads */
int layout_open(struct layout **out, const struct layout_options *o, const struct history *h,
                const volatile sig_atomic_t *cancel, struct error *e);
void layout_close(struct layout *l); /* NULL is allowed */

struct layout_counts {
    int64_t accounts, rows, targets; /* posts to be foreseen; their tokens */
    /* Positions of contexts, and text tokens (what CONTEXT_TEXT takes) that these stand for.
     * CONTEXT_READ: about as many as the text has; those of a row are known when it is made. */
    int64_t context, shown;
    int64_t longest; /* tokens of a row; CONTEXT_READ: at most */
};
struct layout_counts layout_counts(const struct layout *l, enum corpus_set set);
uint64_t layout_hash(const struct layout *l);
/* What a row holds: of all rows the most tokens, and what the row with the most cells shows. */
struct layout_shape {
    int64_t tokens;
    int64_t visual[BRIDGE_AGES]; /* visual tokens, by bucket, */
    int64_t expand;              /* each of so many soft ones */
    int64_t pools, pooled;       /* means, and text tokens in them */
};
struct layout_shape layout_largest(const struct layout *l);
size_t layout_bytes(const struct layout *l); /* of memory, beside the history's */

/* A thread's memory, that a row lies in until the next one. */
struct layout_space;
int layout_space_open(struct layout_space **out, const struct layout *l, struct error *e);
void layout_space_close(struct layout_space *s); /* NULL is allowed */
/* Row `index` of `epoch`, in an order that follows from seed and epoch alone; one target each. */
int layout_row(const struct layout *l, struct layout_space *s, enum corpus_set set, int64_t epoch,
               int64_t index, struct context_row *row, struct error *e);
int64_t layout_row_targets(const struct layout *l, enum corpus_set set, int64_t epoch,
                           int64_t index);
/* The account of such a row, and its post. */
void layout_target(const struct layout *l, enum corpus_set set, int64_t epoch, int64_t index,
                   const struct history_account **account, const struct history_post **post);
/* What the last row of a space holds before its target: positions of each kind. */
struct layout_spent {
    int64_t marks, soft, pooled, text, facts; /* soft: the style token's too */
    int64_t visual;                           /* visual tokens */
    int64_t shown;                            /* text tokens that these positions stand for */
    int64_t prompt;
};
struct layout_spent layout_spent(const struct layout_space *s);
/* The cells whose numbers the last row's visual tokens of a bucket hold, in the order of the row:
 * 1 << bucket of each token, the first dim >> bucket numbers of each; of a history whose pages are
 * not halved yet. `out` has room for them. Where a token has fewer (the last of an odd number, the
 * style token) the page is LAYOUT_NO_PAGE. */
#define LAYOUT_NO_PAGE UINT32_MAX
struct layout_cell {
    uint32_t page, token; /* history_page; of that page */
};
void layout_cells(const struct layout_space *s, int bucket, struct layout_cell *out);
/* Context and prompt alone, for a post of `account` that is written at `now`, with the history of
 * `style` (NULL: its own): no labels. `script`: a script, not a caption. */
int layout_prompt(const struct layout *l, struct layout_space *s,
                  const struct history_account *account, const struct history_account *style,
                  int64_t now, bool script, struct context_row *row, struct error *e);

#endif
