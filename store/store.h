/* store.h - the token store: one LMDB environment (a folder) for visual tokens and what they came
 * from.
 *
 * FORMAT (version 1). Integers in keys are big-endian, so that keys sort; all others little-endian.
 * Named databases:
 *
 *     meta      "format" -> "occ-store 1"
 *               "encoder" -> JSON {"name", "fingerprint" (16 hexadecimal digits), "dim"}
 *               "dictionary" -> zstd dictionary of `samples` and `text`; missing until trained
 *               "vectors" -> image_newline and view_seperator, F32 (2, dim); missing where the
 *               encoder has none
 *               "maps" -> zstd frame of a safetensors file: the encoder's tensors merge.columns and
 *               merge.rows; missing where it has none
 *               "merging" -> JSON {"nested", "profiles"}: halvings that the encoder learned by
 *               nested tokens (nest.h; 0: none, it merges by maps), and the profiles whose pages
 *               it learned to merge; missing: 0, read10 and clear
 *               "fidelity" -> JSON: what can still be read after k halvings (forget_learned.h);
 *               missing where it was not measured
 *               "pins" -> "journal": where pins are; missing in stores that only ever had them in
 *               the headers
 *     samples   KEY -> zstd frame of the sample's .json
 *     text      KEY -> zstd frame of its pages' text (.pNNN.txt, a form feed between pages)
 *     cells     KEY -> zstd frame of what each token of its pages shows, where they are set in
 *               cells (spans.h); missing in stores of before
 *     tokens    token key -> struct token_header, payload (codec.h), facts (facts.h)
 *     accounts  ACCOUNT -> struct account_header, then `dim` doubles if pages were folded
 *     journal   KEY -> JSON {"created", "input", "options", "pages"}: this sample is whole in the
 *               store. "pinned": true: pages that show it are not to be forgotten. "folded": true:
 *               pages that showed it were folded, and what they held is in the style sum; it is not
 *               added again
 *
 * KEY is a stream key (stream.h), ACCOUNT its part before the slash. A token key is ACCOUNT, a zero
 * byte, created + 2^63 (8 bytes), the key's other part, a zero byte, page (2 bytes): the pages of
 * an account follow each other in time. created 0 or below: no date is known, and the sample never
 * ages.
 *
 * A sample whose ID begins with "pack:" is a pack: pages of several samples, which "samples" of its
 * JSON names. Those samples are in the journal, and have no pages of their own.
 *
 * One writer, any number of readers, each with an environment of its own, never carried over a
 * fork. A store of another format or another encoder is refused. A full disk is ERR_NO_SPACE; what
 * was committed stays. Not for network file systems (LMDB's locks). */
#ifndef OCC_STORE_STORE_H
#define OCC_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/codec.h"
#include "store/stream.h"

enum { STORE_UNDATED = 0 }; /* created: no date is known */
enum { STORE_VERSION = 1, STORE_PAGES = 10000 /* of a sample */ };

struct store_encoder {
    uint64_t fingerprint; /* of the weights: safetensors_fingerprint */
    char name[64];        /* "deepencoder", "nano" */
    int dim;              /* of a token */
};

/* What halves grids (forget.h). resize and render draw and encode a page anew, so the last of them
 * is what made it; merge is what made it only if nothing else ever did. Means of whatever else are
 * but means. */
enum shrink {
    SHRINK_POOL,   /* means of two tokens */
    SHRINK_MERGE,  /* the maps of the encoder (compress/reading.h) */
    SHRINK_RESIZE, /* the page made smaller, and encoded */
    SHRINK_RENDER, /* less of the text on a smaller page, encoded */
    SHRINK_NEST,   /* the first half of the numbers of two tokens (nest.h) */
    SHRINK_COUNT
};
extern const char *const SHRINK_NAMES[SHRINK_COUNT + 1]; /* "pool", ..., "nest", NULL */

/* How the text of a page lies on its tokens, bits: it runs through one cell after another (profiles
 * cell10, cell8), not in rows across the page; the encoder's last convolution ran at two column
 * offsets, so that tokens stand half a cell's width apart. */
enum { TOKEN_CELLS = 1, TOKEN_TWO_OFFSETS = 2, TOKEN_LAYOUTS = 4, TOKEN_PROFILE = 12 };

/* 64 bytes in front of each payload, little-endian as laid out here. What follows the flags was
 * added to version 1: it is 0 in records that were written before. */
struct token_header {
    char magic[4];                    /* "OCT1" */
    uint8_t codec, bucket;            /* enum codec; steps of forgetting: 0 is fresh */
    uint16_t rows, columns;           /* of the grid as it is */
    uint16_t full_rows, full_columns; /* of the grid as it was encoded */
    uint16_t dim;
    uint32_t characters; /* on the page */
    uint32_t payload;    /* bytes */
    int64_t created;     /* of the page's content, Unix seconds; below 1: not known */
    uint64_t hash;       /* XXH3 64 of the payload and the facts */
    uint8_t flags;       /* bit 0: shows a pinned sample */
    uint8_t shrunk_by;   /* enum shrink: what made the grid; 0 in bucket 0 */
    uint16_t accuracy;   /* as token_accuracy makes it: what was read back when it was encoded */
    uint16_t facts;      /* bytes of facts behind the payload */
    char profile[TOKEN_PROFILE]; /* how the page was set: a-z, 0-9, -, zeros behind; zeros: unknown
                                  */
    uint8_t layout;              /* of the page as it was encoded */
    uint8_t reserved[5];         /* zero */
};
enum { TOKEN_PINNED = 1, TOKEN_ACCURACY = 10000 };
/* 1 + TOKEN_ACCURACY * the share of the text that was read back (text_accuracy), rounded; below
 * 0 is 0: not measured. */
uint16_t token_accuracy(double share);
double token_accuracy_share(uint16_t accuracy); /* -1: not measured */
/* Column offsets of the grid as it was encoded: 1 or 2. Without a layout, a grid twice as wide as
 * high is of two. */
int token_column_offsets(const struct token_header *h);
/* A profile as headers hold it: zeros where the name is not known (NULL), or none that fits. */
void token_profile(char profile[TOKEN_PROFILE], const char *name);

/* 64 bytes in front of an account's style sum. The style token is the sum over the folded pages,
 * divided by folded_pages - repeated: of a pack whose samples were folded before in part, only the
 * share of the others was added. `repeated` was added to version 1. */
struct account_header {
    char magic[4]; /* "OCA1" */
    uint32_t dim;  /* doubles that follow; 0: nothing was folded */
    int64_t aged;  /* `now` of the last pass of forgetting; 0: none */
    int64_t folded_pages;
    int64_t folded_characters; /* on them */
    double repeated;           /* what was left out of folded_pages: below 1 for each of them */
    uint8_t reserved[24];      /* zero */
};

struct token_record {
    char key[STREAM_KEY_BYTES]; /* of the sample: ACCOUNT/ID */
    int page;
    struct token_header header;
    /* Any alignment; until the next write or the end of the call. In a store that is open for
     * reading they lie in its file's map: until it is closed, for any thread. */
    const void *payload;
    const char *facts; /* header.facts bytes of UTF-8: a line for each fact */
};

struct store; /* opaque; of one thread */

/* For reading: what is seen is the store of this moment, until it is closed; as long, pages that a
 * writer frees are not used again. ERR_FORMAT for what is not a store, ERR_UNSUPPORTED for another
 * version, ERR_TRUNCATED where data.mdb was cut short, ERR_IO where lock.mdb, without which pages
 * would change, cannot be had (but on a file system that is mounted read-only). */
int store_open(struct store **out, const char *path, struct error *e);
/* For writing; makes the folder where it is missing. `encoder` must be the one that it was made
 * with (ERR_UNSUPPORTED, naming both); NULL: any, but the store must be there. One writer at a
 * time: a second gets ERR_IO at once, it does not wait. */
int store_open_write(struct store **out, const char *path, const struct store_encoder *encoder,
                     struct error *e);
void store_close(struct store *s); /* NULL is allowed; what is not committed is lost */
const struct store_encoder *store_encoder(const struct store *s);
/* image_newline and view_seperator, 2 * dim floats; NULL where there are none. */
const float *store_vectors(const struct store *s);
int store_put_vectors(struct store *s, const float *vectors, struct error *e);
/* The file of maps for merging: see FORMAT. store_get_maps appends it: 1: there; 0: not. */
int store_put_maps(struct store *s, const void *file, size_t size, struct error *e);
int store_get_maps(struct store *s, struct bytes *file, struct error *e);
int store_has_maps(struct store *s, struct error *e); /* 1 or 0 */
/* What the encoder's file says about forgetting: JSON texts, see FORMAT. Puts what differs from
 * what is there; store_get_note appends: 1: there; 0: not. */
enum store_note { NOTE_MERGING, NOTE_FIDELITY, NOTE_COUNT };
int store_put_note(struct store *s, enum store_note note, const char *json, struct error *e);
int store_get_note(struct store *s, enum store_note note, struct bytes *json, struct error *e);

/* *json: a new reference to a pack's JSON; NULL where `key` is none, or has none any more. */
int store_load_pack(struct store *s, const char *key, json_t **json, struct error *e);
/* Of a pack's JSON: the names of the samples on it, an array that is not empty; else NULL. */
const json_t *store_pack_samples(const char *key, const json_t *json);

/* ---- Writing: what was done since the last commit becomes visible at once ------------------- */

struct store_page {
    int page, rows, columns;
    uint32_t characters;
    uint16_t accuracy; /* this and the next as in the header */
    uint8_t layout;
    enum codec codec;
    const void *payload; /* as codec_pack makes it */
    size_t size;
};

struct store_sample {
    const char *key;  /* stream key */
    int64_t created;  /* or STORE_UNDATED */
    const void *json; /* its .json */
    size_t json_size;
    const void *text; /* of its pages */
    size_t text_size;
    const void *cells; /* as spans_pack makes it */
    size_t cells_size; /* 0: no page is set in cells */
    const struct store_page *pages;
    size_t page_count;           /* may be 0 */
    const char *profile;         /* how they were set; NULL or "": unknown */
    const char *input, *options; /* texts that the journal keeps, for store_is_done */
};

/* Puts a sample in the place of all that is there under its key, but for its marks: it stays
 * pinned, and is not counted again where it was folded before. */
int store_put(struct store *s, const struct store_sample *sample, struct error *e);
/* 1: the journal has the sample with the same input and options; 0: not. */
int store_is_done(struct store *s, const char *key, const char *input, const char *options,
                  struct error *e);
/* Everything of a sample, its journal entry with pin and marks too. 1: removed; 0: was not
 * there. */
int store_remove(struct store *s, const char *key, struct error *e);
/* The JSON, text and cells of a sample; the journal still knows it. Adds what they took to
 * *bytes. */
int store_forget_text(struct store *s, const char *key, int64_t *bytes, struct error *e);
/* The journal's mark that pages which showed the sample were folded. 1: new; 0: it was there, or
 * there is no such sample. */
int store_mark_folded(struct store *s, const char *key, struct error *e);
/* Pages that show these samples stay as they are, whatever their age and however the samples change
 * (`pinned` false: no longer). A pack stands for the samples on it. All or none, and commits;
 * ERR_FORMAT names a key that is not in the store, or that no page shows. */
int store_pin(struct store *s, char *const *keys, size_t count, bool pinned, struct error *e);
/* Another grid in the place of a page's: `header` is complete but for magic, payload, hash and
 * facts, which is the size of `facts`: UTF-8, UINT16_MAX bytes at most (ERR_LIMIT). */
int store_put_tokens(struct store *s, const struct token_record *old,
                     const struct token_header *header, const void *payload, size_t size,
                     const struct bytes *facts, struct error *e);
int store_put_flags(struct store *s, const struct token_record *record, uint8_t flags,
                    struct error *e);
int store_remove_tokens(struct store *s, const struct token_record *record, struct error *e);
/* `sum`: header->dim doubles. */
int store_put_account(struct store *s, const char *account, const struct account_header *header,
                      const double *sum, struct error *e);
/* Bytes written since the last commit; the caller commits at STORE_BATCH. */
size_t store_pending(const struct store *s);
#define STORE_BATCH ((size_t)64 << 20)
int store_commit(struct store *s, struct error *e);

/* ---- Reading (a writer reads what it has written) ------------------------------------------- */

/* Calls `take` with each token record in order of the keys, of one account or (NULL) of all. A
 * non-zero return ends it and comes back. `take` may not write. */
int store_each(struct store *s, const char *account,
               int (*take)(void *context, const struct token_record *record, struct error *e),
               void *context, struct error *e);
/* The records of one sample. */
int store_each_page(struct store *s, const char *key,
                    int (*take)(void *context, const struct token_record *record, struct error *e),
                    void *context, struct error *e);
/* One of them, valid until the next write: 1; 0: the sample has no page of that number. */
int store_get_page(struct store *s, const char *key, int page, struct token_record *record,
                   struct error *e);
/* Each key of the journal, with its JSON (an entry with the input "" is to be made again); each
 * account that has tokens or was folded. */
int store_each_sample(struct store *s,
                      int (*take)(void *context, const char *key, const char *journal, size_t size,
                                  struct error *e),
                      void *context, struct error *e);
int store_each_account(struct store *s,
                       int (*take)(void *context, const char *account, struct error *e),
                       void *context, struct error *e);
/* 1: the journal has the sample; 0: not. */
int store_has(struct store *s, const char *key, struct error *e);
/* 0: the sample has pages of its own. ERR_FORMAT names the key and says that it is not there, which
 * pack shows it, or that it was folded. */
int store_check_pages(struct store *s, const char *key, struct error *e);
/* 1: *created is the sample's; 0: not there. */
int store_get_created(struct store *s, const char *key, int64_t *created, struct error *e);
/* How many samples the pages of `key` show (itself, or those that its JSON names, if it is a pack),
 * and how many of them were folded before. `json` may be NULL. */
int store_count_folded(struct store *s, const char *key, const json_t *json, int64_t *shown,
                       int64_t *folded, struct error *e);
/* Appends a sample's JSON, text or cells (for spans_open). 1: there; 0: not. */
int store_get_json(struct store *s, const char *key, struct bytes *json, struct error *e);
int store_get_text(struct store *s, const char *key, struct bytes *text, struct error *e);
int store_get_cells(struct store *s, const char *key, struct bytes *cells, struct error *e);
/* One page of such a text, in it; NULL: it has no page of that number. */
const char *store_text_page(const char *text, size_t size, int page, size_t *page_size);
/* 1: there (*sum, allocated by malloc, is the caller's; NULL if nothing was folded); 0: not. */
int store_get_account(struct store *s, const char *account, struct account_header *header,
                      double **sum, struct error *e);

/* Checks hashes, lengths, headers, frames and references: tokens have a journal entry that counts
 * them, and so on. Calls `bad` with one line a fault. Returns the number of faults, or negative. */
int64_t store_verify(struct store *s, void (*bad)(void *context, const char *line), void *context,
                     struct error *e);

enum { STORE_BUCKETS = 64 };
struct store_counts {
    int64_t samples, accounts, pages, tokens, characters;
    int64_t payload_bytes[CODEC_COUNT], codec_pages[CODEC_COUNT];
    int64_t json_bytes, text_bytes; /* compressed */
    int64_t facts_bytes;
    int64_t used_bytes, file_bytes; /* LMDB pages in use; of the file */
    int64_t bucket_pages[STORE_BUCKETS], bucket_tokens[STORE_BUCKETS], bucket_bytes[STORE_BUCKETS];
    int64_t folded_pages;
    int64_t pinned_pages, undated_pages; /* that show a pinned sample; that have no date */
};
int store_count(struct store *s, struct store_counts *counts, struct error *e);

struct store_copied {
    int64_t samples, pages; /* put into the store */
    int64_t kept;           /* samples that it had already */
    int64_t differing;      /* of these, samples with other content */
    int64_t accounts;       /* with folded pages */
};
/* Puts the samples of another store of the same encoder into this one, pages as they are; a sample
 * that is there already stays, and `differs` (may be NULL) is called where the other store has
 * another JSON or text of it, or other pages before they aged. Commits as it goes: when it was
 * stopped, run it again. An account with folded pages in both is ERR_UNSUPPORTED before anything is
 * put. */
int store_merge(struct store *s, struct store *from, struct store_copied *copied,
                void (*differs)(void *context, const char *key), void *context, struct error *e);

struct store_removal {
    /* What else is lost: the page of a sample that stays, which was on a removed pack; the style
     * sum of an account, in which a removed sample was. Either may be NULL. */
    void (*lost_page)(void *context, const char *key);
    void (*lost_style)(void *context, const char *account);
    void *context;
    int64_t samples, packs, pages; /* removed: pages of samples and packs */
};
/* Takes samples out for good, as the law or a person asks for: pages, JSON, text, journal, and
 * the packs that show them. Samples that stay but were on such a pack have a journal entry of
 * the input "", so that store_is_done has them made again. A folded sample cannot be taken out
 * of its account's style sum, so that is set back to nothing. The dictionary, in which texts of
 * samples are, is made anew. One transaction: all or nothing. ERR_FORMAT: a key is not there,
 * nothing was removed. The bytes stay in free pages until they are used again; store_compact
 * leaves them out. */
int store_remove_samples(struct store *s, char *const *keys, size_t count,
                         struct store_removal *removal, struct error *e);
/* All samples of an account, and its record. ERR_FORMAT: there is none of that name. */
int store_remove_account(struct store *s, const char *account, struct store_removal *removal,
                         struct error *e);

/* A copy of the records alone, without free pages and what is left in others of what was removed.
 * Complete or not at all: `path` must not exist. */
int store_compact(struct store *s, const char *path, struct error *e);

#endif
