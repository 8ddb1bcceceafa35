/* caption_file.h - caption files for tests, read into the list of cues.h. */
#ifndef OCC_TESTS_CAPTION_FILE_H
#define OCC_TESTS_CAPTION_FILE_H

#include "ingest/captions/caption.h"
#include "tests/cues.h"

static inline int read_bytes(const char *data, size_t size, const char *format,
                             struct caption_losses *losses) {
    struct error e = {0};
    int rc = caption_read_file(&cues, data, size, format, losses, &e);
    CHECK(rc == 0 || e.text[0] != 0);
    return rc;
}

static inline int read_text(const char *text, const char *format) {
    return read_bytes(text, strlen(text), format, NULL);
}

/* What a file is read as, and how many of its texts have no time. */
static inline void check_file(const char *text, size_t size, const char *format, size_t untimed,
                              const char *wanted, const char *file, int line) {
    struct caption_losses losses = {0};
    cues_begin();
    int rc = read_bytes(text, size, format, &losses);
    test_number(rc, *wanted ? 0 : ERR_FORMAT, file, line);
    test_number(rc < 0 ? 0 : (long long)losses.untimed, (long long)untimed, file, line);
    check_cues(wanted, file, line);
    cues_end();
}
#define CHECK_FILE(text, format, wanted)                                                           \
    check_file((text), strlen(text), (format), 0, (wanted), __FILE__, __LINE__)

/* Every cue's speaker and a ';', '-' for none. */
static inline void check_speakers(const char *wanted, const char *file, int line) {
    struct bytes got;
    bytes_init(&got, 10000);
    for (size_t i = 0; i < cues.count; i++) {
        const char *speaker = cues.items[i].speaker;
        bytes_printf(&got, NULL, "%s;", speaker ? speaker : "-");
    }
    test_text(bytes_text(&got), wanted, file, line);
    bytes_close(&got);
}
#define CHECK_SPEAKERS(wanted) check_speakers((wanted), __FILE__, __LINE__)

#endif
