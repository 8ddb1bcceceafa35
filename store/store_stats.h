/* store_stats.h - how much a store holds, at how many text tokens a visual token, and how well its
 * pages were read back: what `occ store stats` prints. */
#ifndef OCC_STORE_STORE_STATS_H
#define OCC_STORE_STORE_STATS_H

#include "store/store.h"

enum { STATS_WORST = 5 };

/* Counts the tokens of a text as a language model's tokenizer does. */
struct stats_tokens {
    void *context;
    int (*count)(void *context, const char *text, size_t size, size_t *tokens, struct error *e);
};

/* Pages that were read back when they were encoded. */
struct stats_readback {
    int64_t pages;
    double accuracy; /* sum */
};

struct store_stats {
    struct store_counts counts;
    /* Pages whose text the store has; none where no tokenizer counted. */
    int64_t text_pages, text_tokens, visual_tokens;
    struct stats_readback readback[CODEC_COUNT];
    struct {
        char key[STREAM_KEY_BYTES];
        int page;
        double accuracy;
    } worst[STATS_WORST]; /* the worst first */
    int worst_count;
};

/* `tokens`: NULL counts no text tokens. */
int store_stats(struct store_stats *stats, struct store *s, const struct stats_tokens *tokens,
                struct error *e);
/* Of all codecs together. */
struct stats_readback stats_readback_all(const struct store_stats *stats);
/* `tokenizer`: the name of what counted, or NULL. */
json_t *store_stats_json(const struct store_stats *stats, const char *tokenizer);

#endif
