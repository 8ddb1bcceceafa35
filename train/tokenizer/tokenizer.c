/* tokenizer.c - tokenizers and their states: see tokenizer.h. */
#include "train/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "store/file.h"
#include "store/utf8.h"
#include "train/tokenizer/tokenizer_parts.h"

void token_list_close(struct token_list *l) {
    free(l->ids);
    *l = (struct token_list){0};
}

/* A copy of the file's name without folder and ending; NULL: out of memory. */
static char *name_of(const char *path) {
    static const char *const ENDINGS[] = {".tiktoken", ".json"};
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof ENDINGS / sizeof *ENDINGS; i++) {
        size_t ending = strlen(ENDINGS[i]);
        if (size > ending && strcmp(name + size - ending, ENDINGS[i]) == 0) {
            size -= ending;
            break;
        }
    }
    return strndup(name, size);
}

static bool is_json(const char *data, size_t size) {
    size_t at = 0;
    while (at < size && data[at] != 0 && strchr(" \t\r\n", data[at]) != NULL) {
        at++;
    }
    return at < size && data[at] == '{';
}

static int read_content(struct tokenizer *t, const char *data, size_t size,
                        enum tokenizer_split split, struct error *e) {
    int rc;
    if (size > TOKENIZER_FILE_LIMIT) {
        return error_set(e, ERR_LIMIT, "larger than %d bytes", TOKENIZER_FILE_LIMIT);
    }
    if (!is_json(data, size)) {
        rc = tokenizer_read_ranks(t, data, size, split, e);
    } else if (split != TOKENIZER_SPLIT_AUTO) {
        rc = error_set(e, ERR_USAGE, "a tokenizer.json says itself how text is split");
    } else {
        rc = tokenizer_read_json(t, data, size, e);
    }
    for (int i = 0; i < ADDED_LISTS && rc == 0; i++) {
        rc = added_complete(&t->added[i], e);
    }
    return rc;
}

int tokenizer_read(struct tokenizer **out, const char *name, const void *data, size_t size,
                   enum tokenizer_split split, struct error *e) {
    struct tokenizer *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL) {
        return error_memory(e, NULL);
    }
    vocabulary_init(&t->vocabulary);
    for (int i = 0; i < ADDED_LISTS; i++) {
        added_init(&t->added[i]);
    }
    t->name = name_of(name);
    int rc = t->name == NULL ? error_memory(e, NULL) : read_content(t, data, size, split, e);
    if (rc < 0) {
        tokenizer_close(t);
        error_context(e, "%s", name);
        return rc;
    }
    *out = t;
    return 0;
}

int tokenizer_open(struct tokenizer **out, const char *path, enum tokenizer_split split,
                   struct error *e) {
    struct bytes content;
    bytes_init(&content, TOKENIZER_FILE_LIMIT);
    *out = NULL;
    int rc = file_read(path, &content, e);
    if (rc == 0) {
        rc = tokenizer_read(out, path, bytes_text(&content), content.size, split, e);
    }
    bytes_close(&content);
    return rc;
}

void tokenizer_close(struct tokenizer *t) {
    if (t == NULL) {
        return;
    }
    for (int i = 0; i < ADDED_LISTS; i++) {
        added_close(&t->added[i]);
    }
    for (size_t i = 0; i < t->stage_count; i++) {
        pattern_close(t->stages[i].pattern);
    }
    vocabulary_close(&t->vocabulary);
    free(t->name);
    free(t);
}

const char *tokenizer_name(const struct tokenizer *t) {
    return t->name;
}

int32_t tokenizer_size(const struct tokenizer *t) {
    return (int32_t)t->vocabulary.count;
}

const unsigned char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *size) {
    const struct vocabulary *v = &t->vocabulary;
    if (id < 0 || (size_t)id >= v->count || v->tokens[id].size == 0) {
        *size = 0;
        return NULL;
    }
    *size = v->tokens[id].size;
    return v->text.data + v->tokens[id].offset;
}

int32_t tokenizer_added(const struct tokenizer *t, const char *text) {
    for (int i = 0; i < ADDED_LISTS; i++) {
        const struct added_list *a = &t->added[i];
        for (size_t k = 0; k < a->count; k++) {
            const struct added *item = &a->items[k];
            if (item->size == strlen(text) &&
                memcmp(a->text.data + item->offset, text, item->size) == 0) {
                return (int32_t)item->id;
            }
        }
    }
    return -1;
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id) {
    for (int i = 0; i < ADDED_LISTS; i++) {
        for (size_t k = 0; k < t->added[i].count; k++) {
            if (t->added[i].items[k].id == (uint32_t)id) {
                return t->added[i].items[k].special;
            }
        }
    }
    return false;
}

int tokenizer_state_open(struct tokenizer_state **out, const struct tokenizer *t, struct error *e) {
    struct tokenizer_state *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->tokenizer = t;
    bytes_init(&s->repaired, SIZE_MAX);
    bytes_init(&s->prefixed, SIZE_MAX);
    size_t cache_bytes = sizeof *s->cache << CACHE_BITS;
    s->cache = aligned_alloc(sizeof *s->cache, cache_bytes);
    int rc = matcher_open(&s->matcher, e);
    if (rc == 0 && s->cache == NULL) {
        rc = error_memory(e, NULL);
    }
    if (rc < 0) {
        tokenizer_state_close(s);
        return rc;
    }
    memset(s->cache, 0, cache_bytes); /* no piece is of length 0 */
    *out = s;
    return 0;
}

void tokenizer_state_close(struct tokenizer_state *s) {
    if (s != NULL) {
        matcher_close(s->matcher);
        free(s->cache);
        free(s->symbols);
        free(s->heap);
        bytes_close(&s->repaired);
        bytes_close(&s->prefixed);
        free(s);
    }
}

/* Encodes text between the added tokens of the list `list` and those after it, and these. */
static int encode_around(struct tokenizer_state *s, int list, const unsigned char *text,
                         size_t size, struct error *e) {
    if (list == ADDED_LISTS) {
        return split_text(s, 0, text, size, e);
    }
    for (size_t from = 0; from < size;) {
        size_t start = size, end = size;
        const struct added *found =
            added_find(&s->tokenizer->added[list], text, size, from, &start, &end);
        int rc = encode_around(s, list + 1, text + from, start - from, e);
        if (rc == 0 && found != NULL) {
            rc = token_list_reserve(s->out, 1, e);
        }
        if (rc < 0) {
            return rc;
        }
        if (found != NULL && s->counting) {
            s->counted++;
        } else if (found != NULL) {
            s->out->ids[s->out->count++] = (int32_t)found->id;
        }
        from = end;
    }
    return 0;
}

static int encode(struct tokenizer_state *s, const char *text, size_t size,
                  enum tokenizer_special special, struct token_list *out, struct error *e) {
    if (size > TOKENIZER_FILE_LIMIT) {
        return error_set(e, ERR_LIMIT, "a text of more than %d bytes", TOKENIZER_FILE_LIMIT);
    }
    if (size > 0 && !utf8_is_valid(text, size)) {
        size_t replaced = 0;
        bytes_clear(&s->repaired);
        int rc = utf8_repair(&s->repaired, text, size, &replaced, e);
        if (rc < 0) {
            return rc;
        }
        text = bytes_text(&s->repaired);
        size = s->repaired.size;
    }
    s->out = out;
    const unsigned char *first = (const unsigned char *)text;
    s->readable = size > 0 ? first + size : first;
    return encode_around(s, special == TOKENIZER_ADDED ? 0 : ADDED_LISTS, first, size, e);
}

int tokenizer_encode(struct tokenizer_state *s, const char *text, size_t size,
                     enum tokenizer_special special, struct token_list *out, struct error *e) {
    size_t before = out->count;
    s->counting = false;
    int rc = encode(s, text, size, special, out, e);
    if (rc < 0) {
        out->count = before;
    }
    return rc;
}

int tokenizer_count(struct tokenizer_state *s, const char *text, size_t size,
                    enum tokenizer_special special, size_t *count, struct error *e) {
    struct token_list piece = {0};
    s->counting = true;
    s->counted = 0;
    int rc = encode(s, text, size, special, &piece, e);
    *count = rc < 0 ? 0 : s->counted;
    token_list_close(&piece);
    return rc;
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count, struct bytes *out,
                     struct error *e) {
    size_t before = out->size;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t size;
        const unsigned char *bytes = tokenizer_bytes(t, ids[i], &size);
        rc = bytes != NULL ? bytes_append(out, bytes, size, e)
                           : error_set(e, ERR_FORMAT, "no token has the id %d", (int)ids[i]);
    }
    if (rc < 0) {
        out->size = before;
    }
    return rc;
}
