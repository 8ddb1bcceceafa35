/* choice.h - which of a clip's captions become its script. */
#ifndef OCC_INGEST_CHOICE_H
#define OCC_INGEST_CHOICE_H

#include "ingest/media/media.h"
#include "ingest/sidecars/sidecars.h"

/* One caption track of a clip, wherever it comes from. */
struct caption_choice {
    const char *source;   /* "sidecar", "embedded", "closed" */
    const char *language; /* or NULL */
    const char *kind;
    bool bitmap, unread; /* of a kind that cannot be read */
    enum caption_origin origin;
    const struct cue_list *cues; /* NULL: not read, because another was chosen or it cannot be */
};

struct caption_choices {
    struct caption_choice items[SIDECAR_CAPTIONS + MEDIA_TRACKS];
    int count;
    int chosen; /* index into items, -1: none */
};

/* Lists the captions beside the clip and in its media, then reads them in order of preference until
 * one has text: first what `languages` (of --lang, may be NULL) lists, then the spoken language,
 * then English, then the rest. Within a language captions that people made come before those made
 * from the sound, translations last; then files beside the clip, tracks inside, closed captions.
 * The spoken language is that of info.json, or of a track that was made from the sound.
 * ERR_MEMORY. */
int captions_choose(struct caption_choices *c, struct sidecars *s, const struct media *m,
                    const char *languages, struct heartbeat *heartbeat, struct error *e);

/* The cues of the chosen captions, or NULL. */
const struct cue_list *caption_chosen(const struct caption_choices *c);

#endif
