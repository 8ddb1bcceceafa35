/* group.h - finds clips that are one and the same, kept in different folders, by different tools,
 * in different years.
 *
 * Clips with metadata are one when they have the same key (account and id), or site and id: sites
 * give an id once, but accounts are renamed. Media without metadata belong to the metadata that
 * have the id in their name; slides without metadata belong to the sound or metadata with that id.
 * Names are believed; metadata are read where names give no id or two give the same.
 *
 * Of a group one clip is chosen, the richest: it has metadata, then comments, then the longest
 * media, then comes first. It gets the files of the others, except their media. */
#ifndef OCC_INGEST_ARCHIVE_GROUP_H
#define OCC_INGEST_ARCHIVE_GROUP_H

#include "ingest/archive/clips.h"

/* Facts about a clip that may be grouped: one with media or metadata, or slides. */
struct identity {
    const char *id; /* from metadata that were read, else from the name; NULL: not such a clip */
    const char *account; /* as the key has it */
    const char *folder;  /* name of its folder: the account of a clip without metadata */
    const char *site;    /* NULL: not known */
    bool named;          /* the name says that it is an id ... */
    bool trusted;        /* ... and it looks like one: it is believed, unless another has it too */
    bool peeked;         /* its metadata were read ... */
    bool metadata;       /* ... and are good */
    bool playlist;       /* they describe a playlist */
    bool comments;
    bool shared;       /* another clip has this id */
    bool media;        /* of a leader: something in its group has media */
    size_t leader;     /* index of the first clip of its group */
    size_t next;       /* index of the next clip of the group, SIZE_MAX: the last */
    size_t last;       /* of a leader: index of the last clip of the group */
    int64_t length_ms; /* of its media, where that decides: see durations.h */
};

struct clip_groups {
    struct clips *clips;
    const struct pool_options *pool;
    const volatile sig_atomic_t *cancel;
    struct identity *items; /* one for each clip, in the arena of the clips */
    size_t count;           /* of the clips when they were grouped; later ones are reports only */
};

/* Finds the groups. */
int groups_find(struct clip_groups *g, struct clips *clips, const struct pool_options *pool,
                const volatile sig_atomic_t *cancel, struct error *e);

/* Makes one clip of each group (rivals.c): the others are no longer selected, or stay as reports
 * that they gave way to it. Afterwards `leader` is the index of the one that was chosen. */
int groups_merge(struct clip_groups *g, struct error *e);

/* The metadata file of a clip, or NULL. */
const struct clip_file *clip_metadata_file(const struct clip *clip);

/* Slides whose name says which post they are of: a photo post, also without media or metadata. */
bool clip_is_post(const struct clip *clip);

#endif
