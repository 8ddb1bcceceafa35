/* text.h - text for pages to learn from or to measure: files, stretches of them, random strings. */
#ifndef OCC_TRAIN_READ_TEXT_H
#define OCC_TRAIN_READ_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "compress/alphabet.h"
#include "store/bytes.h"

/* Files of UTF-8 text, mapped; read-only, so threads share them. */
struct text_file {
    const char *data;
    size_t size; /* > 0 */
};
struct text_files {
    struct text_file *list;
    double *shares;  /* how often each is chosen: the root of its size */
    double *strange; /* likewise, of those that the alphabet lacks; 0: it has it */
    int count;
};
/* ERR_FORMAT when one is empty; errors name the file. Texts of which the alphabet lacks more than
 * half (Chinese, Arabic, ...) are a hundredth of what is chosen, unless there are no others. */
int text_files_open(struct text_files *out, char *const *paths, int count,
                    const struct alphabet *alphabet, struct error *e);
void text_files_close(struct text_files *t); /* also after a failure */
const struct text_file *text_files_choose(const struct text_files *t, uint64_t *random);
/* One of those that the alphabet lacks; NULL: there is none. */
const struct text_file *text_files_choose_strange(const struct text_files *t, uint64_t *random);

/* Appends to `out`, until it holds about `size` bytes or more, the lines of a text after the one
 * that byte `at` is in, round and round where the text is short. */
int text_stretch(struct bytes *out, const char *text, size_t text_size, size_t at, size_t size,
                 struct error *e);
/* Makes one paragraph of it: newlines become spaces. */
void text_join_lines(struct bytes *text);

/* Appends `count` words of a text with a space between, from somewhere on, rather from the
 * beginning of a sentence. A word is what stands between blanks, cut after TEXT_WORD bytes. */
enum { TEXT_WORD = 96 };
int text_words(struct bytes *out, const struct text_file *f, int count, uint64_t *random,
               struct error *e);
/* Appends a text in capitals, or without them. Characters that become several stay. */
int text_upper(struct bytes *out, const char *text, size_t size, struct error *e);
int text_lower(struct bytes *out, const char *text, size_t size, struct error *e);

/* Appends random words, at least `size` bytes of them: of printable ASCII, or each of one part of
 * the alphabet. */
enum text_letters { LETTERS_ASCII, LETTERS_ALL };
int text_random(struct bytes *out, const struct alphabet *alphabet, enum text_letters letters,
                size_t size, uint64_t *random, struct error *e);

#endif
