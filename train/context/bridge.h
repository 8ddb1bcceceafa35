/* bridge.h - from the visual tokens of a store to what a decoder reads in the place of embeddings
 * ("soft tokens"), through style experts: Y = f_LLM(f_MoE(f_OCE(I))).
 *
 *     BRIDGE_LINEAR   s = W_k x + b_k, for each of `expand` soft tokens a visual token; a map for
 *                     each bucket k < `buckets`, the last one for older ones, too
 *     BRIDGE_MLP      the same, and U_k gelu(V_k x + c_k) added
 *     BRIDGE_READING  through the encoder's own reading head (compress/reading.h), as far as it
 *                     sees where there are characters and what they look like: each, beside its
 *                     neighbours, becomes a vector, that of the text token which begins there;
 * these are summed in pieces of half a row, and neighbours merged in pairs, those of several cells
 * too, until `expand` are left of each visual token of any bucket
 *
 *     BRIDGE_NAMED    the same head, down to which characters it reads; the decoder's own tokenizer
 *                     makes tokens of them, whose embeddings are summed and merged likewise: exact,
 *                     but no gradient comes to visual tokens
 *
 * then, where there are experts (Shazeer et al. 2017; the balance term of Fedus et al. 2021):
 *
 *     r = softmax(W s), the `chosen` largest of each row kept
 *     h = s + f_shared(s) + sum over the chosen of r_i f_i(s)     f_i(s) = B_i gelu(A_i s)
 *
 * with B_i zeros at first: h = s. */
#ifndef OCC_TRAIN_CONTEXT_BRIDGE_H
#define OCC_TRAIN_CONTEXT_BRIDGE_H

#include "compress/reading.h"
#include "store/safetensors.h"
#include "train/parameters.h"
#include "train/tape/source.h"

enum bridge_kind { BRIDGE_LINEAR, BRIDGE_MLP, BRIDGE_READING, BRIDGE_NAMED };
extern const char *const BRIDGE_KIND_NAMES[]; /* "linear", "mlp", "reading", "named", NULL */
/* Whether a bridge reads with the encoder's head: any number of soft tokens, any bucket. */
static inline bool bridge_reads(enum bridge_kind kind) {
    return kind == BRIDGE_READING || kind == BRIDGE_NAMED;
}

/* Learned vectors that stand between pieces of context. The style token is no mark: it is a visual
 * token, that of what was folded. */
enum bridge_mark {
    MARK_PAGE,  /* before the tokens of a page, or of a post on it */
    MARK_STYLE, /* before the style token */
    MARK_TEXT,  /* before older posts as text */
    MARK_READ,  /* after visual tokens: their text follows */
    MARK_END,   /* after the context */
    MARK_AGE,   /* MARK_AGE + k, after MARK_PAGE: bucket k follows, BRIDGE_AGES - 1 for older */
};
enum { BRIDGE_AGES = 16, BRIDGE_MARKS = MARK_AGE + BRIDGE_AGES, BRIDGE_EXPAND = 8 };

struct bridge_experts {
    int64_t count, chosen; /* 0: none */
    int64_t hidden;        /* of each, and of the shared one */
    double balance;        /* weight of the balance term in the loss */
};

struct bridge_options {
    enum bridge_kind kind;
    int64_t dim;     /* of a visual token of bucket 0 */
    int64_t width;   /* of the decoder */
    int64_t expand;  /* LINEAR, MLP: soft tokens of a visual token; else 1, 2, 4, 8 at will */
    int64_t buckets; /* LINEAR, MLP: with maps of their own */
    int64_t hidden;  /* MLP, READING */
    double scale;    /* root mean square of the decoder's input embeddings: that of soft tokens and
                        marks at first */
    struct reading_config reading; /* READING, NAMED */
    uint64_t encoder;              /* fingerprint of the encoder that made the tokens */
    struct bridge_experts experts;
    const struct bridge_names *names; /* NAMED: set before it computes; in no file */
};

/* ---- Names ----------------------------------------------------------------------------------- */

/* The alphabet of an encoder's reading head, and a decoder's tokenizer, which outlives it; NULL:
 * for a forecast, that counts a token for each four characters. Read-only, shared by threads. */
struct bridge_names;
struct tokenizer;
int bridge_names_open(struct bridge_names **out, const char *encoder,
                      const struct tokenizer *tokenizer, struct error *e);
void bridge_names_close(struct bridge_names *n); /* NULL is allowed */

/* ---- A new one ------------------------------------------------------------------------------- */

/* Of options whose kind is set: what belongs to the encoder in the file `encoder` (dim,
 * fingerprint; READING: its head, ERR_UNSUPPORTED where it has none, and `hidden` where that is 0),
 * and to the decoder (width, scale; NULL: nothing of it). The rest is the caller's. */
enum { BRIDGE_SPELLING = 1536 /* that `hidden` */ };
struct decoder;
int bridge_begin(struct bridge_options *o, const char *encoder, const struct decoder *base,
                 struct device *device, struct error *e);
/* The mean of the decoder's commoner input embeddings, its first thousands: what the tensors of a
 * new bridge that bridge_begins_shifted names begin with, where the caller has a decoder;
 * bridge_first gives zeros for them. */
int bridge_shift(float *values, const struct decoder *base, struct device *device, struct error *e);
bool bridge_begins_shifted(const char *name);
/* ERR_USAGE: sizes that do not fit each other. What is listed and computed with was checked. */
int bridge_check(const struct bridge_options *o, struct error *e);

/* All tensors: groups "bridge", "spell" (of READING: the most numbers), "experts", and "reader"
 * (the head's, which keep their names "reader.*"; trained and shipped where `reader` says so).
 * Shapes and first values stand at the heads of bridge.c, bridge_reading.c and experts.c. */
int bridge_list(const struct bridge_options *o, bool reader, tensor_spec_take *take, void *context,
                struct error *e);

/* ---- On a tape ------------------------------------------------------------------------------- */

/* Visual tokens of one bucket: (count, dim) F32. Of bucket k each holds 2^k cells, the first dim >>
 * k numbers of each side by side (store/nest.h). */
struct bridge_group {
    int bucket;
    struct node *x;     /* tape_input of what was stored, or an encoder's on the same tape */
    const bool *begins; /* (count): a run of cells begins, whose text does not go on from the token
                           before; NULL: the first one alone. Looked at until the backward pass */
};

/* What the router did, summed over calls; may be NULL. Arrays of `experts.count`. */
struct bridge_routing {
    double *chosen;      /* how often each was among the chosen */
    double *probability; /* sums of r */
    double entropy;      /* sum over tokens, natural logarithm */
    double tokens;       /* soft tokens */
};

/* (BRIDGE_MARKS + expand * tokens of all groups, width): marks, then soft tokens, group after
 * group, each visual token's one after another in reading order. Adds the balance term times
 * `scale` to what tape_backward goes back from. parts: the decoder's, whose embeddings NAMED takes;
 * else NULL is allowed. NULL: failed, as the tape says. */
struct decoder_parts;
struct node *bridge_network(const struct bridge_options *o, const struct tape_source *source,
                            struct tape *t, const struct decoder_parts *parts,
                            const struct bridge_group *groups, size_t count, int64_t expand,
                            float scale, struct bridge_routing *routing);

/* For who teaches a bridge that reads to spell: what it sees of each character of a group, and what
 * it makes of some of them, before these are summed. */
struct bridge_spelling {
    struct node *windows; /* (characters, numbers): each beside its neighbours, in reading order */
    int64_t characters;
    const int32_t *cells; /* (characters), rising: the cell of each, counted over those of the group
                             (visual token * 2^bucket + which); the tape's, of the host */
};
/* False: failed, as the tape says. */
bool bridge_spell_windows(const struct bridge_options *o, const struct tape_source *source,
                          struct tape *t, const struct bridge_group *group,
                          struct bridge_spelling *out);
/* Rows of such windows -> (rows, width). */
struct node *bridge_spell(const struct tape_source *source, struct tape *t, struct node *windows);

/* ---- The file -------------------------------------------------------------------------------- */

/* context.safetensors of an adapter's folder: tensors of bridge_list, BF16, and the options in its
 * metadata under "occ.context". The reading head's tensors are in it only where they were trained;
 * else they are the encoder's, which is known by its fingerprint. */
#define BRIDGE_FILE "context.safetensors"
struct bridge_folder {
    struct bridge_options options;
    bool reader; /* the head's tensors are in it */
    struct safetensors *tensors;
    char *path; /* owned */
};
bool bridge_folder_is(const char *folder); /* whether a folder has that file */
/* ERR_FORMAT, ERR_UNSUPPORTED name the file and the reason; ERR_IO: there is none. */
int bridge_folder_open(struct bridge_folder *f, const char *folder, struct error *e);
void bridge_folder_close(struct bridge_folder *f); /* {0} is allowed */
/* Values of a tensor of bridge_list; `encoder`: the encoder's file, for a head that is not in it.
 */
int bridge_folder_floats(const struct bridge_folder *f, const struct safetensors *encoder,
                         const char *name, float *values, struct error *e);
/* What training begins with: values of a tensor of `o` out of the folder `from` that is gone on
 * from, whose options `o` are but for the experts; or, where it has none of that name or is NULL,
 * new ones by `seed`, and the head's out of the encoder's file. */
int bridge_first(const struct bridge_options *o, const struct bridge_folder *from,
                 const struct safetensors *encoder, uint64_t seed, const char *name, float *values,
                 struct error *e);
int bridge_write(const char *folder, const struct bridge_options *o, bool reader,
                 parameters_named_reader *read, void *context, struct error *e);

#endif
