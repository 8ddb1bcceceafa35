/* content_parts.h - what the parts of a sample share; for render/content/content*.c only. */
#ifndef OCC_RENDER_CONTENT_CONTENT_PARTS_H
#define OCC_RENDER_CONTENT_CONTENT_PARTS_H

#include "render/content/content.h"

/* One sample on its way onto pages. */
struct content_layout {
    struct pager *pager;
    const struct stream_sample *sample;
    const struct content_options *options;
    struct page_sources *sources;
    json_t *warnings;
    struct arena *scratch; /* given up after each part */
    const char *key;       /* of the sample, in sources->arena; NULL before the first source */
    bool cells;            /* the profile has cells: newlines are drawn, and nothing is left out */
};

/* Cues and comments of a sample that are looked at; more are left out, with a warning. */
enum { CONTENT_ITEMS = 1 << 20 };

/* A string of a JSON tree; `text` is NULL where there is none. */
struct content_string {
    const char *text;
    size_t size;
};

/* The member `name` if it is a non-empty string. */
struct content_string content_string(const json_t *object, const char *name);

/* The tree of a member, or NULL: it is absent, or cannot be read or is of another type, which is
 * then among the warnings. Only *rc < 0 is a failure. */
json_t *layout_read(struct content_layout *l, const char *suffix, json_type type, int *rc,
                    struct error *e);
/* Of a list's items, CONTENT_ITEMS at most; the warning about those that are left out. */
size_t layout_items(const json_t *list);
int layout_warn_items(struct content_layout *l, const char *suffix, const json_t *list,
                      size_t unreadable, struct error *e);

/* A new source; `pointer` and `suffix` are copied, `pointer` may be NULL. */
int layout_source(struct content_layout *l, const char *suffix, const char *pointer,
                  uint32_t *number, struct error *e);
/* The source of a string of an array's item: pointer "/INDEX/NAME". */
int layout_item_source(struct content_layout *l, const char *suffix, size_t index, const char *name,
                       uint32_t *number, struct error *e);

/* ---- A paragraph put together (content_text.c) --------------------------------------- */

struct phrase {
    struct arena *arena;
    struct span *spans;
    size_t count, capacity;
    uint32_t last;     /* its last character, 0 at the beginning */
    uint32_t isolate;  /* the current one, 0: none */
    uint32_t isolates; /* begun so far */
    bool leads;        /* the current one */
    bool exact;        /* newlines and blanks stay as they are: the profile has cells */
};

/* An empty one, as the layout wants it. */
struct phrase phrase_of(const struct content_layout *l);

/* A part of the phrase that is to keep its direction for itself (struct span): what is appended
 * between the two calls. */
void phrase_isolate(struct phrase *p, bool leads);
void phrase_isolate_end(struct phrase *p);
/* Appends a span as it is. */
int phrase_span(struct phrase *p, struct span span, struct error *e);
/* Appends text that no source holds; it must live as long as the phrase. */
int phrase_mark(struct phrase *p, const char *text, struct error *e);
/* Likewise; no line ends between it and what is there. */
int phrase_glued(struct phrase *p, const char *text, struct error *e);
/* Appends bytes [start, start + s.size) of a source. Unless the phrase is exact, newlines and the
 * blanks around them become one space each, or nothing between characters of scripts that are
 * written without spaces. */
int phrase_text(struct phrase *p, struct content_string s, uint32_t source, uint32_t start,
                struct error *e);
/* Begins a new word: a space, unless `next` and what is there are written without spaces. */
int phrase_space(struct phrase *p, struct content_string next, struct error *e);

/* Gives a paragraph to the pager, unless it is empty. */
int layout_spans(struct content_layout *l, enum page_part part, const struct span *spans,
                 size_t count, int indent, struct error *e);
/* A whole string with its newlines. */
int layout_string(struct content_layout *l, enum page_part part, struct content_string s,
                  const char *suffix, const char *pointer, struct error *e);

/* In cells: the sign of a newline, which no source holds. */
int layout_newline(struct content_layout *l, enum page_part part, struct error *e);

/* "1.2K", "34M": rounded down; `value` >= 0. */
enum { CONTENT_NUMBER = 24 };
void content_number(char text[CONTENT_NUMBER], int64_t value);

/* Whether `title` says no more than the beginning of `description`: up to a final "..." or "…",
 * whatever the blanks are. */
bool content_repeats(struct content_string title, struct content_string description);

/* ---- Parts --------------------------------------------------------------------------- */

int layout_script(struct content_layout *l, struct error *e);
int layout_comments(struct content_layout *l, struct error *e);
/* `about`: the member .json, or NULL. */
int layout_hashtags(struct content_layout *l, const json_t *about, struct error *e);

#endif
