/* trained.h - the profiles of pages (render/text/profile.h) that an encoder was trained on, as its
 * file says. */
#ifndef OCC_COMPRESS_TRAINED_H
#define OCC_COMPRESS_TRAINED_H

#include <jansson.h>
#include <stdbool.h>

#include "compress/encoder.h"

/* The list is "profiles" in the JSON of READING_METADATA or, in older files and those of encoders
 * without a reading head, JSON of its own under this key. */
#define TRAINED_PROFILES "occ.profiles"

struct trained {
    json_t *names;  /* owned; NULL: the file does not say */
    bool cells;     /* one of them is in cells, so pages are when nothing says how they are set */
    char list[128]; /* the names, with commas */
};
void trained_read(struct trained *t, const struct encoder *encoder);
void trained_close(struct trained *t);
/* Whether the profile is among them; true where the file does not say, and for "" (not known). */
bool trained_on(const struct trained *t, const char *profile);

/* Whether the text of pages in this profile runs through cells. */
bool profile_in_cells(const char *name);

#endif
