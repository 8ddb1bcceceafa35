/* social.h - what people write under clips, made up: words of the texts, decorated as captions and
 * comments are. */
#ifndef OCC_TRAIN_READ_SOCIAL_H
#define OCC_TRAIN_READ_SOCIAL_H

#include "train/read/letters.h"
#include "train/read/text.h"

/* Whose texts and letters; the scratch memory is a thread's own. */
struct social {
    const struct text_files *texts;
    const struct letters *letters;
    struct bytes words; /* scratch */
};
void social_init(struct social *s, const struct text_files *texts, const struct letters *letters);
void social_close(struct social *s);

/* How somebody writes. */
enum voice_style { VOICE_PLAIN, VOICE_LOWER, VOICE_BARE, VOICE_UPPER, VOICE_STYLES };
struct voice {
    const struct text_file *text;         /* whose words they use */
    enum voice_style style;               /* BARE: small letters, no punctuation */
    double emoji, facts, marks, accented; /* for each word: how often */
    double strange;                       /* likewise: characters outside the alphabet */
};
void voice_begin(struct voice *v, const struct social *s, const struct text_file *text,
                 uint64_t *random);

/* Each appends to `out`. */
int social_line(struct social *s, struct bytes *out, const struct voice *v, int words,
                uint64_t *random, struct error *e);
/* Words as they stand in the text, some with another letter. */
int social_speech(struct social *s, struct bytes *out, const struct voice *v, int words,
                  uint64_t *random, struct error *e);
int social_comment(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                   struct error *e);
int social_handle(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                  struct error *e); /* without "@" */
int social_name(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                struct error *e);
int social_hashtag(struct social *s, struct bytes *out, const struct voice *v, uint64_t *random,
                   struct error *e); /* without "#" */

#endif
