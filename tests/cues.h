/* cues.h - a list of cues for tests, compared as one text: "START-END TEXT;" for each cue, with '|'
 * between its lines. */
#ifndef OCC_TESTS_CUES_H
#define OCC_TESTS_CUES_H

#include "ingest/captions/cue.h"
#include "store/bytes.h"
#include "tests/test.h"

static struct cue_list cues; /* of the running test */

static inline void cues_begin(void) {
    struct arena *arena = NULL;
    if (arena_open(&arena, (size_t)256 << 20, NULL) < 0) {
        exit(EXIT_FAILURE);
    }
    cues = (struct cue_list){.arena = arena};
}

static inline void cues_end(void) {
    arena_close(cues.arena);
}

static inline void add(int64_t start_ms, int64_t end_ms, const char *text) {
    CHECK_NUMBER(cue_add(&cues, start_ms, end_ms, text, strlen(text), NULL), 0);
}

static inline void check_cues(const char *wanted, const char *file, int line) {
    struct bytes got;
    bytes_init(&got, 1 << 20);
    for (size_t i = 0; i < cues.count; i++) {
        const struct cue *cue = &cues.items[i];
        bytes_printf(&got, NULL, "%lld-%lld %s;", (long long)cue->start_ms, (long long)cue->end_ms,
                     cue->text);
    }
    for (size_t i = 0; i < got.size; i++) {
        got.data[i] = got.data[i] == '\n' ? '|' : got.data[i];
    }
    test_text(bytes_text(&got), wanted, file, line);
    bytes_close(&got);
}
#define CHECK_CUES(wanted) check_cues((wanted), __FILE__, __LINE__)

#endif
