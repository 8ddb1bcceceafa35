/* store_plot.h - `occ store plot`. */
#ifndef OCC_CLI_STORE_PLOT_H
#define OCC_CLI_STORE_PLOT_H

#include <signal.h>

#include "cli/encoder_choice.h"
#include "store/store.h"

struct store_plot {
    struct encoder_choice encoder; /* the store's, with a reading head */
    const char *store, *picture;   /* paths; the picture "-": standard output */
};

/* Draws how the pages of the store fade (train/fidelity/decay.h), their ages counted to the last
 * pass of forgetting, or to now where there was none. */
int store_plot_decay(struct store *s, const struct store_plot *plot,
                     const volatile sig_atomic_t *cancel, struct error *e);

#endif
