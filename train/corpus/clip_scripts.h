/* clip_scripts.h - the scripts of clips, put together from what the cells of a store's pages show
 * (store/spans.h); a script may go on on another page, or another pack. */
#ifndef OCC_TRAIN_CORPUS_CLIP_SCRIPTS_H
#define OCC_TRAIN_CORPUS_CLIP_SCRIPTS_H

#include "store/spans.h"

struct clip_scripts;
int clip_scripts_open(struct clip_scripts **out, struct error *e);
void clip_scripts_close(struct clip_scripts *s); /* NULL is allowed */
/* Takes what is whose script on all pages of a sample or a pack; `text`: that of its pages. */
int clip_scripts_take(struct clip_scripts *s, struct spans *spans, const char *text, size_t size,
                      struct error *e);
/* After all pages: appends the script of a clip as one paragraph. 1: there; 0: it has none. */
int clip_scripts_find(struct clip_scripts *s, const char *key, struct bytes *out, struct error *e);

#endif
