/* log.c - see log.h. The state is one constant-size struct: a process has one stderr. */
#include "store/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/clock.h"

enum { UPDATES_PER_SECOND = 6 };

static struct {
    const char *tool;
    enum log_level level;
    enum log_style style;
} log_state = {"occ", LOG_WARNING, LOG_TEXT};

static struct {
    bool on, shown;
    const char *title;
    uint64_t total, done;
    double began, updated; /* seconds */
} progress;

void log_open(const char *tool, enum log_level level, enum log_style style) {
    log_state.tool = tool;
    log_state.level = level;
    log_state.style = style;
}

static void progress_wipe(void) {
    if (progress.shown) {
        fputs("\r\033[K", stderr);
        progress.shown = false;
    }
}

static void print_json_text(const char *text) {
    fputc('"', stderr);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20) {
            fprintf(stderr, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\') {
                fputc('\\', stderr);
            }
            fputc(c, stderr);
        }
    }
    fputc('"', stderr);
}

__attribute__((format(printf, 2, 0))) static void
log_message(enum log_level level, const char *format, va_list arguments) {
    if (level > log_state.level) {
        return;
    }
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char text[2048];
    vsnprintf(text, sizeof text, format, arguments);
    progress_wipe();
    if (log_state.style == LOG_JSON) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        fprintf(stderr, "{\"time\":%lld.%03ld,\"tool\":\"%s\",\"level\":\"%s\",\"message\":",
                (long long)now.tv_sec, now.tv_nsec / 1000000, log_state.tool, names[level]);
        print_json_text(text);
        fputs("}\n", stderr);
    } else if (level == LOG_WARNING) {
        fprintf(stderr, "%s: warning: %s\n", log_state.tool, text);
    } else {
        fprintf(stderr, "%s: %s\n", log_state.tool, text);
    }
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *format, ...) {                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        log_message(level, format, arguments);                                                     \
        va_end(arguments);                                                                         \
    }
DEFINE_LOG(log_error, LOG_ERROR)
DEFINE_LOG(log_warning, LOG_WARNING)
DEFINE_LOG(log_info, LOG_INFO)
DEFINE_LOG(log_debug, LOG_DEBUG)

void progress_begin(const char *title, uint64_t total, bool show) {
    progress.on = show;
    progress.title = title;
    progress.total = total;
    progress.done = 0;
    progress.began = clock_seconds();
    progress.updated = progress.began + 1.0 - 1.0 / UPDATES_PER_SECOND;
}

static void print_remaining(double seconds) {
    unsigned long left = (unsigned long)(seconds + 0.5);
    if (left >= 3600) {
        fprintf(stderr, "  %lu:%02lu:%02lu left", left / 3600, left / 60 % 60, left % 60);
    } else {
        fprintf(stderr, "  %lu:%02lu left", left / 60, left % 60);
    }
}

void progress_set(uint64_t done) {
    progress.done = done;
    double now = progress.on ? clock_seconds() : 0;
    if (!progress.on || now - progress.updated < 1.0 / UPDATES_PER_SECOND) {
        return;
    }
    progress.updated = now;
    double rate = (double)done / (now - progress.began);
    progress_wipe();
    fprintf(stderr, "%s  %" PRIu64, progress.title, done);
    if (progress.total) {
        fprintf(stderr, "/%" PRIu64 "  %.0f%%", progress.total,
                100.0 * (double)done / (double)progress.total);
    }
    fprintf(stderr, "  %.1f/s", rate);
    if (progress.total > done && rate > 0) {
        print_remaining((double)(progress.total - done) / rate);
    }
    fflush(stderr);
    progress.shown = true;
}

void progress_end(void) {
    progress_wipe();
    progress.on = false;
}
