/* json.h - JSON from other people's tools, read leniently; JSON of ours, written always the same.
 *
 * The parser and the tree are jansson's. Real sidecar files hold things that a strict parser
 * refuses: invalid UTF-8, lone surrogates (a title cut in the middle of an emoji), \u0000, integers
 * that fit no 64 bits, and NaN and Infinity, as Python's json.dump writes them, which become null
 * like reals that fit no double. Where the parser stumbles, json_read mends these in the text,
 * counts what it mended, and tries again; what is not JSON at all fails with line and column. An id
 * is a string always: json_get_id gives the exact digits of a number too. */
#ifndef OCC_STORE_JSON_H
#define OCC_STORE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/bytes.h"

/* The tree of `size` bytes of JSON, or NULL with `e` filled (ERR_FORMAT, ERR_MEMORY). The caller
 * owns one reference (json_decref). Adds the mended places to *repaired, which may be NULL. */
json_t *json_read(const void *data, size_t size, size_t *repaired, struct error *e);

/* As json_read for a text of one JSON value a line (NDJSON); gives an array of the values. Lines
 * that are no JSON are left out and counted in *repaired. */
json_t *json_read_lines(const void *data, size_t size, size_t *repaired, struct error *e);

/* The tree of a file that another tool wrote, at most `limit` bytes: json_read_lines where its name
 * ends in .jsonl or .ndjson, else json_read. UTF-16 is read as well (utf16.h). As file_read fails,
 * so does this. */
json_t *json_read_file(const char *path, size_t limit, size_t *repaired, struct error *e);

/* A real, or null for what JSON has no numbers for. NULL: out of memory. */
json_t *json_finite(double value);
/* 16 hexadecimal digits. NULL: out of memory. */
json_t *json_hexadecimal(uint64_t number);

/* Appends `value` compactly, members in the order of insertion, UTF-8 unescaped. */
int json_append(struct bytes *out, const json_t *value, struct error *e);

/* Members of an object; `object` may be NULL or no object: then the member is absent.
 * json_get_text: a non-empty string, else NULL; lives as long as the tree.
 * json_get_integer: an integer, a real (towards zero) or a string that is an integer; else
 *   `fallback`.
 * json_get_real: likewise for a real number.
 * json_get_id: a string or integer as text in `arena`; NULL when absent or empty, or out of memory.
 * json_get_flag: true for true, a non-zero number, "true" and "1". */
const char *json_get_text(const json_t *object, const char *name);
int64_t json_get_integer(const json_t *object, const char *name, int64_t fallback);
double json_get_real(const json_t *object, const char *name, double fallback);
const char *json_get_id(const json_t *object, const char *name, struct arena *arena);
bool json_get_flag(const json_t *object, const char *name);

#endif
