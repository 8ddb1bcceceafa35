/* run.c - templates rendered: their statements. */
#include "train/template/run.h"

#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/utf8.h"

struct template {
    struct arena *arena;
    struct statement *first;
};

enum { CAPTURE_LIMIT = 64 << 20 };

int template_open(struct template **out, const char *text, size_t size, struct error *e) {
    if (size > TEMPLATE_SIZE_LIMIT) {
        return error_set(e, ERR_LIMIT, "a template of more than %d bytes", TEMPLATE_SIZE_LIMIT);
    }
    if (!utf8_is_valid(text, size)) {
        return error_set(e, ERR_FORMAT, "is not UTF-8");
    }
    struct template *t = calloc(1, sizeof *t);
    struct bytes source;
    struct text lines;
    struct lexeme *tokens;
    bytes_init(&source, TEMPLATE_SIZE_LIMIT);
    int rc = t == NULL ? error_memory(e, NULL) : arena_open(&t->arena, TEMPLATE_MEMORY_LIMIT, e);
    for (size_t i = 0; i < size && rc == 0; i++) { /* lines end in \n, the last one in nothing */
        bool carriage = text[i] == '\r';
        i += carriage && i + 1 < size && text[i + 1] == '\n';
        bool last = i + 1 == size && (carriage || text[i] == '\n');
        rc = last ? 0 : bytes_append(&source, carriage ? "\n" : text + i, 1, e);
    }
    rc = rc < 0 ? rc : text_copy(t->arena, bytes_text(&source), source.size, &lines, e);
    rc = rc < 0 ? rc : template_lex(t->arena, lines, &tokens, e);
    rc = rc < 0 ? rc : statements_parse(t->arena, tokens, &t->first, e);
    bytes_close(&source);
    if (rc < 0) {
        template_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

void template_close(struct template *t) {
    if (t != NULL) {
        arena_close(t->arena);
        free(t);
    }
}

int run_charge(struct run *r, int64_t steps) {
    r->steps -= steps;
    return r->steps >= 0 ? 0 : error_set(r->e, ERR_LIMIT, "it takes too long");
}

/* ---- Variables ----------------------------------------------------------------------------- */

int run_push(struct run *r, struct frame *parent) {
    struct frame *frame = arena_alloc(r->arena, 1, sizeof *frame);
    if (frame == NULL) {
        return error_memory(r->e, "a template");
    }
    frame->parent = parent;
    r->frame = frame;
    return 0;
}

int run_bind(struct run *r, struct text name, const struct value *value) {
    struct frame *f = r->frame;
    run_spend(r, (int64_t)(f->count / 8 + name.size / 16));
    for (size_t i = 0; i < f->count; i++) {
        if (text_equal(f->bindings[i].name, name)) {
            f->bindings[i].value = *value;
            return 0;
        }
    }
    void *bindings = f->bindings;
    int rc = arena_grow(r->arena, &bindings, f->count, &f->capacity, sizeof *f->bindings, r->e);
    if (rc == 0) {
        f->bindings = bindings;
        f->bindings[f->count++] = (struct binding){.name = name, .value = *value};
    }
    return rc;
}

const struct value *run_find(struct run *r, struct text name) {
    run_spend(r, (int64_t)(name.size / 16));
    for (const struct frame *f = r->frame; f != NULL; f = f->parent) {
        run_spend(r, (int64_t)(f->count / 8));
        for (size_t i = 0; i < f->count; i++) {
            if (text_equal(f->bindings[i].name, name)) {
                return &f->bindings[i].value;
            }
        }
    }
    return NULL;
}

int run_dict_set(struct run *r, struct dict *d, const struct value *key,
                 const struct value *value) {
    int rc = run_charge(r, (int64_t)(d->count / 8) + value_steps(key));
    return rc < 0 ? rc : dict_set(r->arena, d, key, value, r->e);
}

static int assign_member(struct run *r, const struct target *target, const struct value *value) {
    const struct value *space = run_find(r, target->name);
    if (space == NULL || space->type != VALUE_NAMESPACE) {
        return error_set(r->e, ERR_FORMAT, "%.*s is not a namespace", TEXT_ARGS(target->name));
    }
    struct value key = value_text(target->member);
    return run_dict_set(r, space->dict, &key, value);
}

int run_assign(struct run *r, const struct target *target, const struct value *value) {
    if (target->member.size > 0) {
        return assign_member(r, target, value);
    }
    if (target->count == 0) {
        return run_bind(r, target->name, value);
    }
    struct list *items;
    int rc = run_items(r, value, &items);
    if (rc == 0 && items->count != target->count) {
        rc = error_set(r->e, ERR_FORMAT, "%zu values for %zu names", items->count, target->count);
    }
    for (size_t i = 0; i < target->count && rc == 0; i++) {
        rc = run_bind(r, target->names[i], &items->items[i]);
    }
    return rc;
}

/* ---- Statements ---------------------------------------------------------------------------- */

static int run_print(struct run *r, const struct statement *s) {
    struct value value;
    int rc = evaluate(r, s->expression, &value);
    rc = rc < 0 ? rc : run_charge(r, value_steps(&value));
    return rc < 0 ? rc : value_print(r->out, &value, false, r->e);
}

static int run_if(struct run *r, const struct statement *s) {
    for (; s != NULL; s = s->chain) {
        struct value condition;
        int rc = evaluate(r, s->expression, &condition);
        if (rc < 0 || value_true(&condition)) {
            return rc < 0 ? rc : run_statements(r, s->body);
        }
        if (s->chain == NULL) {
            return run_statements(r, s->otherwise);
        }
    }
    return 0;
}

/* The items for which the loop's condition holds. */
static int filter_items(struct run *r, const struct statement *s, struct list **items) {
    struct frame *outer = r->frame;
    struct list *all = *items;
    struct value kept, condition;
    int rc = run_list(r, all->count, &kept);
    *items = kept.list;
    if (rc == 0) {
        kept.list->count = 0;
    }
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        rc = run_push(r, outer);
        rc = rc < 0 ? rc : run_assign(r, &s->target, &all->items[i]);
        rc = rc < 0 ? rc : evaluate(r, s->condition, &condition);
        if (rc == 0 && value_true(&condition)) {
            kept.list->items[kept.list->count++] = all->items[i];
        }
        r->frame = outer;
    }
    return rc;
}

static int run_for(struct run *r, const struct statement *s) {
    struct frame *outer = r->frame;
    struct loop *loop = arena_alloc(r->arena, 1, sizeof *loop);
    struct value sequence;
    struct list *items = NULL;
    int rc = loop == NULL ? error_memory(r->e, "a template") : 0;
    rc = rc < 0 ? rc : evaluate(r, s->expression, &sequence);
    rc = rc < 0 ? rc : run_items(r, &sequence, &items);
    if (rc == 0 && s->condition != NULL) {
        rc = filter_items(r, s, &items);
    }
    if (rc < 0 || items->count == 0) {
        return rc < 0 ? rc : run_statements(r, s->otherwise);
    }
    *loop = (struct loop){.items = items};
    struct value self = {.type = VALUE_LOOP, .loop = loop};
    for (; loop->index < items->count && rc >= 0 && rc != RUN_BREAK; loop->index++) {
        rc = run_push(r, outer); /* each turn has variables of its own */
        rc = rc < 0 ? rc : run_bind(r, TEXT("loop"), &self);
        rc = rc < 0 ? rc : run_assign(r, &s->target, &items->items[loop->index]);
        rc = rc < 0 ? rc : run_statements(r, s->body);
        r->frame = outer;
    }
    return rc < 0 ? rc : 0;
}

int run_captured(struct run *r, const struct statement *s, struct value *out) {
    struct bytes text, *outer = r->out;
    bytes_init(&text, CAPTURE_LIMIT);
    r->out = &text;
    int rc = run_statements(r, s);
    r->out = outer;
    rc = rc < 0 ? rc : run_charge(r, (int64_t)(text.size / 16));
    *out = value_none();
    if (rc >= 0) {
        out->type = VALUE_TEXT;
        rc = text_copy(r->arena, bytes_text(&text), text.size, &out->text, r->e);
    }
    bytes_close(&text);
    return rc;
}

static int run_set(struct run *r, const struct statement *s) {
    struct frame *outer = r->frame;
    struct value value;
    int rc;
    if (s->expression != NULL) {
        rc = evaluate(r, s->expression, &value);
    } else {
        rc = run_push(r, outer);
        rc = rc < 0 ? rc : run_captured(r, s->body, &value);
        r->frame = outer;
    }
    return rc < 0 ? rc : run_assign(r, &s->target, &value);
}

static int run_macro(struct run *r, const struct statement *s) {
    struct macro *macro = arena_alloc(r->arena, 1, sizeof *macro);
    if (macro == NULL) {
        return error_memory(r->e, "a template");
    }
    *macro = (struct macro){.statement = s, .frame = r->frame};
    struct value value = {.type = VALUE_MACRO, .macro = macro};
    return run_bind(r, s->text, &value);
}

static int run_generation(struct run *r, const struct statement *s) {
    struct frame *outer = r->frame;
    size_t start = r->out->size;
    int rc = run_push(r, outer);
    rc = rc < 0 ? rc : run_statements(r, s->body);
    r->frame = outer;
    struct template_spans *spans = r->spans;
    if (rc < 0 || spans == NULL || r->out != r->result || r->out->size == start) {
        return rc;
    }
    void *items =
        array_grow(spans->items, &spans->capacity, spans->count + 1, sizeof *spans->items, r->e);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    spans->items = items;
    spans->items[spans->count++] =
        (struct template_span){start - r->begin, r->out->size - r->begin};
    return rc;
}

static int run_data(struct run *r, const struct statement *s) {
    int rc = run_charge(r, (int64_t)(s->text.size / 16));
    return rc < 0 ? rc : bytes_append(r->out, s->text.data, s->text.size, r->e);
}

static int run_break(struct run *r, const struct statement *s) {
    (void)r;
    return s->type == STATEMENT_BREAK ? RUN_BREAK : RUN_CONTINUE;
}

int run_statements(struct run *r, const struct statement *s) {
    static int (*const RUNNERS[])(struct run *, const struct statement *) = {
        [STATEMENT_DATA] = run_data,
        [STATEMENT_PRINT] = run_print,
        [STATEMENT_IF] = run_if,
        [STATEMENT_FOR] = run_for,
        [STATEMENT_SET] = run_set,
        [STATEMENT_MACRO] = run_macro,
        [STATEMENT_GENERATION] = run_generation,
        [STATEMENT_BREAK] = run_break,
        [STATEMENT_CONTINUE] = run_break};
    int rc = 0;
    if (r->depth >= RUN_DEPTH_LIMIT) {
        return error_set(r->e, ERR_LIMIT, "it is nested too deeply");
    }
    r->depth++;
    for (; s != NULL && rc == 0; s = s->next) {
        r->line = s->line;
        rc = run_charge(r, 1);
        rc = rc < 0 ? rc : RUNNERS[s->type](r, s);
    }
    r->depth--;
    return rc;
}

/* ---- A run --------------------------------------------------------------------------------- */

static int bind_variables(struct run *r) {
    struct value all;
    int rc = run_push(r, NULL);
    rc = rc < 0 ? rc : value_of_json(r->arena, r->in->variables, 0, &all, r->e);
    rc = rc < 0 ? rc : value_seal(&all, r->e);
    for (size_t i = 0; rc == 0 && i < all.dict->count; i++) {
        rc = run_bind(r, all.dict->entries[i].key.text, &all.dict->entries[i].value);
    }
    return rc < 0 ? rc : run_push(r, r->frame);
}

int template_render(const struct template *t, const struct template_input *in, struct bytes *out,
                    struct template_spans *spans, struct error *e) {
    struct error why = {0};
    struct run r = {.in = in,
                    .out = out,
                    .result = out,
                    .begin = out->size,
                    .spans = spans,
                    .steps = in->steps != NULL ? *in->steps : TEMPLATE_STEPS_LIMIT,
                    .e = &why};
    size_t span_count = spans != NULL ? spans->count : 0;
    bytes_init(&r.scratch, CAPTURE_LIMIT);
    int rc = arena_open(&r.arena, TEMPLATE_MEMORY_LIMIT, &why);
    rc = rc < 0 ? rc : bind_variables(&r);
    rc = rc < 0 ? rc : run_statements(&r, t->first);
    if (rc < 0) {
        out->size = r.begin;
        if (out->data != NULL) {
            out->data[out->size] = 0;
        }
        if (spans != NULL) {
            spans->count = span_count;
        }
        rc = r.line > 0 ? error_context(&why, "line %d", r.line) : rc;
        rc = error_set(e, rc, "%s", why.text);
    }
    if (in->steps != NULL) {
        *in->steps = r.steps;
    }
    arena_close(r.arena);
    bytes_close(&r.scratch);
    return rc;
}
