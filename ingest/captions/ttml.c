/* ttml.c - TTML and its elder DFXP. Source: "Timed Text Markup Language 1", W3C, sections 6
 * (parameters) and 10 (times).
 *
 * The text of a <p> becomes one cue, line breaks from <br/>; the times of its <span> elements,
 * which songs have for each word, are left out. Where a <p> has no times of its own, each <span>
 * that has some becomes a cue.
 *
 * Times count from the beginning of the element around. Programs write times from the beginning of
 * the clip as well; a file is read that way where an element begins to the millisecond when the one
 * around it does, other than 0, or would come after that one's end. */
#include <string.h>

#include "ingest/captions/formats.h"
#include "ingest/captions/text.h"
#include "ingest/captions/timestamp.h"
#include "ingest/captions/xml.h"

#define NO_TIME INT64_C(-1)

struct element {
    int64_t begin_ms, end_ms; /* from the beginning of the clip; end NO_TIME: it does not say */
    int64_t follow_ms;        /* where the next child of a sequence begins */
    bool timed;               /* it or one around it has a time */
    bool sequence;            /* its children follow each other */
    bool preserve;            /* its newlines are line breaks */
    bool muted;               /* what is in it is not said: titles, metadata */
    bool owner;               /* its text becomes a cue */
    bool own_time;            /* it has a time itself */
    struct bytes plain;       /* that text, where it is an owner */
    struct caption_text writer;
};

struct ttml {
    struct cue_list *cues;
    struct caption_losses *losses;
    struct element elements[CAPTION_XML_DEPTH + 1]; /* the one at 0 is around the root */
    int depth;                                      /* index of the innermost */
    double frame_rate, tick_rate;
    bool absolute; /* times count from the beginning of the clip */
};

/* ---- times ------------------------------------------------------------- */

static int64_t to_ms(double seconds) {
    double ms = seconds * 1000 + 0.5;
    return ms > (double)CAPTION_LATEST_MS ? CAPTION_LATEST_MS + 1 : (int64_t)ms;
}

/* "1.5s", "1500ms", "36f", "15000000t"; a number alone is seconds. */
static int64_t read_offset(const struct ttml *t, const char *text) {
    static const struct {
        const char *metric;
        double seconds;
    } metrics[] = {{"", 1}, {"s", 1}, {"ms", 0.001}, {"m", 60}, {"h", 3600}};
    double number;
    const char *metric;
    if (!caption_xml_number(text, &number, &metric)) {
        return NO_TIME;
    }
    size_t size = strcspn(metric, " \t\n");
    if (size == 1 && (*metric == 'f' || *metric == 't')) {
        return to_ms(number / (*metric == 'f' ? t->frame_rate : t->tick_rate));
    }
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (strlen(metrics[i].metric) == size && memcmp(metrics[i].metric, metric, size) == 0) {
            return to_ms(number * metrics[i].seconds);
        }
    }
    return NO_TIME;
}

/* An attribute that is a time; NO_TIME where it is absent or none. */
static int64_t read_time(const struct ttml *t, const char **attributes, const char *name) {
    const char *text = caption_xml_attribute(attributes, name);
    if (text == NULL || strchr(text, ':') == NULL) {
        return text != NULL ? read_offset(t, text) : NO_TIME;
    }
    const char *p = text, *end = text + strlen(text), *rest;
    int64_t ms;
    if (!timestamp_read(&p, end, TIMESTAMP_ANY, &ms)) {
        return NO_TIME;
    }
    double frames; /* 00:00:01:12 */
    if (*p == ':' && caption_xml_number(p + 1, &frames, &rest)) {
        ms += to_ms(frames / t->frame_rate);
    }
    return ms > 0 ? ms : 0;
}

static void read_rates(struct ttml *t, const char **attributes) {
    const char *frames = caption_xml_attribute(attributes, "frameRate"), *rest;
    const char *multiplier = caption_xml_attribute(attributes, "frameRateMultiplier");
    const char *parts = caption_xml_attribute(attributes, "subFrameRate");
    const char *ticks = caption_xml_attribute(attributes, "tickRate");
    double number, over;
    t->frame_rate = 30;
    t->tick_rate = 1;
    if (frames != NULL && caption_xml_number(frames, &number, &rest) && number > 0) {
        t->frame_rate = number;
        t->tick_rate = number;
        if (parts != NULL && caption_xml_number(parts, &number, &rest) && number > 0) {
            t->tick_rate *= number;
        }
    }
    /* "1000 1001", with a colon in DFXP */
    if (multiplier != NULL && caption_xml_number(multiplier, &number, &rest) && number > 0) {
        rest += strspn(rest, " :");
        over = 1;
        bool fraction = caption_xml_number(rest, &over, &rest) && over > 0;
        t->frame_rate *= fraction ? number / over : number;
    }
    if (ticks != NULL && caption_xml_number(ticks, &number, &rest) && number > 0) {
        t->tick_rate = number;
    }
}

/* When `element`, a child of `around`, begins and ends. */
static void place(struct ttml *t, struct element *element, const struct element *around,
                  const char **attributes) {
    int64_t begin = read_time(t, attributes, "begin"), end = read_time(t, attributes, "end");
    int64_t duration = read_time(t, attributes, "dur");
    int64_t base = around->sequence ? around->follow_ms : around->begin_ms;
    int64_t offset = begin == NO_TIME ? 0 : begin;
    bool late = around->end_ms != NO_TIME && base + offset >= around->end_ms;
    if (base > 0 && begin != NO_TIME && (begin == base || (late && begin >= base))) {
        t->absolute = true;
    }
    bool absolute = t->absolute && begin != NO_TIME;
    element->own_time = begin != NO_TIME || end != NO_TIME || duration != NO_TIME;
    element->timed = around->timed || element->own_time;
    element->begin_ms = absolute ? begin : base + offset;
    element->end_ms = around->sequence ? NO_TIME : around->end_ms;
    if (end != NO_TIME) {
        element->end_ms = t->absolute ? end : base + end;
    } else if (duration != NO_TIME) {
        element->end_ms = element->begin_ms + duration;
    }
    element->follow_ms = element->begin_ms;
}

/* ---- elements ---------------------------------------------------------- */

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

/* The element whose cue the text belongs to; NULL where it belongs to none. */
static struct element *owner(struct ttml *t) {
    for (int i = t->depth; i > 0; i--) {
        if (t->elements[i].owner) {
            return &t->elements[i];
        }
    }
    return NULL;
}

static int open_element(void *context, int depth, const char *name, const char **attributes,
                        struct error *e) {
    static const char *const silent[] = {"head", "metadata",  "title", "desc",
                                         "name", "copyright", "agent", NULL};
    struct ttml *t = context;
    if (depth == 0) {
        read_rates(t, attributes);
    }
    struct element *around = &t->elements[t->depth], *outer = owner(t);
    struct element *element = &t->elements[++t->depth];
    const char *space = caption_xml_attribute(attributes, "space");
    const char *container = caption_xml_attribute(attributes, "timeContainer");
    *element = (struct element){.muted = around->muted || is_one_of(name, silent)};
    element->preserve = space != NULL ? strcmp(space, "preserve") == 0 : around->preserve;
    element->sequence = container != NULL && strcmp(container, "seq") == 0;
    place(t, element, around, attributes);
    bool line_break = strcmp(name, "br") == 0;
    element->owner = !element->muted && (strcmp(name, "p") == 0 ||
                                         (outer != NULL && !outer->own_time && element->own_time));
    if (element->owner) {
        bytes_init(&element->plain, CAPTION_TEXT_BYTES);
        element->writer = caption_text_begin(&element->plain, e);
    } else if (line_break && outer != NULL && !element->muted) {
        caption_text_put(&outer->writer, '\n');
    }
    return 0;
}

static int take_text(void *context, const char *text, size_t size, struct error *e) {
    struct ttml *t = context;
    (void)e;
    struct element *element = &t->elements[t->depth], *to = owner(t);
    for (size_t at = 0; to != NULL && !element->muted && at < size && to->writer.rc == 0;) {
        if (text[at] == '\n' && !element->preserve) {
            caption_text_put(&to->writer, ' ');
            at++;
        } else {
            at += caption_text_take(&to->writer, text + at, size - at);
        }
    }
    return to != NULL ? to->writer.rc : 0;
}

static int end_cue(struct ttml *t, struct element *element, struct error *e) {
    int64_t begin = element->begin_ms;
    int64_t end = element->end_ms == NO_TIME ? begin : element->end_ms;
    int rc = caption_text_end(&element->writer);
    if (rc < 0 || element->plain.size == 0) {
        return rc;
    }
    if (!element->timed || !caption_times_fit(begin, &end)) {
        t->losses->untimed++;
        return 0;
    }
    return cue_add(t->cues, begin, end, bytes_text(&element->plain), element->plain.size, e);
}

static int close_element(void *context, int depth, const char *name, struct error *e) {
    struct ttml *t = context;
    (void)depth;
    (void)name;
    struct element *element = &t->elements[t->depth--];
    struct element *around = &t->elements[t->depth];
    int64_t end = element->end_ms == NO_TIME ? element->follow_ms : element->end_ms;
    around->follow_ms = end > around->follow_ms ? end : around->follow_ms;
    int rc = element->owner ? end_cue(t, element, e) : 0;
    bytes_close(&element->plain);
    element->owner = false;
    return rc;
}

int ttml_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
              struct error *e) {
    static const struct caption_xml_handler handler = {open_element, close_element, take_text};
    struct ttml t = {.cues = cues, .losses = losses};
    t.elements[0].end_ms = NO_TIME;
    int rc = caption_xml_read(text, size, &handler, &t, e);
    for (; t.depth > 0; t.depth--) { /* open where the reading ended */
        bytes_close(&t.elements[t.depth].plain);
    }
    return rc;
}
