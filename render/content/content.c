/* content.c - see content.h. Text goes to the pager as spans that point into JSON trees; numbers,
 * marks and separators are spans of source 0. */
#include "render/content/content.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unicode/uloc.h>

#include "render/content/content_parts.h"
#include "store/utf8.h"

enum { DATE_BYTES = 16, POINTER_BYTES = 64, LANGUAGE_BYTES = 36 };
#define SCRATCH_LIMIT ((size_t)1 << 30)
#define LATEST_DATE INT64_C(253402300799) /* the last second of 9999 */
static const char ABOUT[] = "json", MEL[] = "mel.pgm";

/* ---- Options ------------------------------------------------------------------------- */

static int part_of_name(const char *name, size_t size) {
    for (int i = 0; i < PART_COUNT; i++) {
        if (strlen(PAGE_PARTS[i]) == size && memcmp(PAGE_PARTS[i], name, size) == 0) {
            return i;
        }
    }
    return -1;
}

int content_parse_parts(struct content_options *o, const char *list, struct error *e) {
    bool has[PART_COUNT] = {false};
    uint8_t parts[PART_COUNT];
    int count = 0;
    const char *name = list;
    for (bool more = true; more; name++) {
        size_t size = strcspn(name, ",");
        int part = part_of_name(name, size);
        if (part < 0) {
            return error_set(e, ERR_USAGE,
                             "'%.*s' is not a part of a page; there are header, thumbs, "
                             "description, script, hashtags, comments, audio",
                             size < 40 ? (int)size : 40, name);
        }
        if (has[part]) {
            return error_set(e, ERR_USAGE, "the part '%s' is there twice", PAGE_PARTS[part]);
        }
        has[part] = true;
        parts[count++] = (uint8_t)part;
        name += size;
        more = *name == ',';
    }
    memcpy(o->parts, parts, (size_t)count);
    o->part_count = count;
    return 0;
}

/* ---- Sources ------------------------------------------------------------------------- */

static int source_texts(struct content_layout *l, struct page_source *s, const char *suffix,
                        const char *pointer) {
    struct arena *arena = l->sources->arena;
    if (l->key == NULL) {
        l->key = arena_text(arena, l->sample->key, strlen(l->sample->key));
    }
    const struct page_source *before =
        l->sources->count ? &l->sources->items[l->sources->count - 1] : NULL;
    bool same = before != NULL && strcmp(before->member, suffix) == 0;
    s->key = l->key;
    s->member = same ? before->member : arena_text(arena, suffix, strlen(suffix));
    s->pointer = pointer != NULL ? arena_text(arena, pointer, strlen(pointer)) : NULL;
    return s->key != NULL && s->member != NULL && (s->pointer != NULL || pointer == NULL) ? 0 : -1;
}

int layout_source(struct content_layout *l, const char *suffix, const char *pointer,
                  uint32_t *number, struct error *e) {
    struct page_sources *all = l->sources;
    struct page_source source;
    if (all->count >= UINT32_MAX) {
        return error_set(e, ERR_LIMIT, "too many texts for one set of pages");
    }
    if (source_texts(l, &source, suffix, pointer) < 0) {
        return error_memory(e, NULL);
    }
    void *items = all->items;
    int rc = arena_grow(all->arena, &items, all->count, &all->capacity, sizeof *all->items, e);
    if (rc == 0) {
        all->items = items;
        all->items[all->count++] = source;
        *number = (uint32_t)all->count;
    }
    return rc;
}

int layout_item_source(struct content_layout *l, const char *suffix, size_t index, const char *name,
                       uint32_t *number, struct error *e) {
    char pointer[POINTER_BYTES];
    snprintf(pointer, sizeof pointer, "/%zu/%s", index, name);
    return layout_source(l, suffix, pointer, number, e);
}

/* ---- Members ------------------------------------------------------------------------- */

/* Adds "SUFFIX: text" to the warnings. */
static int warn(struct content_layout *l, const char *suffix, const char *text, struct error *e) {
    struct bytes line;
    size_t replaced = 0;
    bytes_init(&line, SIZE_MAX);
    int rc = bytes_printf(&line, e, "%s: ", suffix);
    if (rc == 0) {
        rc = utf8_repair(&line, text, strlen(text), &replaced, e);
    }
    json_t *string = rc == 0 ? json_stringn(bytes_text(&line), line.size) : NULL;
    bytes_close(&line);
    if (rc == 0 && json_array_append_new(l->warnings, string) != 0) {
        rc = error_memory(e, NULL);
    }
    return rc;
}

json_t *layout_read(struct content_layout *l, const char *suffix, json_type type, int *rc,
                    struct error *e) {
    const struct stream_member *member = stream_member_find(l->sample, suffix);
    if (member == NULL) {
        return NULL;
    }
    struct error why = {0};
    json_t *tree = json_read(member->data, member->size, NULL, &why);
    if (tree == NULL && why.code == ERR_MEMORY) {
        *rc = error_set(e, why.code, "%s", why.text);
    } else if (tree == NULL) {
        *rc = warn(l, suffix, why.text, e);
    } else if (json_typeof(tree) != type) {
        *rc = warn(l, suffix, type == JSON_ARRAY ? "not a list" : "not an object", e);
        json_decref(tree);
        tree = NULL;
    }
    return tree;
}

size_t layout_items(const json_t *list) {
    size_t count = json_array_size(list);
    return count < CONTENT_ITEMS ? count : CONTENT_ITEMS;
}

int layout_warn_items(struct content_layout *l, const char *suffix, const json_t *list,
                      size_t unreadable, struct error *e) {
    char text[80];
    size_t count = json_array_size(list), read = layout_items(list);
    int rc = 0;
    if (read < count) {
        snprintf(text, sizeof text, "only the first %zu of %zu items were read", read, count);
        rc = warn(l, suffix, text, e);
    }
    if (rc == 0 && unreadable > 0) {
        snprintf(text, sizeof text, "%zu of %zu items have no text", unreadable, read);
        rc = warn(l, suffix, text, e);
    }
    return rc;
}

struct content_string content_string(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    size_t size = json_string_length(value);
    return size ? (struct content_string){json_string_value(value), size}
                : (struct content_string){NULL, 0};
}

/* ---- Header -------------------------------------------------------------------------- */

/* Text that no source holds, after a separator where there is something already. */
static int header_item(struct phrase *p, const char *text, struct error *e) {
    const char *copy = arena_text(p->arena, text, strlen(text));
    int rc = copy != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0 && p->count > 0) {
        rc = phrase_mark(p, " · ", e);
    }
    return rc == 0 ? phrase_mark(p, copy, e) : rc;
}

static int header_account(struct content_layout *l, struct phrase *p, const json_t *about,
                          struct error *e) {
    struct content_string account = content_string(about, "account");
    if (account.text == NULL) {
        return 0;
    }
    uint32_t source;
    int rc = layout_source(l, ABOUT, "/account", &source, e);
    phrase_isolate(p, false);
    if (rc == 0 && account.text[0] != '@') {
        rc = phrase_mark(p, "@", e);
    }
    if (rc == 0) {
        rc = phrase_text(p, account, source, 0, e);
    }
    phrase_isolate_end(p);
    return rc;
}

static int header_date(struct phrase *p, const json_t *about, struct error *e) {
    int64_t created = json_get_integer(about, "created", -1);
    struct tm date;
    time_t seconds = (time_t)created;
    char text[DATE_BYTES];
    if (created < 0 || created > LATEST_DATE || gmtime_r(&seconds, &date) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d", &date) == 0) {
        return 0;
    }
    return header_item(p, text, e);
}

static int header_count(struct phrase *p, const json_t *counts, const char *one, const char *many,
                        struct error *e) {
    int64_t value = json_get_integer(counts, many, -1);
    if (value < 0) {
        return 0;
    }
    char number[CONTENT_NUMBER];
    content_number(number, value);
    int rc = header_item(p, number, e);
    if (rc == 0) {
        rc = phrase_glued(p, " ", e);
    }
    return rc == 0 ? phrase_mark(p, value == 1 ? one : many, e) : rc;
}

static int layout_header(struct content_layout *l, const json_t *about, struct error *e) {
    struct phrase p = phrase_of(l);
    const json_t *counts = json_object_get(about, "counts");
    int rc = header_account(l, &p, about, e);
    if (rc == 0) {
        rc = header_date(&p, about, e);
    }
    if (rc == 0) {
        rc = header_count(&p, counts, "view", "views", e);
    }
    if (rc == 0) {
        rc = header_count(&p, counts, "like", "likes", e);
    }
    if (rc == 0) {
        rc = header_count(&p, counts, "comment", "comments", e);
    }
    return rc == 0 ? layout_spans(l, PART_HEADER, p.spans, p.count, 0, e) : rc;
}

/* ---- Pictures ------------------------------------------------------------------------ */

/* "000.jpg" */
static bool is_thumb(const char *suffix) {
    size_t digits = strspn(suffix, "0123456789");
    return digits >= 3 && strcmp(suffix + digits, ".jpg") == 0;
}

/* What a picture's reader gave: 1 where it is there, 0 where it is only a warning. */
static int judge_picture(struct content_layout *l, const char *suffix, int rc,
                         const struct error *why, struct error *e) {
    if (rc == ERR_MEMORY) {
        return error_set(e, rc, "%s", why->text);
    }
    rc = rc < 0 ? warn(l, suffix, why->text, e) : 1;
    return rc;
}

static int layout_thumbs(struct content_layout *l, struct error *e) {
    size_t all = l->sample->count, count = 0;
    struct page_picture *thumbs = arena_alloc(l->scratch, all, sizeof *thumbs);
    struct picture *pictures = arena_alloc(l->scratch, all, sizeof *pictures);
    int rc = thumbs != NULL && pictures != NULL ? 0 : error_memory(e, NULL);
    int64_t wanted = l->options->thumbs;
    for (size_t i = 0; i < all && rc >= 0 && (wanted <= 0 || (int64_t)count < wanted); i++) {
        const struct stream_member *m = &l->sample->members[i];
        if (!is_thumb(m->suffix)) {
            continue;
        }
        struct error why = {0};
        rc = picture_read_jpeg(&pictures[count], m->data, m->size, CELL, CELL, l->scratch, &why);
        rc = judge_picture(l, m->suffix, rc, &why, e);
        if (rc == 1) {
            thumbs[count].picture = &pictures[count];
            rc = layout_source(l, m->suffix, NULL, &thumbs[count].source, e);
            count++;
        }
    }
    return rc < 0 || count == 0 ? rc : pager_pictures(l->pager, PART_THUMBS, thumbs, count, e);
}

static int layout_audio(struct content_layout *l, struct error *e) {
    const struct stream_member *m = stream_member_find(l->sample, MEL);
    int width = pager_picture_width(l->pager);
    if (m == NULL || width < 1) {
        return 0;
    }
    struct picture picture;
    struct page_picture item = {.picture = &picture};
    struct error why = {0};
    int rc = picture_read_pgm(&picture, m->data, m->size, width, CELL, l->scratch, &why);
    rc = judge_picture(l, MEL, rc, &why, e);
    if (rc == 1) {
        rc = layout_source(l, MEL, NULL, &item.source, e);
        if (rc == 0) {
            rc = pager_pictures(l->pager, PART_AUDIO, &item, 1, e);
        }
    }
    return rc;
}

/* ---- Description --------------------------------------------------------------------- */

static int layout_description(struct content_layout *l, const json_t *about, struct error *e) {
    struct content_string title = content_string(about, "title");
    struct content_string description = content_string(about, "description");
    bool wanted =
        title.text != NULL && !(description.text != NULL && content_repeats(title, description));
    int rc = wanted ? layout_string(l, PART_DESCRIPTION, title, ABOUT, "/title", e) : 0;
    if (rc == 0 && wanted && description.text != NULL) {
        rc = layout_newline(l, PART_DESCRIPTION, e);
    }
    return rc == 0 && description.text != NULL
               ? layout_string(l, PART_DESCRIPTION, description, ABOUT, "/description", e)
               : rc;
}

/* ---- All of it ----------------------------------------------------------------------- */

/* The language as BCP 47; ingest has it as files name it: "eng", "zh_TW", "pt-BR". */
static void set_language(struct content_layout *l, const json_t *about) {
    struct content_string name = content_string(about, "language");
    char tag[LANGUAGE_BYTES] = "";
    UErrorCode status = U_ZERO_ERROR;
    bool known = name.text != NULL && name.size < sizeof tag &&
                 strspn(name.text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_") == name.size;
    if (known) { /* ISO 639-2 has two codes for it, ICU knows the other one */
        const char *id = strcmp(name.text, "chi") == 0 ? "zh" : name.text;
        uloc_toLanguageTag(id, tag, sizeof tag, 1, &status);
    }
    bool usable = known && U_SUCCESS(status) && status != U_STRING_NOT_TERMINATED_WARNING;
    pager_language(l->pager, usable && strcmp(tag, "und") != 0 ? tag : NULL);
}

static int layout_part(struct content_layout *l, enum page_part part, const json_t *about,
                       struct error *e) {
    switch (part) {
    case PART_HEADER:
        return layout_header(l, about, e);
    case PART_THUMBS:
        return layout_thumbs(l, e);
    case PART_DESCRIPTION:
        return layout_description(l, about, e);
    case PART_SCRIPT:
        return layout_script(l, e);
    case PART_HASHTAGS:
        return layout_hashtags(l, about, e);
    case PART_COMMENTS:
        return layout_comments(l, e);
    case PART_AUDIO:
        return layout_audio(l, e);
    case PART_COUNT:
        break;
    }
    return 0;
}

/* The parts in the order wanted; in cells thumbnails come first, since they begin a row of cells,
 * and what was before them would leave the rest of another one empty. */
static void order_parts(const struct content_layout *l, uint8_t parts[PART_COUNT]) {
    int count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < l->options->part_count; i++) {
            bool first = l->cells && l->options->parts[i] == PART_THUMBS;
            if (first == (pass == 0)) {
                parts[count++] = l->options->parts[i];
            }
        }
    }
}

int content_layout(struct pager *p, const struct stream_sample *sample,
                   const struct content_options *options, struct page_sources *sources,
                   json_t *warnings, struct error *e) {
    struct content_layout l = {.pager = p,
                               .sample = sample,
                               .options = options,
                               .sources = sources,
                               .warnings = warnings,
                               .cells = pager_has_cells(p)};
    json_t *about = NULL;
    int rc = arena_open(&l.scratch, SCRATCH_LIMIT, e);
    if (rc == 0) {
        about = layout_read(&l, ABOUT, JSON_OBJECT, &rc, e);
        set_language(&l, about);
        if (rc == 0) {
            rc = pager_clear(p, e); /* not beside the pictures of another sample */
        }
    }
    uint8_t parts[PART_COUNT];
    order_parts(&l, parts);
    for (int i = 0; i < options->part_count && rc == 0; i++) {
        rc = layout_part(&l, (enum page_part)parts[i], about, e);
        arena_reset(l.scratch);
    }
    json_decref(about);
    arena_close(l.scratch);
    return rc;
}
