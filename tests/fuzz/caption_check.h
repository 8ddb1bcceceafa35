/* caption_check.h - what holds for every list of cues, whatever file it came from; shared by the
 * fuzz targets of captions. A broken promise aborts. */
#ifndef OCC_TESTS_FUZZ_CAPTION_CHECK_H
#define OCC_TESTS_FUZZ_CAPTION_CHECK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/captions/caption.h"
#include "store/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_ARENA_BYTES = 256 << 20 };

static inline void require(int condition) {
    if (!condition) {
        abort();
    }
}

/* Plain text: not blank, no blank ends, no control characters but single newlines. */
static inline void require_plain(const char *text, size_t size) {
    require(size > 0 && utf8_is_valid(text, size));
    require(!strchr(" \n", text[0]) && !strchr(" \n", text[size - 1]));
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        require((c >= ' ' && c != 0x7F) || c == '\n');
        require(c != '\n' || (text[i + 1] != '\n' && text[i + 1] != ' '));
    }
}

static inline void require_cues(const struct cue_list *cues) {
    for (size_t i = 0; i < cues->count; i++) {
        const struct cue *cue = &cues->items[i];
        require(cue->start_ms >= 0 && cue->start_ms <= cue->end_ms);
        require(i == 0 || cues->items[i - 1].start_ms <= cue->start_ms);
        require_plain(cue->text, strlen(cue->text));
        if (cue->speaker) {
            size_t size = strlen(cue->speaker);
            require_plain(cue->speaker, size);
            require(size <= CUE_SPEAKER_BYTES && !strchr(cue->speaker, '\n'));
        }
    }
}

/* `rc` is what the reader of `cues` gave. */
static inline void require_collapse(struct cue_list *cues, int rc) {
    size_t count = cues->count;
    require(rc == 0 ? count > 0 : rc < 0 && count == 0);
    require_cues(cues);
    caption_collapse_rolling(cues);
    require(cues->count <= count && (cues->count > 0) == (count > 0));
    require_cues(cues);
}

static inline void require_file(const uint8_t *data, size_t size, const char *format) {
    struct cue_list cues = {0};
    struct error e = {0};
    struct caption_losses losses = {0};
    require(arena_open(&cues.arena, FUZZ_ARENA_BYTES, NULL) == 0);
    int rc = caption_read_file(&cues, data, size, format, &losses, &e);
    require(rc == 0 || (e.code == rc && e.text[0] != 0));
    require_collapse(&cues, rc);
    arena_close(cues.arena);
}

typedef int strip_function(struct bytes *out, const char *text, size_t size, struct error *e);

/* Markup taken off any bytes leaves plain text. */
static inline void require_strip(strip_function *strip, const uint8_t *data, size_t size) {
    struct bytes out;
    bytes_init(&out, 6 * size + 2); /* a replaced byte becomes three, "&nGt;" six */
    require(bytes_append(&out, "- ", 2, NULL) == 0);
    require(strip(&out, (const char *)data, size, NULL) == 0);
    require(out.size >= 2 && memcmp(out.data, "- ", 2) == 0);
    if (out.size > 2) {
        require_plain((const char *)out.data + 2, out.size - 2);
    }
    bytes_close(&out);
}

#endif
