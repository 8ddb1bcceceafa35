/* tokenizer_pattern.c - split patterns, by PCRE2. The only file that knows PCRE2.
 *
 * Patterns are translated (tokenizer_dialect.c) and compiled for well-formed UTF-8 with Unicode
 * properties; `^` and `$` are of lines, as Oniguruma has them. Where there is no JIT, or its stack
 * is too small, PCRE2's interpreter does the same. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "train/tokenizer/tokenizer_parts.h"

enum {
    PATTERN_LIMIT = 64 * 1024,
    JIT_STACK_FIRST = 32 * 1024,
    JIT_STACK_LIMIT = 8 << 20,
    STEP_LIMIT = 10 * 1000 * 1000, /* of a match; a piece wants a few */
    HEAP_LIMIT_KIB = 256 * 1024,
};

struct pattern {
    pcre2_code *code;
    bool jit;
};

struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static int compile(struct pattern *p, const unsigned char *text, size_t size, uint32_t options,
                   struct error *e) {
    int number;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context == NULL) {
        return error_memory(e, NULL);
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    p->code = pcre2_compile(text, size, PCRE2_UTF | options, &number, &offset, context);
    pcre2_compile_context_free(context);
    if (p->code == NULL && number == PCRE2_ERROR_HEAP_FAILED) {
        return error_memory(e, NULL);
    }
    if (p->code == NULL) {
        unsigned char reason[160] = "";
        pcre2_get_error_message(number, reason, sizeof reason);
        return error_set(e, ERR_UNSUPPORTED, "split pattern: %s at offset %zu", (char *)reason,
                         (size_t)offset);
    }
    p->jit = pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0;
    return 0;
}

int pattern_open(struct pattern **out, const char *text, size_t size, bool literal,
                 struct error *e) {
    struct bytes translated;
    bytes_init(&translated, PATTERN_LIMIT);
    struct pattern *p = calloc(1, sizeof *p);
    int rc = p == NULL ? error_memory(e, NULL) : 0;
    if (rc == 0 && size == 0) {
        rc = error_set(e, ERR_FORMAT, "an empty split pattern");
    }
    if (rc == 0 && literal) {
        rc = bytes_append(&translated, text, size, e);
    } else if (rc == 0) {
        rc = pattern_translate(&translated, text, size, e);
    }
    if (rc == 0) {
        uint32_t options = literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE;
        rc = compile(p, translated.data, translated.size, options, e);
    }
    bytes_close(&translated);
    if (rc < 0) {
        pattern_close(p);
        p = NULL;
    }
    *out = p;
    return rc;
}

void pattern_close(struct pattern *p) {
    if (p != NULL) {
        pcre2_code_free(p->code);
        free(p);
    }
}

int matcher_open(struct matcher **out, struct error *e) {
    struct matcher *m = calloc(1, sizeof *m);
    *out = m;
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_LIMIT, NULL); /* may be NULL */
    if (m->data == NULL || m->context == NULL) {
        matcher_close(m);
        *out = NULL;
        return error_memory(e, NULL);
    }
    pcre2_set_match_limit(m->context, STEP_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return 0;
}

void matcher_close(struct matcher *m) {
    if (m != NULL) {
        pcre2_jit_stack_free(m->stack);
        pcre2_match_context_free(m->context);
        pcre2_match_data_free(m->data);
        free(m);
    }
}

int pattern_find(const struct pattern *p, struct matcher *m, const unsigned char *text, size_t size,
                 size_t at, size_t *start, size_t *end, struct error *e) {
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (p->jit) {
        rc = pcre2_jit_match(p->code, text, size, at, PCRE2_NOTEMPTY, m->data, m->context);
    }
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        uint32_t options = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT;
        rc = pcre2_match(p->code, text, size, at, options, m->data, m->context);
    }
    if (rc == PCRE2_ERROR_NOMATCH) {
        return 0;
    }
    if (rc == PCRE2_ERROR_NOMEMORY) {
        return error_memory(e, NULL);
    }
    if (rc < 0) {
        unsigned char reason[160] = "";
        pcre2_get_error_message(rc, reason, sizeof reason);
        return error_set(e, ERR_LIMIT, "split pattern: %s", (char *)reason);
    }
    const PCRE2_SIZE *place = pcre2_get_ovector_pointer(m->data);
    *start = place[0];
    *end = place[1];
    return 1;
}
