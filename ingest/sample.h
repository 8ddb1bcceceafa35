/* sample.h - the JSON members of a sample. See ingest.h for the list of members and README.md for
 * the fields. */
#ifndef OCC_INGEST_SAMPLE_H
#define OCC_INGEST_SAMPLE_H

#include <jansson.h>

#include "ingest/choice.h"
#include "ingest/media/media.h"
#include "ingest/sidecars/sidecars.h"

struct sample {
    const struct clip *clip;
    const struct sidecars *sidecars;
    const struct media *media; /* NULL: there is none, or it could not be read */
    const struct thumbnail *thumbs;
    int thumb_count;
    const struct caption_choices *captions;
    enum { SAMPLE_OK, SAMPLE_PARTIAL } status;
};

/* New references; NULL when memory runs out. */
json_t *sample_to_json(const struct sample *s);
json_t *sample_script_to_json(const struct cue_list *cues);

/* One text for each thing that was wrong; `media` may be NULL. */
json_t *sample_warnings(const struct sidecars *sidecars, const struct media *media);

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *sample_text(const char *text);

#endif
