/* match_spell.c - a bridge that reads learns to spell: at each character that the reading head
 * finds, the embeddings of the text tokens that begin there. Of k text tokens e_t at a character,
 *
 *     k = 1    cross-entropy of softmax(MATCH_SHARP (z . e_v - |e_v|^2 / 2)) over the commonest
 *              words v, those of the sample, and none (e = 0)
 *     k > 0    NEAR |z - sum of e_t|^2
 *     k = 0    NEAR |z|^2, of a share of these characters
 *
 * each as a mean over its characters, embeddings less the mean of all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"
#include "store/random.h"
#include "train/align/match.h"

static const double NEAR = 0.3;
static const double SHARE = 0.12;

/* ---- Characters ------------------------------------------------------------------------------ */

/* What is looked at: characters where text tokens begin, then some where none does. */
struct looked {
    int32_t *places; /* (starts + others): of all characters */
    int64_t starts, others;
    int64_t *first; /* (starts + 1): of the text's tokens, those that begin at each */
    int32_t *ids;   /* (first[starts]): of these tokens */
};

int64_t match_character(int64_t at, int64_t characters, int64_t found) {
    at = at < characters ? at : characters - 1;
    if (found == characters || characters < 2) {
        return at < found ? at : found - 1;
    }
    return (int64_t)round((double)at * (double)(found - 1) / (double)(characters - 1));
}

/* Where each cell's characters begin among all that were found: (cells + 1). NULL: the tape failed.
 */
static int64_t *begins_of(struct tape *t, const struct bridge_spelling *found, int64_t cells) {
    int64_t *begins = tape_host(t, (size_t)cells + 1, sizeof *begins);
    for (int64_t i = 0; i < found->characters && begins != NULL; i++) {
        begins[found->cells[i] + 1]++;
    }
    for (int64_t i = 0; i < cells && begins != NULL; i++) {
        begins[i + 1] += begins[i];
    }
    return begins;
}

static void add_others(struct looked *l, int64_t characters, uint64_t random) {
    int64_t next = 0;
    for (int64_t i = 0; i < characters; i++) {
        while (next < l->starts && l->places[next] < i) {
            next++;
        }
        const bool starts = next < l->starts && l->places[next] == i;
        if (!starts && random_unit(&random) < SHARE) {
            l->places[l->starts + l->others++] = (int32_t)i;
        }
    }
}

static bool look(struct looked *l, struct tape *t, const struct span_letters *letters,
                 const struct bridge_spelling *found, uint64_t random) {
    const int64_t *begins = begins_of(t, found, letters->cells);
    *l = (struct looked){.starts = 0};
    l->places = tape_host(t, (size_t)(found->characters + letters->count), sizeof *l->places);
    l->first = tape_host(t, (size_t)letters->count + 1, sizeof *l->first);
    l->ids = tape_host(t, (size_t)letters->count + 1, sizeof *l->ids);
    if (begins == NULL || l->places == NULL || l->first == NULL || l->ids == NULL) {
        return false;
    }
    int64_t tokens = 0;
    for (int64_t i = 0; i < letters->count; i++) {
        const struct span_start *s = &letters->starts[i];
        const int64_t there = begins[s->cell + 1] - begins[s->cell];
        if (there == 0) {
            continue; /* a cell that the head reads nothing in */
        }
        const int64_t place =
            begins[s->cell] + match_character(s->character, letters->characters[s->cell], there);
        if (l->starts == 0 || l->places[l->starts - 1] != place) {
            l->first[l->starts] = tokens;
            l->places[l->starts++] = (int32_t)place;
        }
        l->ids[tokens++] = s->id;
    }
    l->first[l->starts] = tokens;
    add_others(l, found->characters, random);
    return true;
}

/* ---- Squared errors -------------------------------------------------------------------------- */

/* aims (starts, width): sums of embeddings, less the mean. */
static void fill_aims(const struct match_worker *w, const struct looked *l, const float *embedded,
                      float *aims, int64_t width) {
    const float *mean = w->task->words.mean;
    memset(aims, 0, (size_t)(l->starts * width) * sizeof *aims);
    for (int64_t i = 0; i < l->starts; i++) {
        for (int64_t k = l->first[i]; k < l->first[i + 1]; k++) {
            for (int64_t j = 0; j < width; j++) {
                aims[i * width + j] += embedded[k * width + j] - mean[j];
            }
        }
    }
}

double match_near(const float *z, const float *aims, int64_t starts, int64_t others, int64_t width,
                  double scale, float *gradient) {
    double loss = 0;
    for (int64_t i = 0; i < starts + others; i++) {
        const bool start = i < starts;
        const double weight = NEAR / (double)(start ? starts : others);
        for (int64_t j = i * width; j < (i + 1) * width; j++) {
            const float off = z[j] - (start ? aims[j] : 0);
            loss += weight * (double)off * (double)off;
            gradient[j] = (float)(2 * scale * weight) * off;
        }
    }
    return loss;
}

/* ---- The nearest word ------------------------------------------------------------------------ */

/* Starts of one token each: rows of z; and words: those of the task, then those of the sample. */
struct nearest {
    int32_t *rows, *labels; /* (count) */
    int64_t count;
    int32_t *more; /* (extra): tokens of the text whose words are no common ones */
    int64_t extra;
};

/* The word of token `k` of the text. */
static int32_t word_of(struct nearest *n, const struct match_words *words, const struct looked *l,
                       int64_t k) {
    const int32_t place = words->places[l->ids[k]];
    for (int64_t i = 0; i < n->extra && place < 0; i++) {
        if (l->ids[n->more[i]] == l->ids[k]) {
            return (int32_t)(words->count + 1 + i);
        }
    }
    if (place >= 0) {
        return place;
    }
    n->more[n->extra++] = (int32_t)k;
    return (int32_t)(words->count + n->extra);
}

static bool find_nearest(struct nearest *n, const struct match_words *words, struct tape *t,
                         const struct looked *l) {
    *n = (struct nearest){.count = 0};
    n->rows = tape_host(t, (size_t)l->starts + 1, sizeof *n->rows);
    n->labels = tape_host(t, (size_t)l->starts + 1, sizeof *n->labels);
    n->more = tape_host(t, (size_t)l->starts + 1, sizeof *n->more);
    if (n->rows == NULL || n->labels == NULL || n->more == NULL) {
        return false;
    }
    for (int64_t i = 0; i < l->starts; i++) {
        if (l->first[i + 1] - l->first[i] == 1) {
            n->rows[n->count] = (int32_t)i;
            n->labels[n->count++] = word_of(n, words, l, l->first[i]);
        }
    }
    return true;
}

/* Rows of the words of the sample: as match_words has them. */
static void fill_more(const struct match_worker *w, const struct nearest *n, const float *embedded,
                      float *rows, float *bias, int64_t width) {
    const struct match_words *words = &w->task->words;
    for (int64_t i = 0; i < n->extra; i++) {
        double square = 0;
        for (int64_t j = 0; j < width; j++) {
            const float one = embedded[n->more[i] * width + j] - words->mean[j];
            rows[i * width + j] = (float)MATCH_SHARP * one;
            square += (double)one * (double)one;
        }
        bias[i] = (float)(-MATCH_SHARP * square / 2);
    }
}

/* Rows of the device: the task's, then the sample's, which the host has. */
static struct tensor join(const struct match_worker *w, struct tape *t, const struct tensor *common,
                          float *more, int64_t extra) {
    const struct ops *ops = w->device->ops;
    const int64_t count = tensor_rows(common), width = tensor_width(common);
    const struct tensor like = tensor_matrix(NULL, DTYPE_F32, NULL, count + extra, width);
    const struct tensor all = tape_space(t, &like);
    struct error e;
    if (all.data != NULL) {
        const struct tensor first = tensor_row_range(&all, 0, count);
        const struct tensor rest = tensor_row_range(&all, count, extra);
        const struct tensor host = tensor_matrix(more, DTYPE_F32, NULL, extra, width);
        int rc = ops->copy(w->device, &first, common, &e);
        rc = rc == 0 && extra > 0 ? ops->upload(w->device, &rest, &host, &e) : rc;
        tape_fail(t, rc, &e);
    }
    return all;
}

/* How many of the nearest words are right. */
static int64_t count_right(struct match_worker *w, struct tape *t, struct node *logits,
                           const struct nearest *n) {
    const struct tensor like = tensor_matrix(NULL, DTYPE_I32, NULL, n->count, 1);
    const struct tensor places = tape_space(t, &like);
    int32_t *found = tape_host(t, (size_t)n->count, sizeof *found);
    int64_t right = 0;
    struct error e;
    if (logits == NULL || places.data == NULL || found == NULL) {
        return 0;
    }
    const struct tensor host = tensor_matrix(found, DTYPE_I32, NULL, n->count, 1);
    tape_fail(t, w->device->ops->top_k(w->device, NULL, &places, &logits->value, &e), &e);
    tape_fail(t, w->device->ops->download(w->device, &host, &places, &e), &e);
    tape_fail(t, w->device->ops->synchronize(w->device, &e), &e);
    for (int64_t i = 0; i < n->count && tape_status(t, NULL) == 0; i++) {
        right += found[i] == n->labels[i];
    }
    return right;
}

/* Their mean loss, added to *loss; back from `scale` times it, or, without, how many are right. */
static void classify(struct match_worker *w, struct tape *t, struct node *z,
                     const struct nearest *n, const float *embedded, double scale,
                     struct match_sums *sums, double *loss) {
    const struct match_words *words = &w->task->words;
    const int64_t width = w->task->network->config->width;
    float *rows = tape_host(t, (size_t)(n->extra * width + 1), sizeof *rows);
    float *bias = tape_host(t, (size_t)n->extra + 1, sizeof *bias), sum = 0;
    struct error e;
    if (n->count == 0 || rows == NULL || bias == NULL) {
        return;
    }
    fill_more(w, n, embedded, rows, bias, width);
    const struct tensor like = tensor_vector(NULL, DTYPE_F32, NULL, 1),
                        total = tape_space(t, &like);
    const struct tensor matrix = join(w, t, &words->rows, rows, n->extra);
    struct tensor biases = join(w, t, &words->bias, bias, n->extra);
    const struct tensor index = tape_upload_numbers(t, n->rows, n->count);
    const struct tensor labels = tape_upload_numbers(t, n->labels, n->count);
    if (tape_status(t, NULL) < 0) {
        return;
    }
    biases = tensor_vector(biases.data, DTYPE_F32, biases.home, words->count + 1 + n->extra);
    struct node *x = tape_gather(t, z, &index);
    struct node *weight = tape_input(t, &matrix, NULL), *b = tape_input(t, &biases, NULL);
    tape_fail(t, w->device->ops->fill(w->device, &total, 0, &e), &e);
    tape_classify(t, x, weight, b, &labels, (float)(scale / (double)n->count), &total);
    const struct tensor host = tensor_vector(&sum, DTYPE_F32, NULL, 1);
    tape_fail(t, w->device->ops->download(w->device, &host, &total, &e), &e);
    if (scale == 0) {
        sums->right += count_right(w, t, tape_linear(t, x, weight, b), n);
        sums->words += n->count;
    }
    *loss += (double)sum / (double)n->count;
}

/* ---- A sample -------------------------------------------------------------------------------- */

static bool find_windows(const struct match_worker *w, struct tape *t,
                         const struct tape_source *source, const struct span_letters *letters,
                         struct bridge_spelling *found) {
    const struct bridge_options *bridge = &w->task->network->bridge;
    void *numbers = (void *)(uintptr_t)letters->visual.numbers; /* only read */
    const struct tensor host =
        tensor_matrix(numbers, DTYPE_F32, NULL, letters->visual.count, bridge->dim);
    const struct tensor x = tape_upload(t, &host);
    if (x.data == NULL) {
        return false;
    }
    const struct bridge_group group = {.bucket = letters->visual.bucket,
                                       .begins = letters->visual.begins,
                                       .x = tape_input(t, &x, NULL)};
    return bridge_spell_windows(bridge, source, t, &group, found);
}

/* Embeddings of all text tokens, to the host. */
static float *embed(struct match_worker *w, struct tape *t, const struct looked *l) {
    const struct decoder_parts parts = decoder_parts(w->task->network->base);
    const int64_t count = l->first[l->starts], width = w->task->network->config->width;
    float *to = match_room(w, t, MATCH_EMBEDDED, count * width);
    const struct tensor ids = tape_upload_numbers(t, l->ids, count);
    if (ids.data != NULL) {
        match_fetch(w, t, parts.embed(parts.context, t, &ids), to);
    }
    return to;
}

static int spell(struct match_worker *w, const struct span_letters *letters,
                 const struct trainer_pass *pass, uint64_t random, double scale,
                 struct match_sums *sums, struct error *e) {
    const struct align_network *n = w->task->network;
    const int64_t width = n->config->width;
    struct tape *t = pass->tape;
    struct bridge_spelling found;
    struct looked l;
    struct nearest nearest;
    double loss = 0;
    tape_begin(t);
    if (!find_windows(w, t, pass->parameters, letters, &found) ||
        !look(&l, t, letters, &found, random) || l.starts == 0 ||
        !find_nearest(&nearest, &w->task->words, t, &l)) {
        return tape_status(t, e);
    }
    const int64_t rows = l.starts + l.others;
    const struct tensor index = tape_upload_numbers(t, l.places, rows);
    struct node *windows = index.data != NULL ? tape_gather(t, found.windows, &index) : NULL;
    struct node *z = bridge_spell(pass->parameters, t, windows);
    float *soft = match_room(w, t, MATCH_SOFT, rows * width);
    float *aims = match_room(w, t, MATCH_AIMS, l.starts * width);
    float *gradient = match_room(w, t, MATCH_GRADIENT, rows * width);
    const float *embedded = embed(w, t, &l);
    match_fetch(w, t, z, soft);
    if (tape_status(t, NULL) == 0) {
        fill_aims(w, &l, embedded, aims, width);
        loss = match_near(soft, aims, l.starts, l.others, width, scale, gradient);
        classify(w, t, z, &nearest, embedded, scale, sums, &loss);
    }
    const struct tensor host = tensor_matrix(gradient, DTYPE_F32, NULL, rows, width);
    const struct tensor from = scale > 0 ? tape_upload(t, &host) : host;
    if (scale > 0 && from.data != NULL && tape_status(t, NULL) == 0) {
        tape_backward_from(t, z, &from);
    }
    sums->loss += loss;
    sums->rows++;
    return scale > 0 ? tape_backward(t, e) : tape_status(t, e);
}

int match_spelling(struct match_worker *w, enum corpus_set set, uint64_t number,
                   const struct trainer_pass *pass, double scale, struct match_sums *sums,
                   struct error *e) {
    const struct align_options *o = w->task->network->options;
    const uint64_t random = random_stream(o->seed + (uint64_t)set, number);
    struct span_letters letters;
    int rc = span_letters(w->rows, set, MATCH_CELLS, o->halved, random, &letters, e);
    return rc == 0 && letters.count > 0 ? spell(w, &letters, pass, ~random, scale, sums, e) : rc;
}

/* Full cells of a text that begins a token at every fourth character. */
int match_spelling_rehearse(struct match_worker *w, const struct trainer_pass *pass,
                            struct error *e) {
    enum { CHARACTERS = 64, EACH = 4, STARTS = MATCH_CELLS * CHARACTERS / EACH };
    const struct bridge_options *bridge = &w->task->network->bridge;
    struct span_start starts[STARTS];
    int32_t characters[MATCH_CELLS];
    for (int32_t i = 0; i < STARTS; i++) {
        const int32_t at = i * EACH;
        starts[i] = (struct span_start){.cell = at / CHARACTERS, .character = at % CHARACTERS};
        characters[at / CHARACTERS] = CHARACTERS;
    }
    float *numbers = calloc((size_t)(MATCH_CELLS * bridge->dim), sizeof *numbers);
    const struct span_letters letters = {.visual = {.count = MATCH_CELLS, .numbers = numbers},
                                         .characters = characters,
                                         .cells = MATCH_CELLS,
                                         .starts = starts,
                                         .count = STARTS};
    struct match_sums sums = {.rows = 0};
    int rc = numbers != NULL ? spell(w, &letters, pass, 1, 1, &sums, e) : error_memory(e, NULL);
    free(numbers);
    return rc;
}
