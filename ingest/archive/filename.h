/* filename.h - what a file in an archive is, judged by its name alone.
 *
 * Names follow yt-dlp (`TITLE [ID].EXT`, `STEM.info.json`, `STEM.LANG.vtt`, `STEM.description`,
 * `STEM.jpg`), gallery-dl (slides `ID_NN.jpg`, `ID_NN TITLE [FILE].jpg`, sound `ID TITLE
 * [SONG].mp3`, captions `ID TITLE [2_eng-US_ASR_1_webvtt].vtt`, `FILE.json` for each of them) and
 * the exports for comments (`STEM.comments.json`). */
#ifndef OCC_INGEST_ARCHIVE_FILENAME_H
#define OCC_INGEST_ARCHIVE_FILENAME_H

#include <stdbool.h>
#include <stddef.h>

enum file_kind {
    FILE_OTHER,       /* not ours, passed over */
    FILE_UNKNOWN,     /* of an unknown kind: perhaps media */
    FILE_PARTIAL,     /* a download not finished or a part of one, passed over */
    FILE_VIDEO,       /* container that usually holds video */
    FILE_AUDIO,       /* container that usually holds audio only */
    FILE_IMAGE,       /* cover of a clip, or one picture of a slideshow */
    FILE_INFO,        /* STEM.info.json */
    FILE_DESCRIPTION, /* STEM.description */
    FILE_CAPTION,     /* STEM[.LANG].srt, .vtt, .ass, .ssa */
    FILE_UNREAD,      /* captions of a kind that is not read: listed only */
    FILE_COMMENTS,    /* STEM.comments.json, STEM_comments.jsonl, ... */
    FILE_GALLERY,     /* FILE.EXT.json of gallery-dl, FILE.EXT being media, image or captions */
    FILE_JSON,        /* any other .json: creator captions, comments or something else */
};

/* How captions relate to what is said, as far as a name shows. */
enum caption_origin {
    CAPTION_UNSAID,
    CAPTION_SPOKEN,     /* made from the sound: "-orig" of yt-dlp, "ASR" of TikTok */
    CAPTION_TRANSLATED, /* by a machine: "MT" of TikTok */
};

struct file_name {
    enum file_kind kind;
    size_t stem_size;      /* bytes of the name that are the stem (of FILE, for FILE_GALLERY) */
    size_t short_size;     /* stem without what looks like a language (captions, .json) or like the
                              name of one cover of several (images), else same */
    const char *extension; /* points into the name, without the dot; "" when there is none */
    size_t post_size;      /* gallery-dl: bytes of the post's id, which comes first; else 0 */
    size_t slide_size;     /* images and their .json: stem without the number of the slide, or 0 */
    int number;            /* of the slide; -1: none */
    const char *language;  /* of captions and .json, points into the name; NULL: unknown */
    size_t language_size;
    enum caption_origin origin;
};

/* `name`: the last component of a path. */
struct file_name file_name_parse(const char *name);

/* The id in a stem as yt-dlp writes it, "Title [ID]" -> ID, also in copies, "Title [ID] (1)"; false
 * when there is none. */
bool file_name_bracket_id(const char *stem, size_t size, const char **id, size_t *id_size);

/* Whether a text looks like the id that a site gives, 17 digits and more or 11 characters as on
 * YouTube, so that two clips with it are one. Words look different; "1080p" and "12" do too. */
bool file_name_is_id(const char *text, size_t size);

/* The size of a stem without the ending of a copy, " (1)", " copy" or " - Copy (2)", which file
 * managers and browsers give it. */
size_t file_name_original(const char *stem, size_t size);

/* A stem as gallery-dl writes it, "ID_NN TITLE [FILE]": all but the id may be missing. */
struct post_name {
    size_t id_size;
    int number; /* -1: none */
    const char *title, *file;
    size_t title_size, file_size; /* 0: none */
};
bool file_name_post(const char *stem, size_t size, struct post_name *post);

#endif
