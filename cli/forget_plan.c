/* forget_plan.c - see forget_plan.h. */
#include "cli/forget_plan.h"

#include <inttypes.h>
#include <stdio.h>

/* A share of what is measured, or a dash. */
static void print_share(double sum, int64_t measured) {
    if (measured > 0) {
        printf(" %8.1f%%", 100 * sum / (double)measured);
    } else {
        printf(" %9s", "-");
    }
}

static void print_buckets(const struct forget_result *r) {
    printf("bucket     before      after     tokens      bytes     words   numbers\n");
    for (int i = 0; i < STORE_BUCKETS; i++) {
        const struct forget_counts *was = &r->before[i], *is = &r->after[i];
        if (was->pages == 0 && is->pages == 0) {
            continue;
        }
        printf("%6d %10" PRId64 " %10" PRId64 " %10" PRId64 " %10" PRId64, i, was->pages, is->pages,
               is->tokens, is->bytes);
        print_share(is->words, is->measured);
        print_share(is->numbers, is->measured);
        printf("\n");
    }
    printf("folded %21" PRId64 "\n", r->folded);
}

static void print_expected(const char *what, double before, double after, int64_t measured) {
    printf("%s %9.1f%% before, %.1f%% after, as pages like these are read on average\n", what,
           100 * before / (double)measured, 100 * after / (double)measured);
}

/* Folded pages count as lost. */
static void print_fidelity(const struct forget_result *r, bool facts) {
    if (r->measured == 0) {
        printf("words and numbers: not measured\n");
        return;
    }
    print_expected("words  ", r->words_before, r->words_after, r->measured);
    print_expected("numbers", r->numbers_before, r->numbers_after, r->measured);
    if (facts && r->shrunk > 0) {
        printf("%18s numbers, dates, handles and links of pages that shrink are kept as text\n",
               "");
    }
    if (r->measured < r->characters) {
        printf("not measured: pages with %.1f%% of the characters\n",
               100 - 100 * (double)r->measured / (double)r->characters);
    }
}

static void print_held(const struct forget_result *r, const struct forget_options *o) {
    if (r->held_levels > 0) {
        printf("held %12" PRId64
               " pages in bucket %d: the encoder learned no further halving; past "
               "bucket %" PRId64 " they are folded\n",
               r->held_levels, r->levels, o->buckets);
    }
    if (r->held_profile > 0) {
        printf("held %12" PRId64 " pages of a profile that the encoder did not learn to merge "
               "(%.*s)\n",
               r->held_profile, TOKEN_PROFILE, r->held_name);
    }
    if (r->held_means > 0) {
        printf("held %12" PRId64 " pages of nested tokens, which have no means\n", r->held_means);
    }
}

int forget_plan_print(const struct forget_result *r, const struct forget_options *o,
                      struct error *e) {
    print_buckets(r);
    printf("tokens %10" PRId64 " before, %" PRId64 " after\n", r->tokens_before, r->tokens_after);
    printf("bytes  %10" PRId64 " before, about %" PRId64 " after\n", r->bytes_before,
           r->bytes_after);
    print_fidelity(r, o->facts);
    print_held(r, o);
    if (r->undated > 0) {
        printf("undated %9" PRId64 " pages, which never age\n", r->undated);
    }
    return fflush(stdout) == 0 ? 0 : error_set(e, ERR_IO, "standard output: cannot be written");
}
