/* letters.h - characters for made-up text: letters of a script, emoji by how much they are used,
 * and what the alphabet does not hold. */
#ifndef OCC_TRAIN_READ_LETTERS_H
#define OCC_TRAIN_READ_LETTERS_H

#include <stddef.h>
#include <stdint.h>

#include "compress/alphabet.h"
#include "store/bytes.h"
#include "train/read/text.h"

struct letters; /* opaque; read-only, so threads share it */

/* Of an alphabet of alphabet_open, and of texts; both must outlive it. */
int letters_open(struct letters **out, const struct alphabet *alphabet,
                 const struct text_files *texts, struct error *e);
void letters_close(struct letters *l); /* NULL is allowed */

/* Appends a word in which one letter is another of the same script (Latin with Vietnamese, Greek or
 * Cyrillic; small or capital), or one was put in: any letter of the alphabet, as often as any
 * other. So letters that the texts hardly have are seen within words. Words without a letter of
 * these scripts stay. */
int letters_put_word(const struct letters *l, struct bytes *out, const char *word, size_t size,
                     uint64_t *random, struct error *e);
/* Appends an emoji of the alphabet: the n-th most used about as often as 1 / (n + 12), a quarter of
 * them any; some with a skin tone. */
int letters_put_emoji(const struct letters *l, struct bytes *out, uint64_t *random,
                      struct error *e);
/* Appends up to `most` characters of one kind that the alphabet does not hold: rare signs, Chinese,
 * Arabic, Thai, ...; where there are texts that it lacks, half of the time one of their words. */
int letters_put_strange(const struct letters *l, struct bytes *out, int most, uint64_t *random,
                        struct error *e);

#endif
