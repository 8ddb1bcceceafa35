/* corpus.c - see corpus.h: documents are gathered, split, packed, and given out by number. */
#include "train/corpus/corpus.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "store/array.h"
#include "store/date.h"
#include "store/random.h"
#include "store/stream.h"
#include "train/corpus/corpus_parts.h"
#include "train/decoder/begin.h"

struct corpus {
    struct corpus_rows sets[CORPUS_SETS];
    uint64_t seed, hash;
};

/* ---- Documents ------------------------------------------------------------------------- */

int corpus_cancelled(const struct corpus_builder *b, struct error *e) {
    return b->cancel != NULL && *b->cancel ? error_set(e, ERR_CANCELLED, "stopped") : 0;
}

int corpus_post_begin(struct corpus_builder *b, const char *account, int64_t created,
                      struct error *e) {
    size_t number = 0;
    struct corpus_post *posts =
        array_grow(b->posts, &b->post_capacity, b->post_count + 1, sizeof *posts, e);
    if (posts == NULL) {
        return ERR_MEMORY;
    }
    b->posts = posts;
    int rc = table_add(b->accounts, account, table_count(b->accounts), &number, e);
    b->posts[b->post_count] = (struct corpus_post){
        .account = number, .created = created, .first = b->document_count, .place = b->post_count};
    b->post_count += rc >= 0;
    return rc < 0 ? rc : 0;
}

void corpus_post_end(struct corpus_builder *b) {
    struct corpus_post *post = &b->posts[b->post_count - 1];
    post->count = b->document_count - post->first;
    b->post_count -= post->count == 0;
}

static int add_text(struct corpus_builder *b, const char *text, size_t size, bool target,
                    enum tokenizer_special special, struct error *e) {
    size_t before = b->tokens.count;
    int rc = tokenizer_encode(b->state, text, size, special, &b->tokens, e);
    for (size_t i = before; rc == 0 && i < b->tokens.count && target; i++) {
        b->tokens.ids[i] |= CORPUS_TARGET;
    }
    return rc;
}

/* Of what came since token `first`; `targets`: there is something to be learned. */
static int end_document(struct corpus_builder *b, size_t first, bool targets, struct error *e) {
    struct corpus_document *documents = array_grow(b->documents, &b->document_capacity,
                                                   b->document_count + 1, sizeof *documents, e);
    if (documents == NULL) {
        return ERR_MEMORY;
    }
    b->documents = documents;
    if (!targets) {
        b->tokens.count = first;
        b->empty++;
        return 0;
    }
    b->documents[b->document_count++] =
        (struct corpus_document){.first = first, .count = b->tokens.count - first};
    return 0;
}

int corpus_document(struct corpus_builder *b, const struct corpus_text *texts, size_t count,
                    struct error *e) {
    size_t first = b->tokens.count;
    bool targets = false;
    int rc = b->begin >= 0 ? token_list_append(&b->tokens, &b->begin, 1, e) : 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t before = b->tokens.count;
        rc = add_text(b, texts[i].text, texts[i].size, texts[i].target || b->options->prompts,
                      TOKENIZER_ORDINARY, e);
        targets = targets || (texts[i].target && b->tokens.count > before);
    }
    if (rc == 0 && b->end >= 0) {
        rc = token_list_append(&b->tokens, &(int32_t){b->end | CORPUS_TARGET}, 1, e);
    }
    return rc == 0 ? end_document(b, first, targets, e) : rc;
}

int corpus_conversation(struct corpus_builder *b, const json_t *conversation, struct error *e) {
    struct chat_parts parts = {0};
    struct bytes text;
    size_t first = b->tokens.count, at = 0;
    bool targets = false;
    bytes_init(&text, TOKENIZER_FILE_LIMIT);
    int rc = b->chat == NULL ? chat_open(&b->chat, b->options->model, e) : 0;
    if (rc == 0) {
        enum date_kind kind;
        const struct chat_input in = {.conversation = conversation,
                                      .now = date_created(conversation, &kind)};
        rc = chat_render_parts(b->chat, &in, &text, &parts, e);
    }
    /* Each part by itself: so an answer has the tokens that it has where it is generated. */
    for (size_t i = 0; rc == 0 && i < parts.count; i++) {
        const struct chat_part *part = &parts.items[i];
        rc = add_text(b, bytes_text(&text) + at, part->start - at, b->options->prompts,
                      TOKENIZER_ADDED, e);
        if (rc == 0) {
            rc = add_text(b, bytes_text(&text) + part->start, part->end - part->start, true,
                          TOKENIZER_ADDED, e);
        }
        targets = targets || part->end > part->start;
        at = part->end;
    }
    /* What follows the last answer is no beginning of anything that is learned, but for prompts. */
    if (rc == 0 && b->options->prompts) {
        rc = add_text(b, bytes_text(&text) + at, text.size - at, true, TOKENIZER_ADDED, e);
    }
    chat_parts_close(&parts);
    bytes_close(&text);
    return rc == 0 ? end_document(b, first, targets, e) : rc;
}

/* ---- The split -------------------------------------------------------------------------- */

static int compare_posts(const void *left, const void *right) {
    const struct corpus_post *a = left, *b = right;
    if (a->account != b->account) {
        return a->account < b->account ? -1 : 1;
    }
    if (a->created != b->created) {
        return a->created < b->created ? -1 : 1;
    }
    return (a->place > b->place) - (a->place < b->place);
}

/* The newest `count` of the posts before `end` are held out. */
static void hold_out(struct corpus_builder *b, size_t end, size_t count) {
    for (size_t i = end - count; i < end; i++) {
        b->posts[i].held_out = true;
    }
}

/* What an account's share is off a whole number is carried on to the next, so that many small
 * accounts together hold out what they should; what an account has too few posts for is not, as
 * another would pay for it. Something of each account is learned; and where anything is to be held
 * out, something is: of the account with the most posts. */
void corpus_split(struct corpus_builder *b) {
    double part = 0.5;
    size_t held = 0, most = 0, most_end = 0;
    if (b->post_count == 0 || !(b->options->held_out > 0)) {
        return;
    }
    qsort(b->posts, b->post_count, sizeof *b->posts, compare_posts);
    for (size_t i = 0, end; i < b->post_count; i = end) {
        for (end = i + 1; end < b->post_count && b->posts[end].account == b->posts[i].account;) {
            end++;
        }
        size_t posts = end - i;
        double share = b->options->held_out * (double)posts + part;
        size_t count = (size_t)share; /* of at most all of them */
        part = share - (double)count;
        count = count < posts ? count : posts - 1;
        hold_out(b, end, count);
        held += count;
        most_end = posts > most ? end : most_end;
        most = posts > most ? posts : most;
    }
    if (held == 0 && most > 1) {
        hold_out(b, most_end, 1);
    }
}

/* ---- Opening ---------------------------------------------------------------------------- */

static int read_path(struct corpus_builder *b, char *const *path, struct error *e) {
    struct stat status;
    if (stat(*path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return corpus_read_store(b, *path, e);
    }
    return stream_recognise(*path) ? corpus_read_stream(b, path, 1, e)
                                   : corpus_read_lines(b, *path, e);
}

int corpus_builder_open(struct corpus_builder *b, struct error *e) {
    int rc = tokenizer_state_open(&b->state, b->options->model->tokenizer, e);
    if (rc == 0) {
        rc = decoder_begin(b->options->model, &b->begin, e);
    }
    if (rc == 0) {
        rc = table_open(&b->accounts, e);
    }
    return rc == 0 ? table_open(&b->clips, e) : rc;
}

void corpus_builder_close(struct corpus_builder *b) {
    tokenizer_state_close(b->state);
    chat_close(b->chat);
    token_list_close(&b->tokens);
    free(b->documents);
    free(b->posts);
    table_close(b->accounts);
    table_close(b->clips);
}

static uint64_t hash_rows(const struct corpus_rows *r, uint64_t hash) {
    const struct corpus_counts *n = &r->counts;
    hash = XXH3_64bits_withSeed(r->ids, (size_t)n->tokens * sizeof *r->ids, hash);
    hash = XXH3_64bits_withSeed(r->labels, (size_t)n->tokens * sizeof *r->labels, hash);
    hash = XXH3_64bits_withSeed(r->positions, (size_t)n->tokens * sizeof *r->positions, hash);
    for (int64_t i = 0; i < n->rows; i++) {
        const int32_t sizes[] = {r->places[i].tokens, r->places[i].sequences};
        hash = XXH3_64bits_withSeed(sizes, sizeof sizes, hash);
    }
    return hash;
}

static int make_rows(struct corpus *c, struct corpus_builder *b, struct error *e) {
    int rc = 0;
    corpus_split(b);
    c->seed = c->hash = b->options->seed;
    for (int i = 0; i < CORPUS_SETS && rc == 0; i++) {
        rc = corpus_rows_make(&c->sets[i], b, (enum corpus_set)i, e);
        c->hash = rc == 0 ? hash_rows(&c->sets[i], c->hash) : 0;
        c->sets[i].counts.accounts = (int64_t)table_count(b->accounts);
        c->sets[i].counts.empty = b->empty;
    }
    return rc;
}

int corpus_open(struct corpus **out, const struct corpus_options *o, char *const *paths, int count,
                const volatile sig_atomic_t *cancel, struct error *e) {
    struct corpus_builder b = {.options = o, .cancel = cancel, .end = o->model->config.ends[0]};
    *out = NULL;
    if (o->context < 1 || o->context > CORPUS_CONTEXT || !(o->held_out >= 0 && o->held_out < 1)) {
        return error_set(e, ERR_USAGE, "rows have 1 to %d tokens, and less than all is held out",
                         CORPUS_CONTEXT);
    }
    struct corpus *c = calloc(1, sizeof *c);
    int rc = c != NULL ? corpus_builder_open(&b, e) : error_memory(e, NULL);
    for (int i = 0; i < count && rc == 0; i++) {
        rc = read_path(&b, paths + i, e);
    }
    rc = rc == 0 ? make_rows(c, &b, e) : rc;
    corpus_builder_close(&b);
    if (rc < 0) {
        corpus_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

void corpus_close(struct corpus *c) {
    for (int i = 0; i < CORPUS_SETS && c != NULL; i++) {
        corpus_rows_close(&c->sets[i]);
    }
    free(c);
}

/* ---- What is asked for ------------------------------------------------------------------ */

struct corpus_counts corpus_counts(const struct corpus *c, enum corpus_set set) {
    return c->sets[set].counts;
}

uint64_t corpus_hash(const struct corpus *c) {
    return c->hash;
}

struct corpus_row corpus_row(const struct corpus *c, enum corpus_set set, int64_t epoch,
                             int64_t index) {
    const struct corpus_rows *r = &c->sets[set];
    if (set == CORPUS_TRAINING) {
        index = random_place(index, r->counts.rows, random_stream(c->seed, (uint64_t)epoch));
    }
    const struct corpus_place *p = &r->places[index];
    return (struct corpus_row){.ids = r->ids + p->first,
                               .labels = r->labels + p->first,
                               .positions = r->positions + p->first,
                               .offsets = r->offsets + p->offsets,
                               .tokens = p->tokens,
                               .sequences = p->sequences,
                               .targets = p->targets};
}
