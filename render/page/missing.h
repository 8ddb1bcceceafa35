/* missing.h - the scripts of characters that no font has, for whoever installs fonts for them.
 *
 * Only pages of which more than MISSING_PER_MILLE are missing count: a rare character is no reason
 * to install fonts. */
#ifndef OCC_RENDER_PAGE_MISSING_H
#define OCC_RENDER_PAGE_MISSING_H

#include "render/page/page.h"

enum { MISSING_PER_MILLE = 20, MISSING_SCRIPTS = 256 };

/* How many characters of such pages are in no font, by script. */
struct missing_tally {
    int64_t characters[MISSING_SCRIPTS]; /* by the number that ICU gives the script; see .c */
};

void missing_count(struct missing_tally *t, const struct page *page);
void missing_add(struct missing_tally *to, const struct missing_tally *from);

struct missing_script {
    const char *name;    /* "Han", "emoji", "private use" ... */
    const char *package; /* of Debian, with fonts for it; NULL: there is none */
    int64_t characters;
};

/* The `most` scripts with most characters, the first first; gives how many there are. */
size_t missing_list(const struct missing_tally *t, struct missing_script *list, size_t most);

#endif
