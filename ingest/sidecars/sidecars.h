/* sidecars.h - reads the files beside a clip's media: metadata, comments, captions. */
#ifndef OCC_INGEST_SIDECARS_SIDECARS_H
#define OCC_INGEST_SIDECARS_SIDECARS_H

#include <jansson.h>

#include "ingest/archive/clips.h"
#include "ingest/captions/cue.h"
#include "ingest/sidecars/comments.h"
#include "ingest/sidecars/metadata.h"

enum { SIDECAR_CAPTIONS = 128, SIDECAR_WARNINGS = 32 };

/* One caption file, read when it is asked for. */
struct sidecar_caption {
    const struct clip_file *file;
    const char *kind; /* "creator", or the extension: "srt", "vtt", "json3" ... */
    bool read;
    struct cue_list cues;
};

struct sidecars {
    struct arena *arena;
    struct sidecar_cache *cache;
    struct metadata metadata; /* id and account are never NULL after sidecars_read */
    bool playlist;            /* the info.json describes a playlist, not a clip */
    bool created_from_file;   /* no sidecar says when: the media file's date was taken */
    struct comment_list comments;
    struct sidecar_caption captions[SIDECAR_CAPTIONS];
    int caption_count;
    bool described; /* metadata were read: more is known of the clip than its name */
    const char *warnings[SIDECAR_WARNINGS]; /* what was wrong, one line each */
    int warning_count;
    const char *lost; /* the first of them about a file that gave nothing, or NULL */
};

/* A JSON file in memory, and what was wrong with it: the warning goes to every clip that the file
 * serves, so that a sample does not depend on which clip came before it. */
struct sidecar_tree {
    char *path;
    json_t *root; /* NULL: it could not be read, as `error` says */
    size_t repaired;
    struct error error;
};

/* Zero to begin with; it ends with its process. Holds the last export of comments, which often
 * serves many clips, and the last STEM.json, whose content decides what it is read as. */
struct sidecar_cache {
    struct sidecar_tree export, bare;
};

/* Reads metadata and comments and lists the captions. Anything wrong with a file becomes a warning;
 * only ERR_MEMORY is an error. */
int sidecars_read(struct sidecars *s, const struct clip *clip, struct arena *arena,
                  struct sidecar_cache *cache, struct error *e);

/* Reads the cues of one caption file (once). */
int sidecars_read_caption(struct sidecars *s, struct sidecar_caption *caption, struct error *e);

/* Adds a warning about a file to the sample. */
void sidecars_warn(struct sidecars *s, const char *path, const char *reason);
/* Adds a warning about the clip as a whole; the text is copied. */
void sidecars_note(struct sidecars *s, const char *text);

/* A file that could not be used: a warning that also makes the sample partial. */
void sidecars_lose(struct sidecars *s, const char *path, const char *reason);

#endif
