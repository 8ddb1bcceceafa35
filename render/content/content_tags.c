/* content_tags.c - the hashtags that title and description do not show already. */
#include "render/content/content_parts.h"

#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>

#include "store/table.h"
#include "store/utf8.h"

/* Appends characters without their case, up to one that is part of no tag if `tag_only`; *used: the
 * bytes read. */
static int fold(struct bytes *out, const char *text, size_t size, bool tag_only, size_t *used,
                struct error *e) {
    int rc = 0;
    size_t at = 0;
    while (at < size && rc == 0) {
        uint32_t code_point;
        bool valid;
        size_t step = utf8_decode(text + at, size - at, &code_point, &valid);
        UChar32 c = (UChar32)code_point;
        if (tag_only && (u_isUWhiteSpace(c) || (u_ispunct(c) && c != '_'))) {
            break;
        }
        char folded[4];
        size_t folded_size = utf8_encode((uint32_t)u_foldCase(c, U_FOLD_CASE_DEFAULT), folded);
        rc = bytes_append(out, folded, folded_size, e);
        at += step;
    }
    *used = at;
    return rc;
}

/* The size of the "#" or "＃" at text[0]; 0: there is none. */
static size_t hash_size(const char *text, size_t size) {
    static const char FULL_WIDTH[] = "＃";
    if (size > 0 && text[0] == '#') {
        return 1;
    }
    bool wide =
        size >= sizeof FULL_WIDTH - 1 && memcmp(text, FULL_WIDTH, sizeof FULL_WIDTH - 1) == 0;
    return wide ? sizeof FULL_WIDTH - 1 : 0;
}

/* Adds the tags of a text to `seen`, each as a whole: "#banana" does not show "#ban". */
static int add_seen(struct table *seen, struct content_string s, struct error *e) {
    struct bytes tag;
    bytes_init(&tag, SIZE_MAX);
    int rc = 0;
    for (size_t at = 0; at < s.size && rc >= 0;) {
        size_t hash = hash_size(s.text + at, s.size - at), used = 0;
        at += hash > 0 ? hash : 1;
        if (hash > 0) {
            bytes_clear(&tag);
            rc = fold(&tag, s.text + at, s.size - at, true, &used, e);
            if (rc == 0 && tag.size > 0) {
                rc = table_add(seen, bytes_text(&tag), 0, NULL, e);
            }
            at += used;
        }
    }
    bytes_close(&tag);
    return rc < 0 ? rc : 0;
}

/* Appends "#tag" unless it was seen. */
static int put_tag(struct content_layout *l, struct phrase *p, struct table *seen, size_t index,
                   struct content_string tag, struct error *e) {
    char pointer[64];
    struct bytes folded;
    size_t used, start = 0;
    size_t hash = hash_size(tag.text, tag.size);
    while (hash > 0) {
        start += hash;
        hash = hash_size(tag.text + start, tag.size - start);
    }
    struct content_string rest = {tag.text + start, tag.size - start};
    bytes_init(&folded, SIZE_MAX);
    int rc = fold(&folded, rest.text, rest.size, false, &used, e);
    int added = rc == 0 && rest.size > 0 ? table_add(seen, bytes_text(&folded), 0, NULL, e) : rc;
    bytes_close(&folded);
    if (added <= 0) {
        return added;
    }
    uint32_t source;
    snprintf(pointer, sizeof pointer, "/hashtags/%zu", index);
    rc = layout_source(l, "json", pointer, &source, e);
    if (rc == 0 && p->count > 0) {
        rc = phrase_mark(p, " ", e);
    }
    phrase_isolate(p, true);
    if (rc == 0) {
        rc = phrase_mark(p, "#", e);
    }
    if (rc == 0) {
        rc = phrase_text(p, rest, source, (uint32_t)start, e);
    }
    phrase_isolate_end(p);
    return rc;
}

int layout_hashtags(struct content_layout *l, const json_t *about, struct error *e) {
    struct phrase p = phrase_of(l);
    struct table *seen = NULL;
    const json_t *tags = json_object_get(about, "hashtags");
    size_t count = json_array_size(tags);
    int rc = table_open(&seen, e);
    if (rc == 0) {
        rc = add_seen(seen, content_string(about, "description"), e);
    }
    if (rc == 0) {
        rc = add_seen(seen, content_string(about, "title"), e);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        const json_t *tag = json_array_get(tags, i);
        struct content_string text = {json_string_value(tag), json_string_length(tag)};
        rc = text.size > 0 ? put_tag(l, &p, seen, i, text, e) : 0;
    }
    if (rc == 0) {
        rc = layout_spans(l, PART_HASHTAGS, p.spans, p.count, 0, e);
    }
    table_close(seen);
    return rc;
}
