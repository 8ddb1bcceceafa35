/* missing.c - see missing.h. Characters without a script are counted under numbers after ICU's. */
#include "render/page/missing.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

enum { EMOJI = USCRIPT_CODE_LIMIT, PRIVATE_USE, UNASSIGNED, KINDS };
_Static_assert((int)KINDS <= (int)MISSING_SCRIPTS, "all scripts have a counter");

static int kind_of(uint32_t c) {
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript((UChar32)c, &status);
    int8_t type = u_charType((UChar32)c);
    if (u_hasBinaryProperty((UChar32)c, UCHAR_EXTENDED_PICTOGRAPHIC)) {
        return EMOJI;
    }
    if (type == U_PRIVATE_USE_CHAR || type == U_UNASSIGNED || U_FAILURE(status)) {
        return type == U_PRIVATE_USE_CHAR ? PRIVATE_USE : UNASSIGNED;
    }
    if (script == USCRIPT_COMMON) {
        int width = u_getIntPropertyValue((UChar32)c, UCHAR_EAST_ASIAN_WIDTH);
        bool wide = width == U_EA_WIDE || width == U_EA_FULLWIDTH; /* punctuation of Chinese */
        return wide ? USCRIPT_HAN : USCRIPT_COMMON;
    }
    return script;
}

void missing_count(struct missing_tally *t, const struct page *page) {
    int64_t missing = 0;
    for (size_t i = 0; i < page->missing_count; i++) {
        missing += page->missing[i].count;
    }
    if (1000 * missing <= MISSING_PER_MILLE * page->counts.characters) {
        return;
    }
    for (size_t i = 0; i < page->missing_count; i++) {
        t->characters[kind_of(page->missing[i].code_point)] += page->missing[i].count;
    }
}

void missing_add(struct missing_tally *to, const struct missing_tally *from) {
    for (int i = 0; i < KINDS; i++) {
        to->characters[i] += from->characters[i];
    }
}

static const char *name_of(int kind) {
    static const char *const NAMES[KINDS - EMOJI] = {"emoji", "private use", "unassigned"};
    return kind >= EMOJI               ? NAMES[kind - EMOJI]
           : kind == USCRIPT_COMMON    ? "symbol"
           : kind == USCRIPT_INHERITED ? "combining"
                                       : uscript_getName((UScriptCode)kind);
}

static const char *package_of(int kind) {
    switch (kind) {
    case EMOJI:
        return "fonts-noto-color-emoji";
    case PRIVATE_USE:
    case UNASSIGNED:
        return NULL;
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_HANGUL:
    case USCRIPT_BOPOMOFO:
        return "fonts-noto-cjk";
    default:
        return "fonts-noto-core";
    }
}

size_t missing_list(const struct missing_tally *t, struct missing_script *list, size_t most) {
    size_t count = 0;
    for (int i = 0; i < KINDS; i++) {
        int64_t characters = t->characters[i];
        size_t at = count;
        while (at > 0 && list[at - 1].characters < characters) {
            at--;
        }
        if (characters == 0 || at == most) {
            continue;
        }
        count += count < most;
        for (size_t k = count - 1; k > at; k--) {
            list[k] = list[k - 1];
        }
        list[at] = (struct missing_script){name_of(i), package_of(i), characters};
    }
    return count;
}
