/* forget_cost.c - what a pass costs: pages, tokens and bytes by bucket, and what can be read. */
#include "store/forget_state.h"

/* A page, before or after. */
struct state {
    int bucket, how; /* enum shrink */
    int64_t tokens, bytes;
    struct expected expected;
    bool measured;
};

/* Fills what is expected: the table is of pages that were merged. */
static void expect(const struct forget *f, const struct token_header *h, struct state *s) {
    bool merged = s->bucket == 0 || s->how == SHRINK_MERGE || s->how == SHRINK_NEST;
    s->measured = merged && h->characters > 0 &&
                  learned_expects(&f->learned, h->profile, s->bucket, &s->expected);
}

static void add(struct forget_counts *c, const struct state *s, int64_t characters) {
    c->pages++;
    c->tokens += s->tokens;
    c->bytes += s->bytes;
    if (s->measured) {
        c->measured += characters;
        c->words += s->expected.words * (double)characters;
        c->numbers += s->expected.numbers * (double)characters;
    }
}

/* `after`: NULL for a page that is folded, of which nothing can be read. */
static void add_expected(struct forget_result *r, const struct state *before,
                         const struct state *after, int64_t characters) {
    r->characters += characters;
    if (!before->measured || (after != NULL && !after->measured)) {
        return;
    }
    r->measured += characters;
    r->words_before += before->expected.words * (double)characters;
    r->numbers_before += before->expected.numbers * (double)characters;
    if (after != NULL) {
        r->words_after += after->expected.words * (double)characters;
        r->numbers_after += after->expected.numbers * (double)characters;
    }
}

/* Means stay means, and a page that stays is what it was. */
static int made_by(const struct forget *f, const struct aging *page) {
    const struct token_header *h = &page->record.header;
    const struct forget_operator *op = f->options->shrink;
    bool means = h->bucket > 0 && h->shrunk_by == SHRINK_POOL;
    return page->bucket == h->bucket || means ? h->shrunk_by
           : op != NULL                       ? (int)op->shrunk_by
                                              : SHRINK_POOL;
}

void forget_count(struct forget *f, const struct aging *page) {
    struct forget_result *r = f->result;
    const struct token_header *h = &page->record.header;
    struct state before = {.bucket = h->bucket,
                           .how = h->shrunk_by,
                           .tokens = (int64_t)h->rows * h->columns,
                           .bytes = h->payload};
    expect(f, h, &before);
    add(&r->before[h->bucket], &before, h->characters);
    r->pages++;
    r->tokens_before += before.tokens;
    r->bytes_before += h->payload;
    r->bytes_after += f->options->dry_run ? 0 : h->payload; /* less what was saved */
    if (page->bucket == STORE_BUCKETS) {
        r->folded++;
        add_expected(r, &before, NULL, h->characters);
        return;
    }
    struct state after = {.bucket = page->bucket, .how = made_by(f, page)};
    int rows, columns;
    forget_new_grid(f, page, &rows, &columns);
    after.tokens = (int64_t)rows * columns;
    after.bytes = h->payload * after.tokens / before.tokens;
    expect(f, h, &after);
    add(&r->after[page->bucket], &after, h->characters);
    add_expected(r, &before, &after, h->characters);
    r->shrunk += page->bucket > h->bucket;
    r->tokens_after += after.tokens;
    r->bytes_after += f->options->dry_run ? after.bytes : 0;
}
