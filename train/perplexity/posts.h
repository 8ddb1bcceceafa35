/* posts.h - how well a language model foresees the held-out posts of accounts, after what it is
 * shown of the older ones (train/context/layout.h). */
#ifndef OCC_TRAIN_PERPLEXITY_POSTS_H
#define OCC_TRAIN_PERPLEXITY_POSTS_H

#include "train/context/layout.h"

struct posts_options {
    const struct decoder_config *config;
    struct decoder_parts parts;
    const struct context_network *network;
    const struct layout *layout;
    int64_t most; /* of its held-out rows, from all over them; 0: all */
};

/* A post that was measured. */
struct posts_measured {
    const struct history_account *account;
    const struct history_post *post;
    int64_t targets;
    double loss;               /* sum over them, natural logarithm */
    struct layout_spent spent; /* before them */
};
/* A negative return ends the measurement with it. */
typedef int posts_sink(void *context, const struct posts_measured *m, struct error *e);

/* In the order of layout_row, which is the same for contexts of any kind. */
int posts_measure(const struct posts_options *o, struct device *device, posts_sink *sink,
                  void *context, struct error *e);

#endif
