/* template.h - templates in the part of Jinja that chat templates are written in, rendered as
 * Python's jinja2 renders them with the settings of Hugging Face's transformers (trim_blocks,
 * lstrip_blocks, loop controls, tojson without HTML escapes, raise_exception, strftime_now,
 * {% generation %}).
 *
 * Tags: if, elif, else; for (unpacking, `if`, else), break, continue; set (also of namespaces and
 * of blocks), macro, generation. Expressions: ~, + and - and % of whole numbers, + of texts and
 * lists, comparisons, slices, `a if b else c`, calls with keywords. Filters: capitalize, d,
 * default, dictsort (by key), items, join, length, list, lower, map, reject, rejectattr, replace,
 * safe, select, selectattr, string, tojson, trim, upper. Tests: boolean, defined, eq, equalto,
 * false, float, in, integer, iterable, mapping, ne, none, number, sequence, string, true,
 * undefined. Functions: namespace, range, raise_exception, strftime_now (%Y %m %d %b %B %H %M).
 * Methods of text: capitalize, endswith, lower, lstrip, replace, rstrip, split, startswith, strip,
 * upper; of dicts: get, items, keys, values. That is what the templates of TRL are made of, and
 * little more.
 *
 * Refused with ERR_UNSUPPORTED and its name: everything else, when it is reached (a tag: when it is
 * read); whole numbers beyond 64 bits; upper and lower case of letters outside ASCII.
 *
 * Templates and variables are hostile until shown otherwise: nothing changes a variable, nesting,
 * steps and memory are limited. */
#ifndef OCC_TRAIN_TEMPLATE_TEMPLATE_H
#define OCC_TRAIN_TEMPLATE_TEMPLATE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "store/bytes.h"

enum {
    TEMPLATE_SIZE_LIMIT = 1 << 20,          /* bytes of a template */
    TEMPLATE_NESTING_LIMIT = 100,           /* tags, expressions and values within each other */
    TEMPLATE_MEMORY_LIMIT = 256 << 20,      /* bytes that rendering takes, its result aside */
    TEMPLATE_STEPS_LIMIT = 20 * 1000 * 1000 /* each is about 50 ns */
};

struct template; /* read-only, shared by threads */

/* Nothing is kept of `text`, which need not end in a zero. ERR_FORMAT with the line: it is no
 * template. */
int template_open(struct template **out, const char *text, size_t size, struct error *e);
void template_close(struct template *t); /* NULL is allowed */

/* Of the result: what {% generation %} blocks wrote. */
struct template_span {
    size_t start, end;
};
struct template_spans {
    struct template_span *items; /* owned, by free() */
    size_t count, capacity;
};

struct template_input {
    const json_t *variables; /* an object; names in Python's way, null is None */
    int64_t now;             /* seconds since 1970, for strftime_now, which answers in UTC */
    int64_t *steps;          /* that several renderings have left; NULL: TEMPLATE_STEPS_LIMIT */
};
/* Appends the result to `out`, which is as before on failure, as *spans (NULL: not wanted) is.
 * ERR_FORMAT: what raise_exception says, and what is an error in Python; ERR_LIMIT, ERR_MEMORY. */
int template_render(const struct template *t, const struct template_input *in, struct bytes *out,
                    struct template_spans *spans, struct error *e);

#endif
