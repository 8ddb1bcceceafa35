/* windows.c - see windows.h. */
#include "ingest/captions/windows.h"

#include <string.h>

#include "ingest/captions/formats.h"
#include "ingest/captions/text.h"

void caption_windows_open(struct caption_windows *w, struct cue_list *cues,
                          struct caption_losses *losses) {
    *w = (struct caption_windows){
        .cues = cues, .losses = losses, .last = {.window = CAPTION_NO_WINDOW}};
    bytes_init(&w->text, CAPTION_TEXT_BYTES);
}

static int flush(struct caption_windows *w, struct error *e) {
    struct bytes plain;
    bytes_init(&plain, CAPTION_TEXT_BYTES);
    struct caption_text writer = caption_text_begin(&plain, e);
    caption_text_write(&writer, bytes_text(&w->text), w->text.size);
    int rc = caption_text_end(&writer);
    if (rc == 0) {
        rc = cue_add(w->cues, w->last.start_ms, w->end_ms, bytes_text(&plain), plain.size, e);
    }
    bytes_close(&plain);
    bytes_clear(&w->text);
    w->line_ended = false;
    return rc;
}

static int extend(struct caption_windows *w, int64_t end_ms, const char *text, size_t size,
                  struct error *e) {
    w->end_ms = end_ms > w->end_ms ? end_ms : w->end_ms;
    return bytes_append(&w->text, text, size, e);
}

static int begin(struct caption_windows *w, const struct caption_event *event, int64_t end_ms,
                 const char *text, size_t size, struct error *e) {
    bool rolls = event->window != CAPTION_NO_WINDOW && event->window == w->last.window;
    if (rolls && event->start_ms > w->last.start_ms && event->start_ms < w->end_ms) {
        w->end_ms = event->start_ms;
    }
    int rc = flush(w, e);
    w->last = *event;
    w->end_ms = end_ms;
    return rc == 0 ? bytes_append(&w->text, text, size, e) : rc;
}

static bool is_blank(char c) {
    return (unsigned char)c <= ' ';
}

int caption_windows_add(struct caption_windows *w, const struct caption_event *event,
                        const char *text, size_t size, struct error *e) {
    const char *p = text, *end = text + size;
    bool grows = w->text.size > 0 && event->append && event->window == w->last.window;
    while (p < end && is_blank(*p)) {
        w->line_ended |= grows && *p == '\n';
        p++;
    }
    if (p == end) {
        return 0;
    }
    if (event->start_ms < -CAPTION_LATEST_MS || event->start_ms > CAPTION_LATEST_MS) {
        w->losses->untimed++;
        return 0;
    }
    bool timed = event->duration_ms > 0 && event->duration_ms <= CAPTION_LATEST_MS;
    int64_t end_ms = event->start_ms + (timed ? event->duration_ms : 0);
    w->cues->flat |= event->window != CAPTION_NO_WINDOW;
    int rc = grows && !w->line_ended ? extend(w, end_ms, text, size, e)
                                     : begin(w, event, end_ms, p, (size_t)(end - p), e);
    while (is_blank(end[-1])) {
        w->line_ended |= *--end == '\n';
    }
    return rc;
}

int caption_windows_close(struct caption_windows *w, int rc, struct error *e) {
    if (rc == 0) {
        rc = flush(w, e);
    }
    bytes_close(&w->text);
    return rc;
}

void caption_windows_flatten(struct cue_list *cues, size_t first) {
    size_t overlaps = 0;
    for (size_t i = first + 1; i < cues->count; i++) {
        const struct cue *cue = &cues->items[i - 1], *next = &cues->items[i];
        overlaps += next->start_ms > cue->start_ms && next->start_ms < cue->end_ms;
    }
    if (overlaps <= (cues->count - first) / 2) {
        return;
    }
    cues->flat = true;
    for (size_t i = first + 1; i < cues->count; i++) {
        struct cue *cue = &cues->items[i - 1];
        int64_t next = cues->items[i].start_ms;
        cue->end_ms = next > cue->start_ms && next < cue->end_ms ? next : cue->end_ms;
    }
}
