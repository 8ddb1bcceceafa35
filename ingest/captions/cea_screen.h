/* cea_screen.h - turns the screen of a caption decoder, moment by moment, into cues.
 *
 * CEA-608 and CEA-708 describe a screen that changes; a cue is one text with the time it stood
 * there. Text that is typed onto the screen while it is watched (paint-on, roll-up) must not make a
 * cue of every letter: a line that is still being written belongs to the cue that it began. */
#ifndef OCC_INGEST_CAPTIONS_CEA_SCREEN_H
#define OCC_INGEST_CAPTIONS_CEA_SCREEN_H

#include <stdbool.h>

#include "ingest/captions/cue.h"
#include "store/bytes.h"

struct cea_screen {
    struct cue_list *cues; /* receives the cues; not owned */
    int64_t start_us;      /* subtracted from all times */
    struct bytes text;     /* on the screen now, one line per row; empty when nothing is */
    struct bytes next;     /* the same for the change being looked at */
    int64_t since_us;      /* when `text` appeared */
    size_t left;           /* bytes of cue text that may still be made */
};

void cea_screen_init(struct cea_screen *s, struct cue_list *cues, int64_t start_us);
void cea_screen_close(struct cea_screen *s);

/* From `us` on the screen shows `text` (UTF-8, rows separated by '\n'; blank rows and runs of
 * blanks do not count). `painted`: the change is nothing but characters written on a visible screen
 * (scrolling included), not a switch to another text. Times must not decrease. Cues beyond 16 MiB
 * of text are left out. Fails with ERR_MEMORY only. */
int cea_screen_show(struct cea_screen *s, int64_t us, const char *text, size_t size, bool painted,
                    struct error *e);

#endif
