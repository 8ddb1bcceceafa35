/* character.h - what Unicode says of a character, for those who make or compare text. */
#ifndef OCC_RENDER_TEXT_CHARACTER_H
#define OCC_RENDER_TEXT_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum character_script {
    SCRIPT_LATIN,
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    CHARACTER_SCRIPTS,
    SCRIPT_OTHER = CHARACTER_SCRIPTS
};

bool character_is_assigned(uint32_t c);
bool character_is_letter(uint32_t c); /* of any script */
bool character_is_digit(uint32_t c);
bool character_is_punctuation(uint32_t c);
/* Whether a skin tone may follow it. */
bool character_takes_tone(uint32_t c);
/* Of a letter; SCRIPT_OTHER for all else. */
enum character_script character_script(uint32_t c);
/* The capital or small letter, where that is one character, else `c`. */
uint32_t character_upper(uint32_t c);
uint32_t character_lower(uint32_t c);

/* A cluster of UTF-8 with its letters and their marks put together (NFC), as fonts draw them: its
 * bytes in `out`, which has room for `room`; 0: they have no room there, or are not UTF-8. */
size_t character_compose(char *out, size_t room, const char *text, size_t size);

#endif
