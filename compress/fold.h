/* fold.h - what a reading head does not tell apart, folded away before texts are compared.
 *
 * A reading head learns one class for all that looks alike at the size of our pages, or that means
 * the same to a reader of captions:
 * - emoji lose skin tones, variation selectors, hair, direction and the sign of a gender; men and
 *   women of a profession become persons, families of any kind one family, couples one couple;
 * - what draws nothing (zero-width characters, soft hyphens, marks of direction) is left out;
 * - spaces of other widths become a space, hyphens, dots and apostrophes that look the same one;
 * - the short combining stroke becomes the long one.
 *
 * What was read and what was written are both folded where they are compared (text_distance.h), so
 * that an accuracy counts what can be told apart. */
#ifndef OCC_COMPRESS_FOLD_H
#define OCC_COMPRESS_FOLD_H

#include <stddef.h>

/* Bytes of the character at the start of `text` (size > 0): a code point, or all of an emoji, a
 * flag or a keycap. `out` has room for as many and gets its folded form, *out_size bytes: never
 * more, 0 for what draws nothing. Ill-formed UTF-8 is a character of its own and copied. */
size_t fold_character(const char *text, size_t size, char *out, size_t *out_size);

/* Folds a whole text into `out`, which has room for `size` bytes and may be `text`. How many bytes
 * it has become. */
size_t fold_text(const char *text, size_t size, char *out);

#endif
