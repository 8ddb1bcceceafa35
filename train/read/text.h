/* text.h - text for pages to learn from or to measure: stretches of files, random strings. */
#ifndef OCC_TRAIN_READ_TEXT_H
#define OCC_TRAIN_READ_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "compress/alphabet.h"
#include "store/bytes.h"

/* Appends to `out`, until it holds about `size` bytes or more, the lines of a text after the one
 * that byte `at` is in, round and round where the text is short. */
int text_stretch(struct bytes *out, const char *text, size_t text_size, size_t at, size_t size,
                 struct error *e);
/* Makes one paragraph of it: newlines become spaces. */
void text_join_lines(struct bytes *text);

/* Appends random words, at least `size` bytes of them: of printable ASCII, or each of one part of
 * the alphabet. */
enum text_letters { LETTERS_ASCII, LETTERS_ALL };
int text_random(struct bytes *out, const struct alphabet *alphabet, enum text_letters letters,
                size_t size, uint64_t *random, struct error *e);

#endif
