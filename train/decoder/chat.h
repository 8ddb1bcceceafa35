/* chat.h - conversations as the text that a model was taught to read them in, by its chat template:
 * a program in Jinja that comes with the tokenizer (train/template/template.h).
 *
 * The text holds the control tokens ("<|im_start|>"): encode it with TOKENIZER_ADDED, and add no
 * begin token, which the template writes where there is one. */
#ifndef OCC_TRAIN_DECODER_CHAT_H
#define OCC_TRAIN_DECODER_CHAT_H

#include <jansson.h>
#include <stdint.h>

#include "store/bytes.h"

struct decoder_folder;

struct chat; /* read-only, shared by threads */

/* The template of a folder (decoder.h), which it outlives. ERR_UNSUPPORTED: the model has none, or
 * one that uses what is not supported; ERR_FORMAT: it is no template. */
int chat_open(struct chat **out, const struct decoder_folder *folder, struct error *e);
/* `size` bytes of a template, which are named `source` in messages, and the special tokens of
 * tokenizer_config.json (NULL: none): bos_token and its kin. Nothing is kept of them. */
int chat_read(struct chat **out, const char *text, size_t size, const json_t *tokenizer_config,
              const char *source, struct error *e);
void chat_close(struct chat *c); /* NULL is allowed */

/* {"messages": [{"role", "content"}, ...]}; its other members (tools, documents, ...) are variables
 * of the template, too. */
struct chat_input {
    const json_t *conversation;
    bool prompt; /* end with what an answer of the assistant begins with */
    int64_t now; /* seconds since 1970: some templates write the date of UTC */
};
/* Appends the text to `out`, which is as before on failure. ERR_FORMAT: it is no conversation, or
 * the template refuses it ("roles must alternate"); ERR_LIMIT: it takes too long or too much. */
int chat_render(const struct chat *c, const struct chat_input *in, struct bytes *out,
                struct error *e);

/* Bytes `start` to `end` - 1 of the text that was appended are an answer, with the token that ends
 * it. */
struct chat_part {
    size_t start, end;
};
struct chat_parts {
    struct chat_part *items; /* owned */
    size_t count, capacity;
};
void chat_parts_close(struct chat_parts *p); /* {0} is allowed; `p` is then empty */
/* As chat_render, and which parts are the assistant's, in *parts instead of what was there: those
 * that the template marks ({% generation %}), else what each answer adds to the text of the
 * messages before it; none begins before the end of another. ERR_UNSUPPORTED: a template that
 * writes messages otherwise once others follow, or answers within each other. */
int chat_render_parts(const struct chat *c, const struct chat_input *in, struct bytes *out,
                      struct chat_parts *parts, struct error *e);

#endif
