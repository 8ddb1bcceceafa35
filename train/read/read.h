/* read.h - trains an encoder together with reading heads on pages: what `occ train read` does.
 *
 * Deep supervision: beside the head that stays, three more read the patches after the neck and the
 * outputs of the two convolutions of the compressor; without them the last one does not begin to
 * learn. At first only the front learns, as far as the neck, then the convolutions come one after
 * the other, then the rest: what comes after a front that cannot read yet learns nothing, and its
 * gradients are noise to the front. Part of the pages are read after one to four halvings of
 * their tokens (store/nest.h), by the same head: what is left of a token must say what matters
 * most.
 *
 * A task of train/trainer.h. The pages of a step follow from the seed and its
 * number alone. */
#ifndef OCC_TRAIN_READ_READ_H
#define OCC_TRAIN_READ_READ_H

#include <signal.h>

#include "compress/alphabet.h"
#include "train/read/head.h"
#include "train/trainer.h"

/* CROP: a quarter of a base page, 512 x 512 pixels from anywhere on the 64-pixel grid. */
enum read_size { READ_TINY, READ_BASE, READ_HIFI, READ_CROP, READ_SIZES };
extern const char *const READ_SIZE_NAMES[READ_SIZES + 1]; /* ends in NULL */

struct read_page {
    int width, height;               /* pixels: that of the mode, a multiple of 64 up to it */
    const uint8_t *grey;             /* (height, width) */
    const struct read_label *labels; /* in order; what is in no class has ALPHABET_OTHER */
    size_t label_count;
    int kind; /* of the page, for the log: 0 <= kind < READ_KINDS */
};
enum { READ_KINDS = 16 };

/* Which page: the same one for the same request. */
struct read_request {
    enum read_size size;
    uint64_t number;
    uint64_t pair;   /* pages of a pair should cost alike */
    double progress; /* share of the run that is over */
};

/* Where pages come from. A generator belongs to a thread; page and labels are valid until its next
 * call. */
struct read_source {
    void *context;
    int (*open)(void *context, void **generator, struct error *e);
    void (*close)(void *generator); /* NULL is allowed */
    int (*make)(void *generator, const struct read_request *request, struct read_page *page,
                struct error *e);
    const char *kinds[READ_KINDS]; /* names; NULL: unused */
};

enum { READ_HALVINGS = 4 };
struct read_options {
    /* folder: also encoder.safetensors */
    struct trainer_options trainer;
    const char *from; /* weights to begin with, where the folder holds no checkpoint; NULL: random
                         ones, as is what the file lacks */
    struct encoder_config encoder;
    struct reading_config reading;
    uint64_t seed;
    int64_t batch;            /* tiny pages per step; of a larger size as many as cost the same */
    double sizes[READ_SIZES]; /* shares of the steps */
    double staged;            /* share of the run in which the stages come one by one */
    double halving;           /* share of the pages that are read after halvings */
    double halvings[READ_HALVINGS]; /* shares of 1, 2, ... halvings among these */
};
extern const struct read_options READ_DEFAULTS;

/* As trainer_run. `metadata`: texts for the file of weights, beside those of the encoder; the list
 * under TRAINED_PROFILES (compress/trained.h) also becomes that of the reading head. */
int read_train(const struct read_options *options, const struct alphabet *alphabet,
               const struct read_source *source, const json_t *metadata,
               const volatile sig_atomic_t *cancel, struct trainer_result *result, struct error *e);

#endif
