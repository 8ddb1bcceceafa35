/* store_stats.c - see store_stats.h. */
#include "cli/store_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Counting --------------------------------------------------------------------------- */

struct counting {
    struct store_stats *stats;
    struct store *s;
    struct tokenizer_state *tokenizer; /* NULL: no text tokens */
    char key[STREAM_KEY_BYTES];        /* of the sample whose text is in hand */
    struct bytes text;
    bool has_text;
};

static void note_accuracy(struct store_stats *stats, const struct token_record *record) {
    double accuracy = token_accuracy_share(record->header.accuracy);
    if (accuracy < 0) {
        return;
    }
    stats->readback[record->header.codec].pages++;
    stats->readback[record->header.codec].accuracy += accuracy;
    int place = stats->worst_count;
    while (place > 0 && accuracy < stats->worst[place - 1].accuracy) {
        place--;
    }
    if (place == STATS_WORST) {
        return;
    }
    stats->worst_count += stats->worst_count < STATS_WORST;
    memmove(&stats->worst[place + 1], &stats->worst[place],
            (size_t)(stats->worst_count - place - 1) * sizeof *stats->worst);
    memcpy(stats->worst[place].key, record->key, sizeof record->key);
    stats->worst[place].page = record->page;
    stats->worst[place].accuracy = accuracy;
}

static int get_text(struct counting *c, const char *key, struct error *e) {
    if (strcmp(c->key, key) == 0) {
        return 0;
    }
    memcpy(c->key, key, strlen(key) + 1);
    bytes_clear(&c->text);
    int rc = store_get_text(c->s, key, &c->text, e);
    c->has_text = rc == 1;
    return rc < 0 ? rc : 0;
}

static int count_text(struct counting *c, const struct token_record *record, struct error *e) {
    size_t size, tokens = 0;
    int rc = get_text(c, record->key, e);
    const char *text =
        c->has_text ? store_text_page(bytes_text(&c->text), c->text.size, record->page, &size)
                    : NULL;
    if (rc < 0 || text == NULL) {
        return rc;
    }
    rc = tokenizer_count(c->tokenizer, text, size, TOKENIZER_ORDINARY, &tokens, e);
    c->stats->text_pages++;
    c->stats->text_tokens += (int64_t)tokens;
    c->stats->visual_tokens += (int64_t)record->header.rows * record->header.columns;
    return rc;
}

static int count_record(void *context, const struct token_record *record, struct error *e) {
    struct counting *c = context;
    note_accuracy(c->stats, record);
    return c->tokenizer != NULL ? count_text(c, record, e) : 0;
}

int store_stats(struct store_stats *stats, struct store *s, const struct tokenizer *tokenizer,
                struct error *e) {
    struct counting c = {.stats = stats, .s = s};
    *stats = (struct store_stats){.text_pages = 0};
    bytes_init(&c.text, (size_t)256 << 20);
    int rc = store_count(s, &stats->counts, e);
    rc = rc == 0 && tokenizer != NULL ? tokenizer_state_open(&c.tokenizer, tokenizer, e) : rc;
    rc = rc == 0 ? store_each(s, NULL, count_record, &c, e) : rc;
    tokenizer_state_close(c.tokenizer);
    bytes_close(&c.text);
    return rc;
}

static struct stats_readback all_codecs(const struct store_stats *stats) {
    struct stats_readback all = {.pages = 0};
    for (int i = 0; i < CODEC_COUNT; i++) {
        all.pages += stats->readback[i].pages;
        all.accuracy += stats->readback[i].accuracy;
    }
    return all;
}

static double share(double sum, int64_t count) {
    return count > 0 ? sum / (double)count : 0;
}

/* ---- As JSON ---------------------------------------------------------------------------- */

static json_t *codecs_json(const struct store_stats *stats) {
    const struct store_counts *c = &stats->counts;
    json_t *codecs = json_object();
    for (int i = 0; i < CODEC_COUNT; i++) {
        const struct stats_readback *read = &stats->readback[i];
        if (c->codec_pages[i] == 0) {
            continue;
        }
        json_t *codec = json_pack("{s:I, s:I}", "pages", (json_int_t)c->codec_pages[i], "bytes",
                                  (json_int_t)c->payload_bytes[i]);
        if (read->pages > 0) {
            json_object_set_new(codec, "accuracy", json_real(share(read->accuracy, read->pages)));
        }
        json_object_set_new(codecs, CODEC_NAMES[i], codec);
    }
    return codecs;
}

static json_t *buckets_json(const struct store_counts *c) {
    json_t *buckets = json_array();
    for (int i = 0; i < STORE_BUCKETS; i++) {
        if (c->bucket_pages[i] > 0) {
            json_array_append_new(buckets, json_pack("{s:i, s:I, s:I, s:I}", "bucket", i, "pages",
                                                     (json_int_t)c->bucket_pages[i], "tokens",
                                                     (json_int_t)c->bucket_tokens[i], "bytes",
                                                     (json_int_t)c->bucket_bytes[i]));
        }
    }
    return buckets;
}

static json_t *readback_json(const struct store_stats *stats) {
    struct stats_readback all = all_codecs(stats);
    json_t *worst = json_array();
    for (int i = 0; i < stats->worst_count; i++) {
        json_array_append_new(worst, json_pack("{s:s, s:i, s:f}", "key", stats->worst[i].key,
                                               "page", stats->worst[i].page, "accuracy",
                                               stats->worst[i].accuracy));
    }
    return json_pack("{s:I, s:f, s:o}", "pages", (json_int_t)all.pages, "accuracy",
                     share(all.accuracy, all.pages), "worst", worst);
}

json_t *store_stats_json(const struct store_stats *stats, const char *tokenizer) {
    const struct store_counts *c = &stats->counts;
    json_t *root = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "accounts",
        (json_int_t)c->accounts, "samples", (json_int_t)c->samples, "pages", (json_int_t)c->pages,
        "tokens", (json_int_t)c->tokens, "characters", (json_int_t)c->characters,
        "characters_per_token", share((double)c->characters, c->tokens), "json_bytes",
        (json_int_t)c->json_bytes, "text_bytes", (json_int_t)c->text_bytes, "used_bytes",
        (json_int_t)c->used_bytes, "file_bytes", (json_int_t)c->file_bytes, "folded_pages",
        (json_int_t)c->folded_pages, "pinned_pages", (json_int_t)c->pinned_pages, "undated_pages",
        (json_int_t)c->undated_pages, "codecs", codecs_json(stats), "buckets", buckets_json(c));
    if (tokenizer != NULL) {
        json_object_set_new(root, "text",
                            json_pack("{s:s, s:I, s:I, s:I, s:f}", "tokenizer", tokenizer, "pages",
                                      (json_int_t)stats->text_pages, "tokens",
                                      (json_int_t)stats->text_tokens, "visual_tokens",
                                      (json_int_t)stats->visual_tokens, "per_visual_token",
                                      share((double)stats->text_tokens, stats->visual_tokens)));
    }
    if (all_codecs(stats).pages > 0) {
        json_object_set_new(root, "readback", readback_json(stats));
    }
    return root;
}

/* ---- As a table ------------------------------------------------------------------------- */

static void print_fidelity(const struct store_stats *stats, const char *tokenizer) {
    struct stats_readback all = all_codecs(stats);
    if (tokenizer != NULL && stats->text_pages > 0) {
        printf("text tokens %9" PRId64 "  of %s, %.2f a visual token", stats->text_tokens,
               tokenizer, share((double)stats->text_tokens, stats->visual_tokens));
        if (stats->text_pages < stats->counts.pages) {
            printf(", on the %" PRId64 " of %" PRId64 " pages whose text is there",
                   stats->text_pages, stats->counts.pages);
        }
        printf("\n");
    }
    if (all.pages > 0) {
        printf("read back %10.2f%%  of the text when it was encoded, mean of %" PRId64 " pages\n",
               100 * share(all.accuracy, all.pages), all.pages);
    }
}

static void print_codecs(const struct store_stats *stats) {
    const struct store_counts *c = &stats->counts;
    for (int i = 0; i < CODEC_COUNT; i++) {
        const struct stats_readback *read = &stats->readback[i];
        if (c->codec_pages[i] == 0) {
            continue;
        }
        printf("%-8s %12" PRId64 "  bytes, %" PRId64 " pages", CODEC_NAMES[i], c->payload_bytes[i],
               c->codec_pages[i]);
        if (read->pages > 0) {
            printf(", %.2f%% read back", 100 * share(read->accuracy, read->pages));
        }
        printf("\n");
    }
}

void store_stats_print(const struct store_stats *stats, const char *tokenizer) {
    const struct store_counts *c = &stats->counts;
    printf("accounts %12" PRId64 "\nsamples  %12" PRId64 "\npages    %12" PRId64
           "\ntokens   %12" PRId64 "\n",
           c->accounts, c->samples, c->pages, c->tokens);
    printf("characters %10" PRId64 "  %.2f a token\n", c->characters,
           share((double)c->characters, c->tokens));
    print_fidelity(stats, tokenizer);
    printf("folded   %12" PRId64 "  pages, into style tokens\n", c->folded_pages);
    if (c->pinned_pages > 0) {
        printf("pinned   %12" PRId64 "  pages\n", c->pinned_pages);
    }
    if (c->undated_pages > 0) {
        printf("undated  %12" PRId64 "  pages, which never age\n", c->undated_pages);
    }
    print_codecs(stats);
    printf("json     %12" PRId64 "  bytes\ntext     %12" PRId64 "  bytes\n", c->json_bytes,
           c->text_bytes);
    printf("file     %12" PRId64 "  bytes, %" PRId64 " in use\n", c->file_bytes, c->used_bytes);
    printf("\nbucket      pages     tokens      bytes\n");
    for (int i = 0; i < STORE_BUCKETS; i++) {
        if (c->bucket_pages[i] > 0) {
            printf("%6d %10" PRId64 " %10" PRId64 " %10" PRId64 "\n", i, c->bucket_pages[i],
                   c->bucket_tokens[i], c->bucket_bytes[i]);
        }
    }
    printf("%s", stats->worst_count > 0 ? "\nread back worst\n" : "");
    for (int i = 0; i < stats->worst_count; i++) {
        printf("%6.2f%%  %s page %d\n", 100 * stats->worst[i].accuracy, stats->worst[i].key,
               stats->worst[i].page);
    }
}
