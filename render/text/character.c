/* character.c - see character.h. */
#include "render/text/character.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

bool character_is_assigned(uint32_t c) {
    return u_isdefined((UChar32)c);
}

bool character_is_letter(uint32_t c) {
    return u_isalpha((UChar32)c);
}

bool character_is_digit(uint32_t c) {
    return u_isdigit((UChar32)c);
}

bool character_is_punctuation(uint32_t c) {
    return u_ispunct((UChar32)c);
}

bool character_takes_tone(uint32_t c) {
    return u_hasBinaryProperty((UChar32)c, UCHAR_EMOJI_MODIFIER_BASE);
}

enum character_script character_script(uint32_t c) {
    static const UScriptCode CODES[CHARACTER_SCRIPTS] = {[SCRIPT_LATIN] = USCRIPT_LATIN,
                                                         [SCRIPT_GREEK] = USCRIPT_GREEK,
                                                         [SCRIPT_CYRILLIC] = USCRIPT_CYRILLIC};
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode code =
        u_isalpha((UChar32)c) ? uscript_getScript((UChar32)c, &status) : USCRIPT_COMMON;
    int i = 0;
    while (i < CHARACTER_SCRIPTS && CODES[i] != code) {
        i++;
    }
    return (enum character_script)i;
}

uint32_t character_upper(uint32_t c) {
    return (uint32_t)u_toupper((UChar32)c);
}

uint32_t character_lower(uint32_t c) {
    return (uint32_t)u_tolower((UChar32)c);
}

size_t character_compose(char *out, size_t room, const char *text, size_t size) {
    enum { UNITS = 64 };
    UErrorCode status = U_ZERO_ERROR;
    UChar units[UNITS], composed[UNITS];
    int32_t length = 0;
    u_strFromUTF8(units, UNITS, &length, text, (int32_t)size, &status);
    length =
        unorm2_normalize(unorm2_getNFCInstance(&status), units, length, composed, UNITS, &status);
    u_strToUTF8(out, (int32_t)room, &length, composed, length, &status);
    return U_SUCCESS(status) ? (size_t)length : 0;
}
