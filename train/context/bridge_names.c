/* bridge_names.c - characters that were named, as text, in a decoder's tokens. */
#include <stdlib.h>
#include <string.h>

#include "compress/alphabet.h"
#include "store/json.h"
#include "train/context/bridge_state.h"
#include "train/tokenizer/tokenizer.h"

struct bridge_names {
    struct alphabet *alphabet;
    const struct tokenizer *tokenizer; /* NULL: a forecast */
};

/* ---- Opening --------------------------------------------------------------------------------- */

static int parse(struct bridge_names *n, const struct safetensors *file, const char *path,
                 struct error *e) {
    const char *text = safetensors_metadata(file, READING_METADATA);
    if (text == NULL) {
        return error_set(e, ERR_UNSUPPORTED, "%s: carries no reading head", path);
    }
    json_t *root = json_read(text, strlen(text), NULL, e);
    int rc = root != NULL ? alphabet_parse(&n->alphabet, json_object_get(root, "alphabet"), e)
                          : ERR_FORMAT;
    json_decref(root);
    return rc < 0 ? error_context(e, "%s", path) : 0;
}

int bridge_names_open(struct bridge_names **out, const char *encoder,
                      const struct tokenizer *tokenizer, struct error *e) {
    struct bridge_names *n = calloc(1, sizeof *n);
    struct safetensors *file = NULL;
    *out = NULL;
    if (n == NULL) {
        return error_memory(e, NULL);
    }
    n->tokenizer = tokenizer;
    int rc = safetensors_open(&file, encoder, e);
    if (rc == 0) {
        rc = parse(n, file, encoder, e);
    }
    safetensors_close(file);
    if (rc < 0) {
        bridge_names_close(n);
        return rc;
    }
    *out = n;
    return 0;
}

void bridge_names_close(struct bridge_names *n) {
    if (n != NULL) {
        alphabet_close(n->alphabet);
        free(n);
    }
}

/* ---- Runs ------------------------------------------------------------------------------------ */

struct reading {
    const struct bridge_names *names;
    const struct letters *letters;
    struct tokenizer_state *state;
    struct bytes text;       /* of a run */
    struct token_list found; /* likewise */
    size_t *ends;            /* of the characters of a run in its text */
    struct named_tokens *out;
};

static int64_t run_of(const struct letters *l, int64_t character) {
    return l->run[l->columns[character] / (l->cells * LETTERS_COLUMNS)];
}

/* The text of characters [first, end). */
static int write_text(struct reading *r, int64_t first, int64_t end, struct error *e) {
    int rc = 0;
    r->text.size = 0;
    for (int64_t i = first; i < end && rc == 0; i++) {
        const int class_index = r->letters->classes[i];
        const bool known = class_index < alphabet_count(r->names->alphabet);
        const char *text = alphabet_text(r->names->alphabet, known ? class_index : ALPHABET_OTHER);
        rc = bytes_append(&r->text, text, strlen(text), e);
        r->ends[i - first] = r->text.size;
    }
    return rc;
}

/* The tokens that were found, each where its first byte stands. */
static void place(struct reading *r, int64_t first, int64_t end) {
    struct named_tokens *out = r->out;
    int64_t character = first;
    size_t at = 0, size = 0;
    for (size_t i = 0; i < r->found.count; i++) {
        while (character < end - 1 && r->ends[character - first] <= at) {
            character++;
        }
        out->ids[out->count] = r->found.ids[i];
        out->columns[out->count++] = r->letters->columns[character];
        at += tokenizer_bytes(r->names->tokenizer, r->found.ids[i], &size) != NULL ? size : 0;
    }
}

/* Room for so many more. */
static bool reserve(struct named_tokens *out, struct tape *t, int64_t *room, size_t more) {
    if (out->count + (int64_t)more <= *room) {
        return true;
    }
    const int64_t wanted = 2 * (out->count + (int64_t)more);
    int32_t *ids = tape_host(t, (size_t)wanted, sizeof *ids);
    int32_t *columns = tape_host(t, (size_t)wanted, sizeof *columns);
    if (ids == NULL || columns == NULL) {
        return false;
    }
    if (out->count > 0) {
        memcpy(ids, out->ids, (size_t)out->count * sizeof *ids);
        memcpy(columns, out->columns, (size_t)out->count * sizeof *columns);
    }
    out->ids = ids;
    out->columns = columns;
    *room = wanted;
    return true;
}

static int read_run(struct reading *r, struct tape *t, int64_t *room, int64_t first, int64_t end,
                    struct error *e) {
    int rc = write_text(r, first, end, e);
    r->found.count = 0;
    if (rc == 0) {
        rc = tokenizer_encode(r->state, bytes_text(&r->text), r->text.size, TOKENIZER_ORDINARY,
                              &r->found, e);
    }
    if (rc == 0 && !reserve(r->out, t, room, r->found.count)) {
        return tape_status(t, e);
    }
    if (rc == 0) {
        place(r, first, end);
    }
    return rc;
}

static int read_runs(struct reading *r, struct tape *t, struct error *e) {
    const struct letters *l = r->letters;
    int64_t room = 0;
    int rc = 0;
    for (int64_t first = 0, end; first < l->count && rc == 0; first = end) {
        for (end = first + 1; end < l->count && run_of(l, end) == run_of(l, first);) {
            end++;
        }
        rc = read_run(r, t, &room, first, end, e);
    }
    return rc;
}

/* Without a tokenizer: as many as there are likely to be. */
static void stand_in(struct named_tokens *out, const struct letters *l) {
    enum { CHARACTERS = 4 };
    for (int64_t i = 0; i < l->count; i += CHARACTERS) {
        out->ids[out->count] = 0;
        out->columns[out->count++] = l->columns[i];
    }
}

/* Tokens before each visual token. */
static void count_tokens(struct named_tokens *out, const struct letters *l) {
    for (int64_t i = 0; i < out->count; i++) {
        out->first[out->columns[i] / (l->cells * LETTERS_COLUMNS) + 1]++;
    }
    for (int64_t i = 0; i < l->tokens; i++) {
        out->first[i + 1] += out->first[i];
    }
}

bool names_read(struct named_tokens *out, const struct bridge_names *names, const struct letters *l,
                struct tape *t) {
    struct error e;
    *out = (struct named_tokens){.first = tape_host(t, (size_t)l->tokens + 1, sizeof *out->first)};
    if (names == NULL) {
        tape_fail(t, error_set(&e, ERR_USAGE, "a bridge that names characters has no names"), &e);
        return false;
    }
    struct reading r = {.names = names, .letters = l, .out = out};
    r.ends = tape_host(t, (size_t)l->count + 1, sizeof *r.ends);
    out->ids = tape_host(t, (size_t)l->count + 1, sizeof *out->ids);
    out->columns = tape_host(t, (size_t)l->count + 1, sizeof *out->columns);
    if (tape_status(t, NULL) < 0) {
        return false;
    }
    if (names->tokenizer == NULL) {
        stand_in(out, l);
    } else {
        bytes_init(&r.text, SIZE_MAX);
        int rc = tokenizer_state_open(&r.state, names->tokenizer, &e);
        rc = rc == 0 ? read_runs(&r, t, &e) : rc;
        tape_fail(t, rc, &e);
        tokenizer_state_close(r.state);
        token_list_close(&r.found);
        bytes_close(&r.text);
    }
    if (tape_status(t, NULL) == 0) {
        count_tokens(out, l);
    }
    return tape_status(t, NULL) == 0;
}
