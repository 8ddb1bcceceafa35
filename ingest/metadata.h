/* metadata.h - what the sidecar files of a clip say about it: yt-dlp's info.json (fields of old and
 * new versions) and gallery-dl's JSON. Field names are those of the tools' own documentation. */
#ifndef OCC_INGEST_METADATA_H
#define OCC_INGEST_METADATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/error.h"

enum { CREATOR_NAMES = 6 };

/* Texts live in the caller's arena and are NULL where unknown; numbers are -1 where unknown. */
struct metadata {
    const char *id;           /* the site's id of the clip: a string, digits never rounded */
    const char *account;      /* stable short name of the creator ("banana"), no leading '@' */
    const char *account_name; /* display name */
    const char *title, *description;
    const char *language; /* BCP 47 or as the site writes it */
    const char *site;     /* extractor in lower case: "tiktok" */
    const char *url;
    const char **hashtags; /* without '#', first occurrence order, no repeats */
    size_t hashtag_count;
    int64_t created; /* seconds since 1970 UTC */
    int64_t duration_ms;
    int64_t views, likes, comments, shares, saves;
    /* Every name and id the creator goes by (uploader, uploader_id, channel_id ...), to tell their
     * own comments; NULL-terminated. */
    const char *creator[CREATOR_NAMES + 1];
};

void metadata_init(struct metadata *m);

/* Fill `m` from a parsed file. Fields of the wrong type are treated as absent. ERR_UNSUPPORTED when
 * the file describes a playlist, not a clip; ERR_FORMAT when it is no object or has no usable id;
 * ERR_MEMORY. */
int metadata_from_ytdlp(const json_t *root, struct arena *arena, struct metadata *m,
                        struct error *e);
int metadata_from_gallery_dl(const json_t *root, struct arena *arena, struct metadata *m,
                             struct error *e);

/* True when the tree looks like a file gallery-dl writes (its "category" member), so that a bare
 * .json can be told from others. */
bool metadata_is_gallery_dl(const json_t *root);

/* Hashtags of a text ("#two_words #日本"), added to m->hashtags without repeats. */
int metadata_add_hashtags(struct metadata *m, const char *text, struct arena *arena,
                          struct error *e);

#endif
