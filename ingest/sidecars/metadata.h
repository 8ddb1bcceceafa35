/* metadata.h - facts about a clip from its sidecar files: yt-dlp's info.json (fields of old and new
 * versions) and gallery-dl's JSON. Field names are those of the tools' own documentation. */
#ifndef OCC_INGEST_SIDECARS_METADATA_H
#define OCC_INGEST_SIDECARS_METADATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/error.h"

enum { CREATOR_NAMES = 6, HASHTAGS_MAX = 256 };

/* Texts live in the caller's arena and are NULL where unknown; numbers are -1 where unknown (also
 * where a file gives a negative or absurd one). */
struct metadata {
    const char *id; /* the site's id of the clip: a string, digits never rounded */
    /* Stable short name of the creator ("banana"), no leading '@'. From yt-dlp the first of: an
     * uploader_id that begins with '@' (YouTube's handle), the uploader of TikTok or the channel of
     * Instagram, uploader_id (on YouTube in old files: the user name or channel id), channel_id,
     * uploader, channel, creator. */
    const char *account;
    const char *account_name; /* display name */
    /* In full: a title that the tool cut from the description ("...") is the description, one that
     * it made up ("TikTok video #ID") is absent. */
    const char *title, *description;
    const char *language; /* BCP 47 or as the site writes it */
    bool spoken;          /* that is the language of the sound, not only of the texts */
    const char *site;     /* extractor in lower case: "tiktok" */
    const char *url;
    /* Languages of the captions that people made, as yt-dlp lists them; NULL-terminated, or
     * NULL. */
    const char **manual_captions;
    /* Without '#', at most HASHTAGS_MAX, the file's tag lists first, then those in the description
     * and the title; no repeats (case of ASCII letters ignored). */
    const char **hashtags;
    size_t hashtag_count;
    int64_t created; /* seconds since 1970 UTC */
    int64_t duration_ms;
    int64_t whole_ms; /* the shortest that a whole file can be (expected_length.h) */
    int64_t views, likes, comments, shares, saves;
    /* Every name and id the creator goes by (uploader, uploader_id, channel_id ...), to know their
     * own comments; NULL-terminated. */
    const char *creator[CREATOR_NAMES + 1];
};

void metadata_init(struct metadata *m);

/* Fill `m` from a parsed file; its earlier content is forgotten. Fields of the wrong type are
 * treated as absent. ERR_UNSUPPORTED when the file describes a playlist, not a clip; ERR_FORMAT
 * when it is not an object or has no usable id (1 to 255 bytes, no control characters); ERR_MEMORY.
 * After a failure `m` is as after metadata_init. */
int metadata_from_ytdlp(const json_t *root, struct arena *arena, struct metadata *m,
                        struct error *e);
int metadata_from_gallery_dl(const json_t *root, struct arena *arena, struct metadata *m,
                             struct error *e);

/* Fills the gaps of `m` from other metadata of the same clip. ERR_MEMORY. */
int metadata_fill(struct metadata *m, const struct metadata *other, struct arena *arena,
                  struct error *e);

/* True when the tree looks like a file gallery-dl writes (its "category" member), so that a bare
 * .json can be recognised. */
bool metadata_is_gallery_dl(const json_t *root);

/* Hashtags of a text ("#two_words #日本"; NULL is allowed), added to m->hashtags without repeats. A
 * tag is '#' that follows no letter, digit, '&' or '/', then ASCII letters, digits, underscores and
 * all other code points but punctuation, blanks and variation selectors; digits alone are none. */
int metadata_add_hashtags(struct metadata *m, const char *text, struct arena *arena,
                          struct error *e);

#endif
