/* pattern.h - regular expressions for UTF-8, with Unicode properties. */
#ifndef OCC_TRAIN_TOKENIZER_PATTERN_H
#define OCC_TRAIN_TOKENIZER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "store/bytes.h"

struct pattern; /* a compiled expression; shared by threads */
struct matcher; /* a thread's memory for matching */

/* An expression as Oniguruma, which tokenizers uses, and Rust's regex understand it, in PCRE2's
 * dialect; ERR_UNSUPPORTED names what the two do not have in common. */
int pattern_translate(struct bytes *out, const char *text, size_t size, struct error *e);
/* `literal`: the text itself is looked for. */
int pattern_open(struct pattern **out, const char *text, size_t size, bool literal,
                 struct error *e);
void pattern_close(struct pattern *p); /* NULL is allowed */
int matcher_open(struct matcher **out, struct error *e);
void matcher_close(struct matcher *m); /* NULL is allowed */
/* The first match in well-formed text that begins at `at` or later and is not empty: 1, else 0. */
int pattern_find(const struct pattern *p, struct matcher *m, const unsigned char *text, size_t size,
                 size_t at, size_t *start, size_t *end, struct error *e);

#endif
