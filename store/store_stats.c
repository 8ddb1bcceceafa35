/* store_stats.c - see store_stats.h. */
#include "store/store_stats.h"

#include <string.h>

/* ---- Counting ------------------------------------------------------------------------ */

struct counting {
    struct store_stats *stats;
    struct store *s;
    const struct stats_tokens *tokens; /* NULL: no text tokens */
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
    rc = c->tokens->count(c->tokens->context, text, size, &tokens, e);
    c->stats->text_pages++;
    c->stats->text_tokens += (int64_t)tokens;
    c->stats->visual_tokens += (int64_t)record->header.rows * record->header.columns;
    return rc;
}

static int count_record(void *context, const struct token_record *record, struct error *e) {
    struct counting *c = context;
    note_accuracy(c->stats, record);
    return c->tokens != NULL ? count_text(c, record, e) : 0;
}

int store_stats(struct store_stats *stats, struct store *s, const struct stats_tokens *tokens,
                struct error *e) {
    struct counting c = {.stats = stats, .s = s, .tokens = tokens};
    *stats = (struct store_stats){.text_pages = 0};
    bytes_init(&c.text, (size_t)256 << 20);
    int rc = store_count(s, &stats->counts, e);
    if (rc == 0) {
        rc = store_each(s, NULL, count_record, &c, e);
    }
    bytes_close(&c.text);
    return rc;
}

struct stats_readback stats_readback_all(const struct store_stats *stats) {
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

/* ---- As JSON ------------------------------------------------------------------------- */

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
    struct stats_readback all = stats_readback_all(stats);
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
        "{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}",
        "accounts", (json_int_t)c->accounts, "samples", (json_int_t)c->samples, "pages",
        (json_int_t)c->pages, "tokens", (json_int_t)c->tokens, "characters",
        (json_int_t)c->characters, "characters_per_token", share((double)c->characters, c->tokens),
        "json_bytes", (json_int_t)c->json_bytes, "text_bytes", (json_int_t)c->text_bytes,
        "facts_bytes", (json_int_t)c->facts_bytes, "used_bytes", (json_int_t)c->used_bytes,
        "file_bytes", (json_int_t)c->file_bytes, "folded_pages", (json_int_t)c->folded_pages,
        "pinned_pages", (json_int_t)c->pinned_pages, "undated_pages", (json_int_t)c->undated_pages,
        "codecs", codecs_json(stats), "buckets", buckets_json(c));
    if (tokenizer != NULL) {
        json_object_set_new(root, "text",
                            json_pack("{s:s, s:I, s:I, s:I, s:f}", "tokenizer", tokenizer, "pages",
                                      (json_int_t)stats->text_pages, "tokens",
                                      (json_int_t)stats->text_tokens, "visual_tokens",
                                      (json_int_t)stats->visual_tokens, "per_visual_token",
                                      share((double)stats->text_tokens, stats->visual_tokens)));
    }
    if (stats_readback_all(stats).pages > 0) {
        json_object_set_new(root, "readback", readback_json(stats));
    }
    return root;
}
