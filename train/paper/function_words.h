/* function_words.h - English words that say little of what a text is about, and much of who wrote
 * it.
 */
#ifndef OCC_TRAIN_PAPER_FUNCTION_WORDS_H
#define OCC_TRAIN_PAPER_FUNCTION_WORDS_H

/* Lower case, sorted. */
static const char *const FUNCTION_WORDS[] = {
    "a",         "about",   "after",    "again",    "against", "all",     "almost", "along",
    "already",   "also",    "although", "always",   "am",      "among",   "an",     "and",
    "another",   "any",     "are",      "as",       "at",      "away",    "back",   "be",
    "because",   "been",    "before",   "being",    "best",    "between", "both",   "but",
    "by",        "can",     "cannot",   "could",    "did",     "do",      "does",   "doing",
    "done",      "down",    "due",      "during",   "each",    "either",  "else",   "enough",
    "even",      "ever",    "every",    "few",      "first",   "for",     "from",   "get",
    "go",        "going",   "got",      "had",      "has",     "have",    "having", "he",
    "her",       "here",    "him",      "his",      "how",     "however", "i",      "if",
    "in",        "instead", "into",     "is",       "it",      "its",     "just",   "last",
    "least",     "less",    "like",     "make",     "makes",   "many",    "may",    "me",
    "might",     "more",    "most",     "much",     "must",    "my",      "myself", "need",
    "needed",    "needs",   "neither",  "never",    "new",     "no",      "none",   "nor",
    "not",       "nothing", "now",      "of",       "off",     "often",   "on",     "once",
    "one",       "only",    "onto",     "or",       "other",   "others",  "our",    "out",
    "over",      "own",     "perhaps",  "quite",    "rather",  "really",  "same",   "seems",
    "shall",     "she",     "should",   "since",    "so",      "some",    "still",  "such",
    "take",      "than",    "that",     "the",      "their",   "them",    "then",   "there",
    "therefore", "these",   "they",     "thing",    "things",  "this",    "those",  "though",
    "through",   "thus",    "to",       "together", "too",     "toward",  "under",  "unless",
    "until",     "up",      "upon",     "us",       "use",     "used",    "very",   "was",
    "way",       "we",      "well",     "were",     "what",    "when",    "where",  "whether",
    "which",     "while",   "who",      "whole",    "whom",    "whose",   "why",    "will",
    "with",      "within",  "without",  "would",    "yet",     "you",     "your"};
enum { FUNCTION_WORD_COUNT = sizeof FUNCTION_WORDS / sizeof *FUNCTION_WORDS };

#endif
