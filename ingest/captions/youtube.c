/* youtube.c - the formats of YouTube's captions: json3, and srv1 to srv3 in XML. They are
 * not documented; this is how files look.
 *
 *   {"events": [{"tStartMs": 160, "dDurationMs": 4240, "wWinId": 1, "aAppend": 1,
 *                "segs": [{"utf8": "so"}, {"utf8": " today", "tOffsetMs": 240}]}]}
 *   <timedtext format="3"><body><p t="160" d="4240" w="1" a="1">
 *     <s>so</s><s t="240"> today</s></p></body></timedtext>
 *   <timedtext><text t="160" d="4240" w="1" append="1">so today</text></timedtext>
 *   <transcript><text start="0.16" dur="4.24">so today, it&amp;#39;s</text></transcript>
 *
 * What is in <text> is HTML, escaped once more: &lt;i&gt; is a tag, &amp;lt; a '<'. */
#include <string.h>

#include "ingest/captions/formats.h"
#include "ingest/captions/windows.h"
#include "ingest/captions/xml.h"
#include "store/json.h"

/* ---- json3 ------------------------------------------------------------- */

static int add_json_event(struct caption_windows *w, struct bytes *text, const json_t *event,
                          struct error *e) {
    const json_t *segments = json_object_get(event, "segs");
    struct caption_event found = {.start_ms = json_get_integer(event, "tStartMs", CAPTION_NO_START),
                                  .duration_ms = json_get_integer(event, "dDurationMs", 0),
                                  .window = json_get_integer(event, "wWinId", CAPTION_NO_WINDOW),
                                  .append = json_get_flag(event, "aAppend")};
    bytes_clear(text);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(segments) && rc == 0; i++) {
        const json_t *part = json_object_get(json_array_get(segments, i), "utf8");
        if (json_is_string(part)) {
            rc = bytes_append(text, json_string_value(part), json_string_length(part), e);
        }
    }
    return rc == 0 ? caption_windows_add(w, &found, bytes_text(text), text->size, e) : rc;
}

int json3_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
               struct error *e) {
    json_t *root = json_read(text, size, &losses->repaired, e);
    if (root == NULL) {
        return e != NULL ? e->code : ERR_FORMAT;
    }
    const json_t *events = json_object_get(root, "events");
    struct caption_windows windows;
    struct bytes content;
    bytes_init(&content, CAPTION_TEXT_BYTES);
    caption_windows_open(&windows, cues, losses);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(events) && rc == 0; i++) {
        rc = add_json_event(&windows, &content, json_array_get(events, i), e);
    }
    rc = caption_windows_close(&windows, rc, e);
    bytes_close(&content);
    json_decref(root);
    return rc;
}

/* ---- srv1, srv2, srv3 -------------------------------------------------- */

struct srv {
    struct caption_windows windows;
    struct bytes text, plain;
    struct caption_event event;
    int depth; /* of the element whose text is read; -1: outside of one */
};

/* The attribute `name` in units of `scale` milliseconds; *ms stays where it is absent or no
 * number. */
static void read_ms(const char **attributes, const char *name, double scale, int64_t *ms) {
    const char *value = caption_xml_attribute(attributes, name), *rest;
    double number;
    if (value == NULL || !caption_xml_number(value, &number, &rest)) {
        return;
    }
    number *= scale;
    *ms = number > (double)CAPTION_LATEST_MS ? CAPTION_LATEST_MS + 1 : (int64_t)(number + 0.5);
}

static int open_srv(void *context, int depth, const char *name, const char **attributes,
                    struct error *e) {
    struct srv *s = context;
    if (s->depth >= 0) {
        return strcmp(name, "br") == 0 ? bytes_append(&s->text, "\n", 1, e) : 0;
    }
    if (strcmp(name, "p") != 0 && strcmp(name, "text") != 0) {
        return 0;
    }
    const char *append = caption_xml_attribute(attributes, "a");
    append = append != NULL ? append : caption_xml_attribute(attributes, "append");
    s->depth = depth;
    s->event = (struct caption_event){.start_ms = CAPTION_NO_START,
                                      .window = CAPTION_NO_WINDOW,
                                      .append = append != NULL && strcmp(append, "1") == 0};
    read_ms(attributes, "t", 1, &s->event.start_ms);
    read_ms(attributes, "start", 1000, &s->event.start_ms);
    read_ms(attributes, "d", 1, &s->event.duration_ms);
    read_ms(attributes, "dur", 1000, &s->event.duration_ms);
    read_ms(attributes, "w", 1, &s->event.window);
    bytes_clear(&s->text);
    return 0;
}

static int take_srv_text(void *context, const char *text, size_t size, struct error *e) {
    struct srv *s = context;
    return s->depth >= 0 ? bytes_append(&s->text, text, size, e) : 0;
}

/* HTML as text; the blanks around it stay, which may end lines of a window. */
static int strip_html(struct bytes *out, const struct bytes *html, struct error *e) {
    const char *start = bytes_text(html), *end = start + html->size;
    const char *first = start, *last = end;
    while (first < last && (unsigned char)*first <= ' ') {
        first++;
    }
    while (last > first && (unsigned char)last[-1] <= ' ') {
        last--;
    }
    bytes_clear(out);
    int rc = bytes_append(out, start, (size_t)(first - start), e);
    if (rc == 0) {
        rc = caption_strip_subrip(out, first, (size_t)(last - first), e);
    }
    return rc == 0 ? bytes_append(out, last, (size_t)(end - last), e) : rc;
}

static int close_srv(void *context, int depth, const char *name, struct error *e) {
    struct srv *s = context;
    if (depth != s->depth) {
        return 0;
    }
    s->depth = -1;
    bool is_html = strcmp(name, "text") == 0;
    int rc = is_html ? strip_html(&s->plain, &s->text, e) : 0;
    const struct bytes *text = is_html ? &s->plain : &s->text;
    return rc == 0 ? caption_windows_add(&s->windows, &s->event, bytes_text(text), text->size, e)
                   : rc;
}

int srv_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
             struct error *e) {
    static const struct caption_xml_handler handler = {open_srv, close_srv, take_srv_text};
    struct srv s = {.depth = -1};
    bytes_init(&s.text, CAPTION_TEXT_BYTES);
    bytes_init(&s.plain, CAPTION_TEXT_BYTES);
    caption_windows_open(&s.windows, cues, losses);
    int rc = caption_xml_read(text, size, &handler, &s, e);
    rc = caption_windows_close(&s.windows, rc, e);
    bytes_close(&s.plain);
    bytes_close(&s.text);
    return rc;
}
