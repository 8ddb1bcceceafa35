/* clip_name.h - facts about a clip from the names of its files and folder, where no sidecar gives
 * them. */
#ifndef OCC_INGEST_ARCHIVE_CLIP_NAME_H
#define OCC_INGEST_ARCHIVE_CLIP_NAME_H

#include "ingest/archive/clips.h"

/* The id: what stands in "[ID]", first in gallery-dl's names, else the whole stem. Points into the
 * stem. True when the name says that it is an id: in brackets, or by its looks. */
bool clip_name_id(const struct clip *clip, const char **id, size_t *size);

/* The title, which points into the stem or the path; false when the name has only an id. */
bool clip_name_title(const struct clip *clip, const char **title, size_t *size);

/* The folder that holds a file, which archives name after the account; "_" when it has no name. In
 * the arena, repaired; NULL when memory runs out. */
const char *clip_name_account(const char *path, struct arena *arena);

/* A text that a file name gave: repaired, in the arena; NULL when memory runs out. */
const char *clip_name_text(const char *text, size_t size, struct arena *arena);

#endif
