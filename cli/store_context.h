/* store_context.h - what a store shows a language model of its accounts (train/context/), opened as
 * the command line says. */
#ifndef OCC_CLI_STORE_CONTEXT_H
#define OCC_CLI_STORE_CONTEXT_H

#include "cli/context_choice.h"
#include "cli/device_choice.h"
#include "compress/reader.h"
#include "train/adapter/adapter.h"

struct store_context_options {
    const char *store;   /* a folder */
    const char *account; /* the only one that is asked for; NULL: all */
    const char *encoder; /* the file of the encoder that made it; NULL: the bundled one */
    const struct context_choice *choice;
    const struct device_choice *device;
    const struct decoder_folder *model;
    const struct adapter *adapter; /* NULL: none */
    int64_t room;                  /* tokens of a row that are left for what is written */
    double held_out, held_accounts;
    const volatile sig_atomic_t *cancel;
};

struct store_context {
    struct history *history;
    struct reader *reader; /* of CONTEXT_READ; else NULL */
    struct layout *layout;
    struct layout_options options;
    struct context_network network; /* without a bridge where the kind needs none */
};
/* ERR_FORMAT: the store's tokens are not of the encoder that the adapter, or the reading head, is
 * for. {0} before; is closed after a failure, too. */
int store_context_open(struct store_context *s, const struct store_context_options *o,
                       struct error *e);
void store_context_close(struct store_context *s);

/* Positions of a context: all but the question's. */
int64_t store_context_positions(const struct layout_spent *s);

/* What the option --encoder names, or the bundled encoder, or NULL where that is not there: an
 * adapter that needs none is opened without. `found`: memory for its path. */
const char *store_context_encoder(const char *named, char *found, size_t size);

/* The reading head of CONTEXT_READ, of the encoder `file`. ERR_FORMAT: another made the tokens. */
int store_context_reader(struct reader **out, const struct history *history, const char *file,
                         const struct device_choice *device, struct error *e);

#endif
