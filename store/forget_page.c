/* forget_page.c - one page made smaller, with its facts kept, or folded. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/facts.h"
#include "store/forget_state.h"
#include "store/nest.h"

const struct forget_operator FORGET_NEST = {.shrunk_by = SHRINK_NEST};

/* ---- Tokens ----------------------------------------------------------------------------- */

static int64_t token_count(const struct token_header *h) {
    return (int64_t)h->rows * h->columns;
}

static bool is_made_by(const struct token_header *h, enum shrink how) {
    return h->bucket > 0 && h->shrunk_by == how;
}

static int bad_grid(const struct token_header *h, struct error *e) {
    return error_set(e, ERR_FORMAT, "%dx%d tokens are not those of bucket %d of a page of %dx%d",
                     h->rows, h->columns, h->bucket, h->full_rows, h->full_columns);
}

/* Nested tokens say which cells they hold by their number alone. */
static int check_grid(const struct token_header *h, struct error *e) {
    int64_t cells = (int64_t)h->full_rows * h->full_columns;
    bool fits = h->bucket == 0 ? cells == token_count(h)
                               : h->shrunk_by != SHRINK_NEST ||
                                     (h->bucket <= NEST_LEVELS && h->dim % (1 << h->bucket) == 0 &&
                                      nest_count(cells, h->bucket) == token_count(h));
    return fits ? 0 : bad_grid(h, e);
}

/* The tokens of a page, in f->tokens, and its facts; f->shrunk has room for as many tokens. */
static int load(struct forget *f, const struct token_record *page, struct error *e) {
    struct token_record record;
    const struct token_header *h = &record.header;
    int rc = store_get_page(f->s, page->key, page->page, &record, e);
    if (rc == 0) {
        rc = error_set(e, ERR_FORMAT, "has no journal entry: occ store verify");
    }
    rc = rc > 0 && check_grid(h, e) < 0 ? ERR_FORMAT : rc;
    int64_t rows = rc > 0 ? token_count(h) : 0;
    if (rc > 0) {
        rc = buffer_reserve(&f->tokens, (size_t)rows * h->dim, sizeof(float), e);
    }
    if (rc == 0) {
        rc = buffer_reserve(&f->shrunk, (size_t)rows * h->dim, sizeof(float), e);
    }
    if (rc == 0) {
        rc = codec_unpack(f->codec, f->tokens.data, h->codec, record.payload, h->payload, rows,
                          h->dim, e);
    }
    if (rc == 0) {
        bytes_clear(&f->facts);
        rc = bytes_append(&f->facts, record.facts, h->facts, e);
    }
    return rc < 0 ? error_context(e, "%s page %d", page->key, page->page) : 0;
}

/* ---- Smaller grids ------------------------------------------------------------------------ */

static bool nests(const struct forget *f) {
    return f->options->shrink != NULL && f->options->shrink->shrunk_by == SHRINK_NEST;
}

void forget_new_grid(const struct forget *f, const struct aging *page, int *rows, int *columns) {
    const struct token_header *h = &page->record.header;
    bool nest = nests(f) && !is_made_by(h, SHRINK_POOL); /* means stay means */
    bool from_full = nest || is_made_by(h, SHRINK_NEST);
    *rows = h->rows;
    *columns = h->columns;
    if (page->bucket == h->bucket) {
        return;
    }
    if (from_full) { /* the grid that is there was halved by another rule, or by this one */
        *rows = h->full_rows;
        *columns = h->full_columns;
    }
    if (nest) {
        nest_grid(rows, columns, page->bucket);
    } else {
        forget_grid(rows, columns, page->bucket - (from_full ? 0 : h->bucket));
    }
}

/* Means of means, where the page is means already. */
static bool pool(struct forget *f, const struct aging *page) {
    const struct token_header *h = &page->record.header;
    int rows = h->rows, columns = h->columns;
    if (f->options->shrink != NULL && !is_made_by(h, SHRINK_POOL)) {
        return false;
    }
    memcpy(f->shrunk.data, f->tokens.data, (size_t)token_count(h) * h->dim * sizeof(float));
    for (int step = h->bucket; step < page->bucket; step++) {
        forget_pool(f->shrunk.data, &rows, &columns, h->dim);
    }
    return true;
}

static int nest(struct forget *f, const struct aging *page, struct error *e) {
    const struct token_header *h = &page->record.header;
    int64_t count = token_count(h);
    int rc = 0;
    if (h->bucket > 0 && h->shrunk_by != SHRINK_NEST) {
        return 0;
    }
    memcpy(f->shrunk.data, f->tokens.data, (size_t)count * h->dim * sizeof(float));
    for (int k = h->bucket; k < page->bucket && rc == 0; k++) {
        rc = nest_halve(f->shrunk.data, &count, h->dim, k, e);
    }
    return rc < 0 ? error_context(e, "%s page %d", page->record.key, page->record.page) : 1;
}

/* The tokens of the smaller grid, in f->shrunk, and what made them: 1; 0: they cannot be made. */
static int make_smaller(struct forget *f, const struct aging *page, int rows, int columns,
                        uint8_t *shrunk_by, struct error *e) {
    const struct forget_operator *op = f->options->shrink;
    int done = op == NULL ? 0
               : nests(f) ? nest(f, page, e)
                          : op->shrink(op->context, &page->record, f->tokens.data, rows, columns,
                                       f->shrunk.data, e);
    if (done != 0) {
        *shrunk_by = (uint8_t)op->shrunk_by;
        return done;
    }
    *shrunk_by = SHRINK_POOL;
    f->result->unshrinkable += op != NULL;
    return pool(f, page);
}

/* ---- Facts -------------------------------------------------------------------------------- */

/* The text of a page, *text; NULL: the store has none. ERR_FORMAT: it is damaged. */
static int page_text(struct forget *f, const struct token_record *page, const char **text,
                     size_t *size, struct error *e) {
    int rc = 0;
    *text = NULL;
    if (strcmp(f->text_key, page->key) != 0) {
        bytes_clear(&f->text);
        rc = store_get_text(f->s, page->key, &f->text, e);
        if (rc != 1) {
            bytes_clear(&f->text);
        }
        if (rc >= 0) { /* else the next page is told, too */
            memcpy(f->text_key, page->key, sizeof f->text_key);
        }
    }
    if (f->text.size > 0) {
        *text = store_text_page(bytes_text(&f->text), f->text.size, page->page, size);
    }
    return rc < 0 ? rc : 0;
}

/* In f->facts; those of before stay. */
static int find_facts(struct forget *f, const struct token_record *page, struct error *e) {
    struct forget_result *r = f->result;
    struct facts_found found = {.facts = 0};
    size_t size = 0;
    if (!f->options->facts || f->facts.size > 0) {
        return 0;
    }
    const char *text;
    int rc = page_text(f, page, &text, &size, e);
    if (rc < 0 && rc != ERR_FORMAT) {
        return rc;
    }
    if (text == NULL) {
        r->factless++;
        r->damaged_texts += rc == ERR_FORMAT;
        return 0;
    }
    rc = facts_find(&f->facts, text, size, facts_limit(size), &found, e);
    r->facts += (int64_t)found.facts;
    r->facts_bytes += (int64_t)found.bytes;
    r->facts_text += (int64_t)size;
    r->facts_left_out += (int64_t)found.left_out;
    r->facts_cut += found.left_out > 0;
    return rc;
}

/* ---- Pages --------------------------------------------------------------------------------- */

static int put_smaller(struct forget *f, const struct aging *page, struct token_header *header,
                       int rows, int columns, struct error *e) {
    bytes_clear(&f->payload);
    int rc = codec_pack(f->codec, &f->payload, header->codec, f->shrunk.data,
                        (int64_t)rows * columns, header->dim, NULL, e);
    if (rc == 0) {
        rc = find_facts(f, &page->record, e);
    }
    if (rc < 0) {
        return rc;
    }
    header->rows = (uint16_t)rows;
    header->columns = (uint16_t)columns;
    header->bucket = (uint8_t)page->bucket;
    f->result->bytes_after += (int64_t)f->payload.size - header->payload;
    return store_put_tokens(f->s, &page->record, header, f->payload.data, f->payload.size,
                            &f->facts, e);
}

int forget_shrink(struct forget *f, struct aging *page, struct error *e) {
    struct token_header header = page->record.header;
    int rows, columns;
    forget_new_grid(f, page, &rows, &columns);
    int rc = load(f, &page->record, e);
    if (rc == 0 && (int64_t)rows * columns > token_count(&header)) {
        bad_grid(&header, e);
        rc = error_context(e, "%s page %d", page->record.key, page->record.page);
    }
    if (rc == 0) {
        rc = make_smaller(f, page, rows, columns, &header.shrunk_by, e);
    }
    if (rc <= 0) {
        page->bucket = header.bucket;
        f->result->left += rc == 0;
        return rc;
    }
    return put_smaller(f, page, &header, rows, columns, e);
}

/* Adds up the numbers of all cells; nested tokens have but the first of each. */
static void sum_tokens(double *sum, const float *tokens, const struct token_header *h,
                       double share) {
    int k = is_made_by(h, SHRINK_NEST) ? h->bucket : 0;
    int64_t kept = h->dim >> k;
    int64_t cells = k > 0 ? (int64_t)h->full_rows * h->full_columns : token_count(h);
    for (int64_t d = 0; d < kept; d++) {
        double of_page = 0;
        for (int64_t c = 0; c < cells; c++) { /* cells lie side by side, in tokens or alone */
            of_page += (double)tokens[c * kept + d];
        }
        sum[d] += share * of_page / (double)cells;
    }
}

static int add_to_style(struct forget *f, const struct aging *page, struct error *e) {
    const struct token_header *h = &page->record.header;
    int rc = load(f, &page->record, e);
    if (rc == 0 && f->sum == NULL) {
        f->sum = calloc(h->dim, sizeof *f->sum);
        rc = f->sum != NULL ? 0 : error_memory(e, NULL);
    }
    if (rc < 0) {
        return rc;
    }
    sum_tokens(f->sum, f->tokens.data, h, page->share);
    f->account.dim = h->dim;
    f->account.folded_pages++;
    f->account.repeated += 1 - page->share;
    f->account.folded_characters += llround(page->share * h->characters);
    return 0;
}

int forget_fold(struct forget *f, const struct aging *page, struct error *e) {
    const struct token_header *h = &page->record.header;
    int rc = page->share > 0 ? add_to_style(f, page, e) : 0;
    f->result->bytes_after -= h->payload;
    f->result->removed_bytes += h->payload + h->facts;
    return rc == 0 ? store_remove_tokens(f->s, &page->record, e) : rc;
}
