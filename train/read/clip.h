/* clip.h - samples of clips that nobody made, as `occ ingest` writes them: for pages to learn from
 * that are laid out as real ones are. */
#ifndef OCC_TRAIN_READ_CLIP_H
#define OCC_TRAIN_READ_CLIP_H

#include "store/stream.h"
#include "train/read/social.h"

struct clip_maker; /* opaque; one thread each */

/* `texts` and `letters` must outlive it. */
int clip_maker_open(struct clip_maker **out, const struct text_files *texts,
                    const struct letters *letters, struct error *e);
void clip_maker_close(struct clip_maker *m); /* NULL is allowed */

/* Makes a clip in the language of `text`: description, script, hashtags, comments; thumbnails if
 * `pictures`. Of about `size` characters, but hardly ever of just as many. *sample is valid until
 * the next call. */
int clip_make(struct clip_maker *m, const struct text_file *text, int size, bool pictures,
              uint64_t *random, struct stream_sample *sample, struct error *e);

#endif
