/* corpus_parts.h - what the files of corpus.h share: documents while they are gathered, then rows.
 */
#ifndef OCC_TRAIN_CORPUS_CORPUS_PARTS_H
#define OCC_TRAIN_CORPUS_CORPUS_PARTS_H

#include "store/table.h"
#include "train/corpus/corpus.h"
#include "train/decoder/chat.h"

/* ---- Gathering ------------------------------------------------------------------------- */

/* Beside the id of a token that is to be predicted; ids are below TOKENIZER_ID_LIMIT. */
enum { CORPUS_TARGET = 1 << 30 };

/* What is learned by itself: a caption, a script, a conversation. */
struct corpus_document {
    size_t first, count; /* tokens */
};

/* Documents that came into being together, on the same side of the split: those of a clip. */
struct corpus_post {
    size_t account;
    int64_t created;     /* or STORE_UNDATED */
    size_t first, count; /* documents */
    size_t place;        /* among the posts as they came */
    bool held_out;
};

struct corpus_builder {
    const struct corpus_options *options;
    const volatile sig_atomic_t *cancel;
    struct tokenizer_state *state;
    int32_t begin, end; /* tokens put around a text; -1: none */
    struct chat *chat;  /* NULL until a conversation comes */
    struct token_list tokens;
    struct corpus_document *documents;
    size_t document_count, document_capacity;
    struct corpus_post *posts;
    size_t post_count, post_capacity;
    struct table *accounts;
    struct table *clips; /* keys of those that are there */
    int64_t empty;
};

/* Of *b: options and cancel are there. */
int corpus_builder_open(struct corpus_builder *b, struct error *e);
void corpus_builder_close(struct corpus_builder *b);                   /* {0} is allowed */
int corpus_cancelled(const struct corpus_builder *b, struct error *e); /* 0, or ERR_CANCELLED */

/* A post of an account, named as in keys, then its documents. One that has none in the end is none.
 */
int corpus_post_begin(struct corpus_builder *b, const char *account, int64_t created,
                      struct error *e);
void corpus_post_end(struct corpus_builder *b);
/* A document: the token that texts begin with, these texts, the model's end token. One in which no
 * token of theirs is a target is left out and counted. */
struct corpus_text {
    const char *text;
    size_t size;
    bool target;
};
int corpus_document(struct corpus_builder *b, const struct corpus_text *texts, size_t count,
                    struct error *e);
/* A conversation, {"messages": ...}. */
int corpus_conversation(struct corpus_builder *b, const json_t *conversation, struct error *e);

/* ---- Sources --------------------------------------------------------------------------- */

int corpus_read_stream(struct corpus_builder *b, char *const *paths, int count, struct error *e);
int corpus_read_store(struct corpus_builder *b, const char *path, struct error *e);
int corpus_read_lines(struct corpus_builder *b, const char *path, struct error *e);
/* One line of such a file. */
int corpus_read_line(struct corpus_builder *b, const void *line, size_t size, struct error *e);

/* A clip by its key and .json; its script as one text, or NULL. One that came before is not taken
 * again. */
int corpus_clip(struct corpus_builder *b, const char *key, const json_t *sample, const char *script,
                size_t script_size, struct error *e);

/* What its JSON says of a clip; "": nothing. */
const char *corpus_caption(const json_t *sample);
/* Appends "Account: NAME\nCaption:", or "...Script:". */
int corpus_prompt(struct bytes *out, const char *account, bool script, struct error *e);
/* Leaves out the space around a text. */
void corpus_trim(const char **text, size_t *size);
/* A clip's documents, as one post. */
struct corpus_post_texts {
    const char *account;          /* as keys name it: of one name are what is split together */
    const char *title;            /* of the account, as prompts name it */
    const char *caption, *script; /* script NULL: it has none */
    size_t caption_size, script_size;
};
int corpus_post(struct corpus_builder *b, int64_t created, const struct corpus_post_texts *texts,
                struct error *e);

/* ---- Rows ------------------------------------------------------------------------------ */

struct corpus_place {
    int64_t first;   /* of the tokens */
    int64_t offsets; /* of the offsets */
    int32_t tokens, sequences, targets;
};

struct corpus_rows {
    int32_t *ids, *labels, *positions; /* all owned */
    int32_t *offsets;
    struct corpus_place *places;
    struct corpus_counts counts;
};

/* Sorts the posts by account and time, and says which are held out. */
void corpus_split(struct corpus_builder *b);
/* The rows of one set of them. */
int corpus_rows_make(struct corpus_rows *r, const struct corpus_builder *b, enum corpus_set set,
                     struct error *e);
void corpus_rows_close(struct corpus_rows *r);

#endif
