/* posts.c - see posts.h. */
#include "train/paper/posts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/json.h"
#include "train/paper/ranker.h"

enum { RANKED = 8, LEAST_RANKED = 100 }; /* texts for one of others; older posts */

/* Both older and held-out posts. */
struct writer {
    const struct history_account *account;
    bool *held; /* (post_count) */
    size_t older, later;
};
struct paper_posts {
    struct paper_posts_options o;
    struct history *history;
    struct writer *writers; /* writer_count, sorted by name */
    size_t writer_count;
    struct style *style;
    struct style_text *later; /* held-out texts */
    size_t later_count, later_capacity;
    struct ranker *ranker; /* of writer `ranked`; NULL: of none */
    size_t ranked;
    struct interval correlation;
    double *real; /* scores of its held-out captions */
    size_t real_count;
};

/* What a post has of text: its caption, else its script. */
static const char *text_of(const struct history_post *post, size_t *size) {
    *size = post->caption_size > 0 ? post->caption_size : post->script_size;
    return post->caption_size > 0 ? post->caption : post->script;
}

/* ---- Which posts are held out -----------------------------------------------------------------
 */

static int mark(struct paper_posts *p, const struct layout *l, bool **held, struct error *e) {
    const int64_t rows = layout_counts(l, CORPUS_HELD_OUT).rows;
    int rc = 0;
    for (int64_t i = 0; i < rows && rc == 0; i++) {
        const struct history_account *account;
        const struct history_post *post;
        layout_target(l, CORPUS_HELD_OUT, 0, i, &account, &post);
        const size_t number = history_number(p->history, account);
        if (held[number] == NULL) {
            held[number] = calloc(account->post_count + 1, sizeof **held);
        }
        if (held[number] == NULL) {
            rc = error_memory(e, NULL);
        } else {
            held[number][post - account->posts] = true;
        }
    }
    return rc;
}

/* Takes over the marks of accounts that have both kinds of posts, and sets them to NULL. */
static void list_writers(struct paper_posts *p, bool **held) {
    for (size_t i = 0; i < history_count(p->history); i++) {
        struct writer w = {.account = history_get(p->history, i), .held = held[i]};
        for (size_t k = 0; k < w.account->post_count && w.held != NULL; k++) {
            size_t size;
            text_of(&w.account->posts[k], &size);
            w.later += w.held[k] && size > 0;
            w.older += !w.held[k] && size > 0;
        }
        if (w.later > 0 && w.older > 0) {
            p->writers[p->writer_count++] = w;
            held[i] = NULL;
        }
    }
}

static int find_writers(struct paper_posts *p, const volatile sig_atomic_t *cancel,
                        struct error *e) {
    const struct layout_options options = {.model = p->o.model,
                                           .kind = CONTEXT_NONE,
                                           .positions = p->o.positions,
                                           .row = p->o.row,
                                           .expand = 1,
                                           .held_out = p->o.held_out};
    const size_t count = history_count(p->history);
    struct layout *l = NULL;
    bool **held = calloc(count + 1, sizeof *held);
    p->writers = calloc(count + 1, sizeof *p->writers);
    int rc = held != NULL && p->writers != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = layout_open(&l, &options, p->history, cancel, e);
    }
    if (rc == 0) {
        rc = mark(p, l, held, e);
    }
    if (rc == 0) {
        list_writers(p, held);
        rc = p->writer_count >= 2
                 ? 0
                 : error_set(e, ERR_FORMAT,
                             "%s: fewer than two accounts have both older and held-out posts with "
                             "text",
                             p->o.store);
    }
    for (size_t i = 0; i < count && held != NULL; i++) {
        free(held[i]);
    }
    free(held);
    layout_close(l);
    return rc;
}

/* ---- Style ----------------------------------------------------------------------------------- */

static int add_text(struct style_text **list, size_t *count, size_t *capacity, size_t writer,
                    const struct history_post *post, struct error *e) {
    struct style_text *texts = array_grow(*list, capacity, *count + 1, sizeof *texts, e);
    if (texts == NULL) {
        return ERR_MEMORY;
    }
    *list = texts;
    size_t size;
    const char *text = text_of(post, &size);
    if (size > 0) {
        texts[(*count)++] = (struct style_text){.writer = writer, .text = text, .size = size};
    }
    return 0;
}

static int learn_style(struct paper_posts *p, struct error *e) {
    struct style_text *older = NULL;
    size_t count = 0, capacity = 0;
    int rc = 0;
    for (size_t w = 0; w < p->writer_count && rc == 0; w++) {
        const struct writer *writer = &p->writers[w];
        for (size_t i = 0; i < writer->account->post_count && rc == 0; i++) {
            const struct history_post *post = &writer->account->posts[i];
            rc = writer->held[i]
                     ? add_text(&p->later, &p->later_count, &p->later_capacity, w, post, e)
                     : add_text(&older, &count, &capacity, w, post, e);
        }
    }
    if (rc == 0) {
        rc = style_open(&p->style, older, count, p->writer_count, e);
    }
    free(older);
    return rc;
}

int paper_posts_style(const struct paper_posts *p, const struct paper_text *texts, size_t count,
                      struct style_bounds *bounds, struct error *e) {
    struct style_text *written = calloc(count + 1, sizeof *written);
    if (written == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        written[i] = (struct style_text){
            .writer = texts[i].account, .text = texts[i].text, .size = texts[i].size};
    }
    const int rc = style_measure(p->style, written, count, p->later, p->later_count, bounds, e);
    free(written);
    return rc;
}

/* ---- Captions -------------------------------------------------------------------------------- */

/* How far a post went; NAN: its JSON does not say. */
static int read_reach(struct store *s, const char *key, const char *of, double *reach,
                      struct bytes *text, struct error *e) {
    bytes_clear(text);
    *reach = (double)NAN;
    const int there = store_get_json(s, key, text, e);
    if (there <= 0) {
        return there;
    }
    json_t *root = json_loadb((const char *)text->data, text->size, 0, NULL);
    const double value = json_get_real(json_object_get(root, "counts"), of, -1);
    *reach = value >= 0 ? value : *reach;
    json_decref(root);
    return 0;
}

/* Captions of a writer that have the count `of`: older ones first, as posts are in the order of
 * time. *older: how many. */
static int list_captions(const struct writer *w, struct store *s, const char *of,
                         struct ranker_post *out, size_t *count, size_t *older, struct error *e) {
    struct bytes text;
    int rc = 0;
    bytes_init(&text, STREAM_MEMBER_LIMIT);
    *count = *older = 0;
    for (size_t i = 0; i < w->account->post_count && rc == 0; i++) {
        const struct history_post *post = &w->account->posts[i];
        double reach = (double)NAN;
        if (post->caption_size > 0) {
            rc = read_reach(s, post->key, of, &reach, &text, e);
        }
        if (rc == 0 && isfinite(reach)) {
            *older += !w->held[i];
            out[(*count)++] = (struct ranker_post){
                .text = post->caption, .size = post->caption_size, .reach = reach};
        }
    }
    bytes_close(&text);
    return rc;
}

/* The ranker of the writer, if it has what that takes and more of it than another before. */
static int try_ranker(struct paper_posts *p, struct store *s, size_t w, const char *of,
                      size_t *most, struct error *e) {
    const struct writer *writer = &p->writers[w];
    struct ranker_post *captions = calloc(writer->account->post_count + 1, sizeof *captions);
    size_t count = 0, older = 0;
    int rc = captions != NULL ? list_captions(writer, s, of, captions, &count, &older, e)
                              : error_memory(e, NULL);
    if (rc < 0 || older < LEAST_RANKED || older <= *most || count == older) {
        free(captions);
        return rc;
    }
    ranker_close(p->ranker);
    free(p->real);
    p->ranker = NULL;
    p->real = calloc(count - older, sizeof *p->real);
    p->real_count = count - older;
    p->ranked = w;
    *most = older;
    rc = p->real != NULL ? ranker_test(&p->correlation, captions, count, older, e)
                         : error_memory(e, NULL);
    if (rc == 0) {
        rc = ranker_open(&p->ranker, captions, older, e);
    }
    if (rc == 0) {
        rc = ranker_score(p->ranker, captions + older, count - older, p->real, e);
    }
    free(captions);
    return rc;
}

static int learn_captions(struct paper_posts *p, struct error *e) {
    static const char *const COUNTS[] = {"shares", "likes"};
    struct store *s = NULL;
    size_t most = 0;
    int rc = store_open(&s, p->o.store, e);
    for (size_t w = 0; w < p->writer_count && rc == 0; w++) {
        for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS && rc == 0; i++) {
            rc = try_ranker(p, s, w, COUNTS[i], &most, e);
        }
    }
    store_close(s);
    return rc;
}

const char *paper_posts_ranked(const struct paper_posts *p, struct interval *correlation) {
    *correlation = p->correlation;
    return p->ranker != NULL ? p->writers[p->ranked].account->name : NULL;
}

int paper_posts_captions(const struct paper_posts *p, const struct paper_text *texts, size_t count,
                         double *out, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct ranker_post post = {.text = texts[i].text, .size = texts[i].size};
        double score;
        out[i] = (double)NAN;
        if (p->ranker != NULL && texts[i].account == p->ranked) {
            rc = ranker_score(p->ranker, &post, 1, &score, e);
            out[i] = rc == 0 ? ranker_percentile(score, p->real, p->real_count) : out[i];
        }
    }
    return rc;
}

/* ---- Prompts --------------------------------------------------------------------------------- */

static int add_prompt(struct bytes *out, const struct writer *w, const struct history_post *post,
                      struct error *e) {
    const bool script = post->caption_size == 0;
    json_t *line = json_pack("{s:s, s:I, s:b, s:s}", "account", w->account->name, "created",
                             (json_int_t)post->created, "script", script, "post", post->key);
    int rc = line != NULL ? json_append(out, line, e) : error_memory(e, NULL);
    json_decref(line);
    return rc == 0 ? bytes_append(out, "\n", 1, e) : rc;
}

/* Of `most` held-out posts of the writer, from all over them. */
static int add_prompts(const struct writer *w, size_t most, struct bytes *out, struct error *e) {
    size_t seen = 0, made = 0;
    int rc = 0;
    for (size_t i = 0; i < w->account->post_count && rc == 0; i++) {
        const struct history_post *post = &w->account->posts[i];
        size_t size;
        text_of(post, &size);
        if (!w->held[i] || size == 0) {
            continue;
        }
        seen++;
        const size_t due = w->later <= most ? seen : (seen * most + w->later - 1) / w->later;
        if (due > made && post->created != STORE_UNDATED) {
            rc = add_prompt(out, w, post, e);
        }
        made = due;
    }
    return rc;
}

int paper_posts_prompts(const struct paper_posts *p, struct bytes *out, struct error *e) {
    int rc = 0;
    for (size_t w = 0; w < p->writer_count && rc == 0; w++) {
        const bool ranked = p->ranker != NULL && w == p->ranked;
        rc = add_prompts(&p->writers[w], (size_t)p->o.texts * (ranked ? RANKED : 1), out, e);
    }
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

int paper_posts_open(struct paper_posts **out, const struct paper_posts_options *o,
                     const volatile sig_atomic_t *cancel, struct error *e) {
    struct paper_posts *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->o = *o;
    p->correlation = INTERVAL_NONE;
    int rc = history_open(&p->history, o->store, NULL, cancel, e);
    if (rc == 0) {
        rc = find_writers(p, cancel, e);
    }
    if (rc == 0) {
        rc = learn_style(p, e);
    }
    if (rc == 0) {
        rc = learn_captions(p, e);
    }
    if (rc < 0) {
        paper_posts_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void paper_posts_close(struct paper_posts *p) {
    if (p == NULL) {
        return;
    }
    for (size_t w = 0; w < p->writer_count; w++) {
        free(p->writers[w].held);
    }
    free(p->writers);
    free(p->later);
    free(p->real);
    style_close(p->style);
    ranker_close(p->ranker);
    history_close(p->history);
    free(p);
}

size_t paper_posts_accounts(const struct paper_posts *p) {
    return p->writer_count;
}

size_t paper_posts_find(const struct paper_posts *p, const char *account) {
    for (size_t w = 0; w < p->writer_count; w++) {
        if (strcmp(p->writers[w].account->name, account) == 0) {
            return w;
        }
    }
    return SIZE_MAX;
}
