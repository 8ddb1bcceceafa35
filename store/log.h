/* log.h - messages for people, on stderr, and a progress line.
 *
 * The only place below cli/ that prints; libraries return errors and use log_* for what a person
 * may want to know while work goes on. Nothing is printed above the level set by log_open. */
#ifndef OCC_STORE_LOG_H
#define OCC_STORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_style { LOG_TEXT, LOG_JSON }; /* JSON: one object a line {time, tool, level, message} */

/* `tool` stands in front of each message; the string must outlive all use. */
void log_open(const char *tool, enum log_level level, enum log_style style);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line like "ingest  1,204/9,000  13%  38.2/s  3:24 left", at most 6 times a second, not before
 * the first second has passed. `total` 0: unknown. One progress at a time; log_* lines go in
 * between. */
void progress_begin(const char *title, uint64_t total, bool show);
void progress_set(uint64_t done);
void progress_end(void);

#endif
