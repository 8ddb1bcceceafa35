/* filename.h - what a file in an archive is, told from its name alone.
 *
 * Names follow yt-dlp (`STEM.EXT`, `STEM.info.json`, `STEM.LANG.vtt`, `STEM.description`,
 * `STEM.jpg`), gallery-dl (`FILE.json`, slides `ID_NN.jpg`) and the exports for comments
 * (`STEM.comments.json`). */
#ifndef OCC_INGEST_FILENAME_H
#define OCC_INGEST_FILENAME_H

#include <stdbool.h>
#include <stddef.h>

enum file_kind {
    FILE_OTHER,       /* nothing of ours, passed over */
    FILE_PARTIAL,     /* a download not finished or a part of one, passed over */
    FILE_VIDEO,       /* container that usually holds video */
    FILE_AUDIO,       /* container that usually holds audio only */
    FILE_IMAGE,       /* cover of a clip, or one picture of a slideshow */
    FILE_INFO,        /* STEM.info.json */
    FILE_DESCRIPTION, /* STEM.description */
    FILE_CAPTION,     /* STEM[.LANG].srt, .vtt, .ass, .ssa */
    FILE_COMMENTS,    /* STEM.comments.json, STEM_comments.jsonl, ... */
    FILE_GALLERY,     /* FILE.EXT.json of gallery-dl, FILE.EXT being media or image */
    FILE_JSON,        /* any other .json: creator captions, comments or something else */
};

struct file_name {
    enum file_kind kind;
    size_t stem_size;  /* bytes of the name that are the stem (of FILE, for FILE_GALLERY) */
    size_t short_size; /* captions and .json: stem without what looks like a language, else same */
    const char *extension; /* points into the name, without the dot; "" when there is none */
};

/* `name`: the last component of a path. */
struct file_name file_name_parse(const char *name);

/* The id in a stem as yt-dlp writes it, "Title [ID]" -> ID; false when there is none. */
bool file_name_bracket_id(const char *stem, size_t size, const char **id, size_t *id_size);

/* "ID_03" -> size of "ID"; 0 when the stem is not numbered so. */
size_t file_name_slide_base(const char *stem, size_t size);

#endif
