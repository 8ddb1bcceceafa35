/* marks.h - what of a text is no matter of its words: punctuation, capitals, digits, lengths; and
 * how often it has each function word (function_words.h). */
#ifndef OCC_TRAIN_PAPER_MARKS_H
#define OCC_TRAIN_PAPER_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#include "train/paper/function_words.h"

/* Roots of shares of the characters: the signs of MARKS_SIGNS, newlines, capitals, digits, those
 * that are not ASCII, emoji; of the words: that begin with a capital, that are all capitals;
 * logarithms of the mean length of words and of sentences. */
#define MARKS_SIGNS ".,;:!?'\"()[]<>-*+/#@&%$_=`"
enum { MARKS_COUNT = sizeof MARKS_SIGNS - 1 + 9 };

/* false: the text has no letters; both are all 0 then. `words`: roots of shares of all words. */
bool marks_describe(const char *text, size_t size, float marks[MARKS_COUNT],
                    float words[FUNCTION_WORD_COUNT]);

#endif
