/* bridge_letters.c - visual tokens through the encoder's reading head (compress/reading.h), up to
 * where it finds characters and what it knows of each before it names it.
 *
 *     hidden   = gelu(mix [squares])     of the upper squares of each row of text, 4 x 8 of a cell
 *     columns  : those that hold the middle of a character (reading_columns); no gradient
 *     features = character(hidden) / 20  at these columns
 *
 * Tensors reader.level, trunk, unfold, mix, presence, character: the encoder's, under their names.
 * A square sees those of its own cell; where on the page it stands makes no difference. */
#include <string.h>

#include "compress/ops.h"
#include "train/context/bridge_state.h"

enum {
    SQUARES = READING_ROWS * READING_STEPS, /* of a cell */
    USED = SQUARES / 2,                     /* the upper ones of each row of text */
    PIECE = 64                              /* cells that go through the head together */
};
static const float FEATURE_SCALE = 0.05f; /* features are as large as 20 */

/* ---- Tensors --------------------------------------------------------------------------------- */

struct reader_take {
    struct bridge_taker *to;
    bool trained, named;
};

static bool begins_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int take_used(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct reader_take *r = context;
    struct tensor_spec own = *spec;
    (void)e;
    if (begins_with(spec->name, "reader.class.") && !r->named) {
        return 0;
    }
    own.trainable = r->trained && !r->named && !begins_with(spec->name, "reader.presence.");
    own.shipped = r->trained;
    bridge_take(r->to, own, "%s", spec->name);
    return r->to->rc;
}

void letters_list(struct bridge_taker *to, const struct bridge_options *o, bool reader) {
    struct reading_config c = o->reading;
    struct reader_take head = {.to = to, .trained = reader, .named = o->kind == BRIDGE_NAMED};
    c.classes = head.named ? c.classes : 1;
    if (to->rc >= 0) {
        to->rc = reading_tensors(&c, "reader.", o->dim, READING_ROWS, READING_STEPS, take_used,
                                 &head, to->e);
    }
}

/* ---- The head -------------------------------------------------------------------------------- */

/* The characters of some visual tokens. */
struct piece {
    int32_t *columns; /* room for all; counted from the piece's first cell */
    int32_t *classes; /* likewise; NULL: they are not named */
    int64_t count;
};

struct seeing {
    struct bridge_options options;
    struct tape_source source;
    int bucket;
    struct piece *piece;
};

static struct node *linear(const struct seeing *s, struct tape *t, struct node *x,
                           const char *name) {
    return tape_named_linear(&s->source, t, x, "reader.", name);
}

/* Each cell its dim >> bucket numbers, and zeros after them: (cells, dim). */
static struct node *expanded(const struct seeing *s, struct tape *t, struct node *x) {
    const int64_t dim = s->options.dim, kept = dim >> s->bucket;
    const int64_t cells = tensor_rows(&x->value) << s->bucket;
    if (s->bucket == 0) {
        return x;
    }
    const struct tensor like = tensor_matrix(NULL, DTYPE_F32, NULL, cells, dim - kept);
    const struct tensor zeros = tape_space(t, &like);
    struct device *d = tape_device(t);
    struct error e;
    if (zeros.data == NULL) {
        return NULL;
    }
    tape_fail(t, d->ops->fill(d, &zeros, 0, &e), &e);
    return tape_concat_columns(t, tape_matrix(t, x, cells, kept), tape_input(t, &zeros, NULL));
}

/* As read_trunk_tape (train/read/head.h) has it, for cells of one bucket. */
static struct node *trunk(const struct seeing *s, struct tape *t, struct node *x) {
    const struct reading_config *c = &s->options.reading;
    if (c->trunk == 0) {
        return x;
    }
    const int64_t level = s->bucket < c->nested ? s->bucket : c->nested;
    struct node *levels = tape_named(&s->source, t, "reader.level.weight");
    x = tape_add(t, x, tape_row_range(t, levels, level, 1));
    struct node *y = tape_gelu(t, linear(s, t, x, "trunk.0"));
    return tape_add(t, x, linear(s, t, y, "trunk.1"));
}

/* Of (neighbours on each side): what each used square of a cell sees in its row. */
static void fill_squares(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t seen = 2 * shape[0] + 1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t square = i / seen, cell = square / USED, at = square % USED;
        const int64_t row = at / READING_STEPS * 2, step = at % READING_STEPS;
        const int64_t other = step + i % seen - shape[0];
        out[i] = other >= 0 && other < READING_STEPS
                     ? (int32_t)(cell * SQUARES + row * READING_STEPS + other)
                     : -1;
    }
}

/* (cells * USED, hidden). */
static struct node *hidden_of(const struct seeing *s, struct tape *t, struct node *x) {
    const struct reading_config *c = &s->options.reading;
    const int64_t cells = tensor_rows(&x->value) << s->bucket, seen = reading_seen(c);
    const int64_t piece = PIECE * tape_device(t)->backend->batch();
    const int64_t most = cells > piece ? cells : piece; /* one table for all that are smaller */
    x = linear(s, t, trunk(s, t, expanded(s, t, x)), "unfold");
    const struct tensor table =
        tape_table(t, fill_squares, most * USED * seen, TAPE_TABLE(c->reach));
    if (x == NULL || table.data == NULL) {
        return NULL;
    }
    const struct tensor index = tensor_column_range(&table, 0, cells * USED * seen);
    x = tape_gather(t, tape_matrix(t, x, cells * SQUARES, c->channels), &index);
    x = tape_matrix(t, x, cells * USED, seen * c->channels);
    return tape_gelu(t, linear(s, t, x, "mix"));
}

/* Logits of presence, (squares, 2 * READING_COLUMNS), of the host: in F32, as the reading head has
 * them, so that it finds the same characters. NULL: failed. */
static float *presence_of(const struct seeing *s, struct tape *t, const struct node *hidden) {
    struct device *d = tape_device(t);
    const struct node *weight = tape_named(&s->source, t, "reader.presence.weight");
    const struct node *bias = tape_named(&s->source, t, "reader.presence.bias");
    const int64_t squares = tensor_rows(&hidden->value), width = 2 * READING_COLUMNS;
    const struct tensor like = tensor_matrix(NULL, DTYPE_F32, NULL, squares, width);
    const struct tensor logits = tape_space(t, &like);
    float *numbers = tape_host(t, (size_t)(squares * width), sizeof *numbers);
    if (weight == NULL || bias == NULL || logits.data == NULL || numbers == NULL) {
        return NULL;
    }
    struct error e;
    const struct tensor matrix = tensor_transpose(&weight->value);
    const struct tensor host = tensor_matrix(numbers, DTYPE_F32, NULL, squares, width);
    int rc = d->ops->matmul(d, &logits, &hidden->value, &matrix, &bias->value, false, &e);
    if (rc == 0) {
        rc = d->ops->download(d, &host, &logits, &e);
    }
    tape_fail(t, rc, &e);
    return rc == 0 ? numbers : NULL;
}

static void find_columns(struct piece *piece, float *logits, int64_t rows) {
    enum { WIDTH = READING_STEPS * READING_COLUMNS };
    piece->count = 0;
    for (int64_t row = 0; row < rows; row++) {
        float *pairs = logits + row * WIDTH * 2;
        reading_columns(pairs, WIDTH, WIDTH);
        for (int64_t i = 0; i < WIDTH; i++) {
            if (pairs[i] < 0) {
                piece->columns[piece->count++] = (int32_t)(row * WIDTH + i);
            }
        }
    }
}

static struct node *scaled(struct tape *t, struct node *x) {
    const struct tensor like = x != NULL ? tensor_of(NULL, DTYPE_F32, NULL, x->value.shape)
                                         : (struct tensor){.data = NULL};
    const struct tensor factors = x != NULL ? tape_space(t, &like) : like;
    struct device *d = tape_device(t);
    struct error e;
    if (factors.data == NULL) {
        return NULL;
    }
    tape_fail(t, d->ops->fill(d, &factors, FEATURE_SCALE, &e), &e);
    return tape_multiply(t, x, tape_input(t, &factors, NULL));
}

/* The class of each character whose features are rows of x. */
static void name(const struct seeing *s, struct tape *t, const struct node *x) {
    enum { TOGETHER = 512 };
    struct device *d = tape_device(t);
    const struct node *weight = tape_named(&s->source, t, "reader.class.weight");
    const struct node *bias = tape_named(&s->source, t, "reader.class.bias");
    const int64_t classes = s->options.reading.classes;
    const struct tensor wide = tensor_matrix(NULL, DTYPE_F32, NULL, TOGETHER, classes);
    const struct tensor thin = tensor_matrix(NULL, DTYPE_I32, NULL, TOGETHER, 1);
    const struct tensor logits = tape_space(t, &wide), best = tape_space(t, &thin);
    if (weight == NULL || bias == NULL || logits.data == NULL || best.data == NULL) {
        return;
    }
    const struct tensor matrix = tensor_transpose(&weight->value);
    struct error e;
    int rc = 0;
    for (int64_t first = 0; first < s->piece->count && rc == 0; first += TOGETHER) {
        const int64_t rest = s->piece->count - first, count = rest < TOGETHER ? rest : TOGETHER;
        const struct tensor from = tensor_row_range(&x->value, first, count);
        const struct tensor rows = tensor_row_range(&logits, 0, count);
        const struct tensor index = tensor_row_range(&best, 0, count);
        const struct tensor host =
            tensor_matrix(s->piece->classes + first, DTYPE_I32, NULL, count, 1);
        rc = d->ops->matmul(d, &rows, &from, &matrix, &bias->value, false, &e);
        rc = rc == 0 ? d->ops->top_k(d, NULL, &index, &rows, &e) : rc;
        rc = rc == 0 ? d->ops->download(d, &host, &index, &e) : rc;
    }
    tape_fail(t, rc, &e);
}

/* Visual tokens to the features of their characters. */
static struct node *see(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct seeing *s = context;
    const int64_t embedding = s->options.reading.embedding;
    struct node *hidden = hidden_of(s, t, x);
    float *logits = hidden != NULL ? presence_of(s, t, hidden) : NULL;
    (void)i;
    if (logits == NULL) {
        return NULL;
    }
    find_columns(s->piece, logits, tensor_rows(&hidden->value) / READING_STEPS);
    const struct tensor index = tape_upload_numbers(t, s->piece->columns, s->piece->count);
    x = linear(s, t, hidden, "character");
    if (x == NULL || index.data == NULL) {
        return NULL;
    }
    x = tape_matrix(t, x, tensor_rows(&x->value) * READING_COLUMNS, embedding);
    x = tape_gather(t, x, &index);
    if (x != NULL && s->piece->classes != NULL) {
        name(s, t, x);
    }
    return scaled(t, x);
}

/* ---- All of a group -------------------------------------------------------------------------- */

struct pieces {
    struct letters *letters;
    bool named;
    struct seeing seeing;
    struct piece *list;
    int64_t count;
};

/* The parts one after another. */
static struct node *joined(struct tape *t, const struct pieces *p, struct node **parts) {
    struct tape_splice_run *runs = tape_host(t, (size_t)p->count, sizeof *runs);
    for (int64_t i = 0; i < p->count && runs != NULL; i++) {
        runs[i] = (struct tape_splice_run){TAPE_SOURCES + (int)i, 0, p->list[i].count};
    }
    return runs != NULL ? tape_splice(t, parts, TAPE_SOURCES + (int)p->count, runs, p->count)
                        : NULL;
}

static struct node *see_all(struct tape *t, struct node *x, int64_t unused, const void *context) {
    const struct pieces *p = context;
    const struct letters *l = p->letters;
    const int64_t step = bridge_together(t, PIECE, l->cells);
    struct node **parts = tape_host(t, (size_t)(TAPE_SOURCES + p->count), sizeof(struct node *));
    (void)unused;
    for (int64_t i = 0; i < p->count && parts != NULL && tape_status(t, NULL) == 0; i++) {
        const int64_t first = i * step, rest = l->tokens - first;
        const int64_t count = rest < step ? rest : step;
        struct seeing s = p->seeing;
        const size_t columns = (size_t)(count * l->cells * LETTERS_COLUMNS);
        s.piece = &p->list[i];
        s.piece->columns = tape_host(t, columns, sizeof(int32_t));
        s.piece->classes = p->named ? tape_host(t, columns, sizeof(int32_t)) : NULL;
        if (s.piece->columns != NULL) {
            parts[TAPE_SOURCES + i] =
                tape_blocks(t, tape_row_range(t, x, first, count), 1, see, &s, sizeof s);
        }
    }
    return parts != NULL && tape_status(t, NULL) == 0 ? joined(t, p, parts) : NULL;
}

/* Where the characters of pieces of `tokens` are in the group. */
static void note_columns(struct letters *l, const struct pieces *p, int64_t tokens) {
    const int64_t cells = tokens * l->cells, token = l->cells * LETTERS_COLUMNS;
    int64_t at = 0;
    for (int64_t i = 0; i < p->count; i++) {
        for (int64_t k = 0; k < p->list[i].count; k++) {
            l->classes[at] = p->named ? p->list[i].classes[k] : 0;
            l->columns[at++] = p->list[i].columns[k] + (int32_t)(i * cells * LETTERS_COLUMNS);
        }
    }
    for (int64_t i = 0; i < l->count; i++) {
        l->first[l->columns[i] / token + 1]++;
    }
    for (int64_t i = 0; i < l->tokens; i++) {
        l->first[i + 1] += l->first[i];
    }
}

/* x without its gradient: what characters are called is no matter of degree. */
static struct node *frozen(struct tape *t, const struct node *x) {
    return tape_input(t, &x->value, NULL);
}

bool letters_see(struct letters *l, const struct bridge_options *o,
                 const struct tape_source *source, struct tape *t,
                 const struct bridge_group *group) {
    *l = (struct letters){.tokens = tensor_rows(&group->x->value),
                          .cells = (int64_t)1 << group->bucket};
    const int64_t step = bridge_together(t, PIECE, l->cells);
    struct pieces p = {.letters = l,
                       .named = o->kind == BRIDGE_NAMED,
                       .seeing = {.options = *o, .source = *source, .bucket = group->bucket},
                       .count = (l->tokens + step - 1) / step};
    p.list = tape_host(t, (size_t)p.count, sizeof *p.list);
    l->first = tape_host(t, (size_t)l->tokens + 1, sizeof *l->first);
    l->run = tape_host(t, (size_t)l->tokens, sizeof *l->run);
    if (p.list == NULL || l->first == NULL || l->run == NULL) {
        return false;
    }
    l->features = tape_passing(t, p.named ? frozen(t, group->x) : group->x, see_all, 0, &p);
    for (int64_t i = 0; i < p.count; i++) {
        l->count += p.list[i].count;
    }
    l->columns = tape_host(t, (size_t)l->count + 1, sizeof *l->columns);
    l->classes = tape_host(t, (size_t)l->count + 1, sizeof *l->classes);
    if (l->features == NULL || l->columns == NULL || l->classes == NULL) {
        return false;
    }
    note_columns(l, &p, step);
    for (int64_t i = 1; i < l->tokens; i++) {
        l->run[i] = group->begins != NULL && group->begins[i] ? i : l->run[i - 1];
    }
    return true;
}

/* ---- Windows --------------------------------------------------------------------------------- */

struct node *letters_windows(const struct letters *l, struct tape *t, int64_t first,
                             int64_t count) {
    const int64_t token = l->cells * LETTERS_COLUMNS;
    int32_t *places = tape_host(t, (size_t)(count * LETTERS_SEEN) + 1, sizeof *places);
    for (int64_t i = 0; i < count && places != NULL; i++) {
        const int64_t own = first + i, run = l->run[l->columns[own] / token];
        for (int64_t k = 0; k < LETTERS_SEEN; k++) {
            const int64_t other = own + k - LETTERS_BEFORE;
            const bool there =
                other >= 0 && other < l->count && l->run[l->columns[other] / token] == run;
            places[i * LETTERS_SEEN + k] = there ? (int32_t)other : -1;
        }
    }
    const struct tensor index = tape_upload_numbers(t, places, count * LETTERS_SEEN);
    if (places == NULL || index.data == NULL) {
        return NULL;
    }
    struct node *x = tape_gather(t, l->features, &index);
    return x != NULL ? tape_matrix(t, x, count, LETTERS_SEEN * tensor_width(&x->value)) : NULL;
}
