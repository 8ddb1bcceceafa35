/* train_tune_data.h - what `occ train tune` learns from, opened as the command line says. */
#ifndef OCC_CLI_TRAIN_TUNE_DATA_H
#define OCC_CLI_TRAIN_TUNE_DATA_H

#include "cli/train_command.h"
#include "compress/reader.h"

struct tune_files {
    struct tune_data data;
    struct corpus *corpus; /* rows of text; or */
    struct history *history;
    struct reader *reader; /* of CONTEXT_READ */
    struct layout *layout;
    struct page_images *images; /* where the encoder learns */
};
/* {0} before; is closed after a failure, too. Says what is there in the log. */
int tune_data_open(struct tune_files *f, struct train_arguments *a,
                   const struct decoder_folder *model, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e);
void tune_data_close(struct tune_files *f);

/* The largest row that there may be, without any data. */
int tune_data_shape(const struct train_arguments *a, const struct decoder_config *config,
                    struct tune_shape *out, struct error *e);

#endif
