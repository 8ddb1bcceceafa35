/* stats_table.c - see stats_table.h. */
#include "cli/stats_table.h"

#include <inttypes.h>
#include <stdio.h>

static double share(double sum, int64_t count) {
    return count > 0 ? sum / (double)count : 0;
}

static void print_fidelity(const struct store_stats *stats, const char *tokenizer) {
    struct stats_readback all = stats_readback_all(stats);
    if (tokenizer != NULL && stats->text_pages > 0) {
        printf("text tokens %9" PRId64 "  of %s, %.2f per visual token", stats->text_tokens,
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

void stats_table_print(const struct store_stats *stats, const char *tokenizer) {
    const struct store_counts *c = &stats->counts;
    printf("accounts %12" PRId64 "\nsamples  %12" PRId64 "\npages    %12" PRId64
           "\ntokens   %12" PRId64 "\n",
           c->accounts, c->samples, c->pages, c->tokens);
    printf("characters %10" PRId64 "  %.2f per token\n", c->characters,
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
    if (c->facts_bytes > 0) {
        printf("facts    %12" PRId64 "  bytes, of pages that were forgotten in part\n",
               c->facts_bytes);
    }
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
