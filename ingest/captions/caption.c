/* caption.c - caption files: picks the reader; TikTok's creator captions. See caption.h. */
#include "ingest/captions/caption.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "ingest/captions/encoding.h"
#include "ingest/captions/formats.h"
#include "ingest/captions/text.h"
#include "ingest/captions/windows.h"
#include "store/json.h"

enum { FILE_BYTES = 16 * 1024 * 1024 };

/* ---- files ------------------------------------------------------------- */

struct caption_reader {
    const char *extension;
    int (*read)(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
                struct error *e);
    bool once; /* a rolling caption has each line once, for as long as it is in sight */
};

static const struct caption_reader *find_reader(const char *extension) {
    static const struct caption_reader readers[] = {
        {"srt", subrip_read, false}, {"vtt", webvtt_read, false}, {"ass", ass_read, false},
        {"ssa", ass_read, false},    {"json3", json3_read, true}, {"srv1", srv_read, true},
        {"srv2", srv_read, true},    {"srv3", srv_read, true},    {"ttml", ttml_read, true},
        {"dfxp", ttml_read, true}};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        if (strcasecmp(extension, readers[i].extension) == 0) {
            return &readers[i];
        }
    }
    return NULL;
}

int caption_read_file(struct cue_list *cues, const void *data, size_t size, const char *format,
                      struct caption_losses *losses, struct error *e) {
    const struct caption_reader *reader = find_reader(format);
    if (reader == NULL) {
        return error_set(e, ERR_UNSUPPORTED, "captions of kind \"%.16s\" are not read", format);
    }
    if (size > FILE_BYTES) {
        return error_set(e, ERR_LIMIT, "caption file of %zu bytes; at most %d are read", size,
                         FILE_BYTES);
    }
    size_t before = cues->count;
    struct caption_losses found = {0};
    struct bytes text;
    bytes_init(&text, (size_t)3 * FILE_BYTES); /* a replaced byte becomes three */
    int rc = caption_clean_text(&text, data, size, &found.repaired, e);
    if (rc == 0) {
        rc = reader->read(cues, bytes_text(&text), text.size, &found, e);
    }
    if (rc == 0) {
        rc = cue_list_settle(cues, before, e);
    }
    bytes_close(&text);
    if (rc == 0 && reader->once) {
        caption_windows_flatten(cues, before);
    }
    if (rc == 0 && cues->count == before) {
        rc = error_set(e, ERR_FORMAT, "no caption found in a file of kind \"%.16s\"", format);
    }
    if (rc < 0) {
        cues->count = before;
        return rc;
    }
    if (losses != NULL) {
        losses->repaired += found.repaired;
        losses->untimed += found.untimed;
    }
    return 0;
}

/* ---- creator captions -------------------------------------------------- */

static int64_t utterance_time(const json_t *utterance, const char *name) {
    int64_t time = json_get_integer(utterance, name, -1);
    return time <= CAPTION_LATEST_MS ? time : -1;
}

/* The end of an utterance that does not say: at the next one. */
static int64_t utterance_end(const json_t *utterance, const json_t *next, int64_t start) {
    int64_t end = utterance_time(utterance, "end_time");
    if (end <= start) {
        end = utterance_time(next, "start_time");
        end = end > start && end < start + CUE_UNTIMED_MS ? end : start + CUE_UNTIMED_MS;
    }
    return end;
}

static int add_utterance(struct cue_list *cues, struct bytes *text, const json_t *utterance,
                         const json_t *next, struct error *e) {
    int64_t start = utterance_time(utterance, "start_time");
    const json_t *string = json_object_get(utterance, "text");
    if (start < 0 || !json_is_string(string)) {
        return 0;
    }
    bytes_clear(text);
    struct caption_text w = caption_text_begin(text, e);
    caption_text_write(&w, json_string_value(string), json_string_length(string));
    int rc = caption_text_end(&w);
    if (rc < 0) {
        return rc;
    }
    return cue_add(cues, start, utterance_end(utterance, next, start), bytes_text(text), text->size,
                   e);
}

int caption_read_creator_json(struct cue_list *cues, const json_t *root, struct error *e) {
    const json_t *utterances = json_object_get(root, "utterances");
    size_t before = cues->count;
    struct bytes text;
    bytes_init(&text, CAPTION_TEXT_BYTES);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(utterances) && rc == 0; i++) {
        rc = add_utterance(cues, &text, json_array_get(utterances, i),
                           json_array_get(utterances, i + 1), e);
    }
    bytes_close(&text);
    if (rc == 0 && cues->count == before) {
        rc = error_set(e, ERR_FORMAT, "creator captions without a timed utterance");
    }
    if (rc < 0) {
        cues->count = before;
        return rc;
    }
    return cue_list_settle(cues, before, e);
}
