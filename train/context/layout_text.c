/* layout_text.c - the texts of visual tokens as text tokens, made once. */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/facts.h"
#include "train/context/layout_parts.h"

struct text_maker {
    const struct layout *l;
    struct tokenizer_state *state;
    const struct history_account *account;
    struct layout_text *text;
    struct token_list made; /* of the stretch in hand */
    struct bytes facts, fact;
};

/* ---- Text tokens -------------------------------------------------------------------------- */

static int add_id(struct text_maker *m, int32_t id, uint32_t start, struct error *e) {
    struct layout_text *t = m->text;
    uint32_t *starts =
        array_grow(t->starts, &t->start_capacity, t->ids.count + 1, sizeof *starts, e);
    if (starts == NULL) {
        return ERR_MEMORY;
    }
    t->starts = starts;
    t->starts[t->ids.count] = start;
    return token_list_append(&t->ids, &id, 1, e);
}

/* Of tokens [from, end), whose texts follow each other. False: its tokens are not the bytes of the
 * text, because the tokenizer lacks some. */
static bool fits(const struct text_maker *m, size_t size) {
    size_t sum = 0, length;
    for (size_t i = 0; i < m->made.count; i++) {
        bool known = tokenizer_bytes(m->l->o.model->tokenizer, m->made.ids[i], &length) != NULL;
        sum += known ? length : 0;
    }
    return sum == size;
}

static int take_ids(struct text_maker *m, size_t from, size_t end, struct error *e) {
    const struct history_token *t = m->account->tokens;
    uint32_t at = t[from].text;
    size_t token = from, length;
    int rc = 0;
    for (size_t i = 0; i < m->made.count && rc == 0; i++) {
        while (token + 1 < end && at >= t[token + 1].text) {
            m->text->first[++token] = (uint32_t)m->text->ids.count;
        }
        rc = add_id(m, m->made.ids[i], at, e);
        tokenizer_bytes(m->l->o.model->tokenizer, m->made.ids[i], &length);
        at += (uint32_t)length;
    }
    while (token + 1 < end) {
        m->text->first[++token] = (uint32_t)m->text->ids.count;
    }
    return rc;
}

/* Each token's text by itself. */
static int take_apart(struct text_maker *m, size_t from, size_t end, struct error *e) {
    int rc = 0;
    for (size_t i = from; i < end && rc == 0; i++) {
        const struct history_token *t = &m->account->tokens[i];
        m->text->first[i] = (uint32_t)m->text->ids.count;
        m->made.count = 0;
        rc = tokenizer_encode(m->state, m->account->text + t->text, t->size, TOKENIZER_ORDINARY,
                              &m->made, e);
        for (size_t k = 0; k < m->made.count && rc == 0; k++) {
            rc = add_id(m, m->made.ids[k], t->text + (uint32_t)(t->size * k / m->made.count), e);
        }
    }
    return rc;
}

/* ---- Facts -------------------------------------------------------------------------------- */

static int add_fact(struct text_maker *m, const char *fact, size_t size, struct error *e) {
    bytes_clear(&m->fact);
    int rc = bytes_append_text(&m->fact, " ", e);
    rc = rc == 0 ? bytes_append(&m->fact, fact, size, e) : rc;
    return rc == 0 ? tokenizer_encode(m->state, bytes_text(&m->fact), m->fact.size,
                                      TOKENIZER_ORDINARY, &m->text->facts, e)
                   : rc;
}

/* Each fact belongs to the token in which it begins. */
static int take_facts(struct text_maker *m, size_t from, size_t end, struct error *e) {
    const struct history_token *t = m->account->tokens;
    const char *text = m->account->text, *at = text + t[from].text;
    const char *stop = text + t[end - 1].text + t[end - 1].size;
    size_t token = from;
    struct facts_found found;
    bytes_clear(&m->facts);
    int rc =
        facts_find(&m->facts, at, (size_t)(stop - at), facts_limit((size_t)(stop - at)), &found, e);
    const char *fact = bytes_text(&m->facts), *last = fact + m->facts.size;
    while (rc == 0 && fact < last) {
        size_t size = (size_t)((const char *)memchr(fact, '\n', (size_t)(last - fact)) - fact);
        const char *place = memmem(at, (size_t)(stop - at), fact, size);
        at = place != NULL ? place : at; /* spaces of it may be otherwise in the text */
        while (token + 1 < end && (size_t)(at - text) >= t[token + 1].text) {
            m->text->first_fact[++token] = (uint32_t)m->text->facts.count;
        }
        rc = add_fact(m, fact, size, e);
        fact += size + 1;
    }
    while (token + 1 < end) {
        m->text->first_fact[++token] = (uint32_t)m->text->facts.count;
    }
    return rc;
}

/* ---- Accounts ----------------------------------------------------------------------------- */

/* Tokens of one post and page whose texts follow each other: so what is older is made of nothing
 * that is newer. */
static size_t stretch_end(const struct history_account *a, size_t from) {
    const struct history_token *t = a->tokens;
    size_t end = from + 1;
    while (end < a->token_count && t[end].page == t[from].page && t[end].post == t[from].post &&
           t[end].text == t[end - 1].text + t[end - 1].size) {
        end++;
    }
    return end;
}

static int make_stretch(struct text_maker *m, size_t from, size_t end, struct error *e) {
    const struct history_token *t = m->account->tokens;
    size_t size = t[end - 1].text + t[end - 1].size - t[from].text;
    m->text->first[from] = (uint32_t)m->text->ids.count;
    if (m->text->first_fact != NULL) {
        m->text->first_fact[from] = (uint32_t)m->text->facts.count;
    }
    if (size == 0) { /* not known */
        for (size_t i = from; i < end; i++) {
            m->text->first[i] = m->text->first[from];
            if (m->text->first_fact != NULL) {
                m->text->first_fact[i] = m->text->first_fact[from];
            }
        }
        return 0;
    }
    m->made.count = 0;
    int rc = tokenizer_encode(m->state, m->account->text + t[from].text, size, TOKENIZER_ORDINARY,
                              &m->made, e);
    if (rc == 0) {
        rc = fits(m, size) ? take_ids(m, from, end, e) : take_apart(m, from, end, e);
    }
    if (rc == 0) {
        rc = add_id(m, m->l->newline, t[end - 1].text + t[end - 1].size, e);
    }
    return rc == 0 && m->text->first_fact != NULL ? take_facts(m, from, end, e) : rc;
}

static int make_text(struct text_maker *m, struct error *e) {
    struct layout_text *t = m->text;
    const size_t count = m->account->token_count;
    int rc = 0;
    t->first = calloc(count + 1, sizeof *t->first);
    t->first_fact = m->l->o.facts > 0 ? calloc(count + 1, sizeof *t->first_fact) : NULL;
    if (t->first == NULL || (m->l->o.facts > 0 && t->first_fact == NULL)) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0, end; i < count && rc == 0; i = end) {
        end = stretch_end(m->account, i);
        rc = make_stretch(m, i, end, e);
    }
    if (rc == 0 && (t->ids.count > UINT32_MAX || t->facts.count > UINT32_MAX)) {
        rc = error_set(e, ERR_LIMIT, "%s: has more than %u text tokens", m->account->name,
                       UINT32_MAX);
    }
    t->first[count] = (uint32_t)t->ids.count;
    if (t->first_fact != NULL) {
        t->first_fact[count] = (uint32_t)t->facts.count;
    }
    if (m->l->o.kind != CONTEXT_POOLED) {
        free(t->starts);
        t->starts = NULL;
        t->start_capacity = 0;
    }
    return rc;
}

int layout_texts_open(struct layout *l, const volatile sig_atomic_t *cancel, struct error *e) {
    struct text_maker m = {.l = l};
    const bool counted = (l->o.kind == CONTEXT_VISUAL || l->o.kind == CONTEXT_READ) &&
                         l->o.newest == 0; /* and never written */
    size_t count = history_count(l->h);
    bytes_init(&m.facts, FACTS_MOST);
    bytes_init(&m.fact, FACTS_MOST);
    l->texts = calloc(count + 1, sizeof *l->texts);
    int rc = l->texts != NULL ? tokenizer_state_open(&m.state, l->o.model->tokenizer, e)
                              : error_memory(e, NULL);
    for (size_t i = 0; i < count && rc == 0 && l->o.kind != CONTEXT_NONE; i++) {
        m.account = history_get(l->h, i);
        m.text = &l->texts[i];
        rc = cancel != NULL && *cancel ? error_set(e, ERR_CANCELLED, "stopped") : make_text(&m, e);
        if (counted) {
            token_list_close(&m.text->ids);
        }
    }
    tokenizer_state_close(m.state);
    token_list_close(&m.made);
    bytes_close(&m.facts);
    bytes_close(&m.fact);
    return rc;
}

void layout_texts_close(struct layout *l) {
    for (size_t i = 0; l->texts != NULL && i < history_count(l->h); i++) {
        free(l->texts[i].first);
        free(l->texts[i].starts);
        free(l->texts[i].first_fact);
        token_list_close(&l->texts[i].ids);
        token_list_close(&l->texts[i].facts);
    }
    free(l->texts);
}
