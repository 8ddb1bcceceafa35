/* corpus_clips.c - documents from clips: of the stream of the stages, and of a store. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/date.h"
#include "store/json.h"
#include "store/spans.h"
#include "store/utf8.h"
#include "train/corpus/corpus_parts.h"

static const char SCRIPT[] = "script.json";

void corpus_trim(const char **text, size_t *size) {
    while (*size > 0 && memchr(" \t\r\n", (*text)[*size - 1], 4) != NULL) {
        --*size;
    }
    while (*size > 0 && memchr(" \t\r\n", **text, 4) != NULL) {
        ++*text;
        --*size;
    }
}

const char *corpus_caption(const json_t *sample) {
    const char *caption = json_get_text(sample, "description");
    caption = caption != NULL ? caption : json_get_text(sample, "title");
    return caption != NULL ? caption : "";
}

int corpus_prompt(struct bytes *out, const char *account, bool script, struct error *e) {
    return bytes_printf(out, e, "Account: %s\n%s:", account, script ? "Script" : "Caption");
}

/* The prompt and, as what is to be learned, " TEXT". */
static int add_document(struct corpus_builder *b, const char *account, bool script,
                        const char *text, size_t size, struct error *e) {
    struct bytes prompt, answer;
    bytes_init(&prompt, STREAM_MEMBER_LIMIT);
    bytes_init(&answer, STREAM_SAMPLE_LIMIT);
    corpus_trim(&text, &size);
    int rc = corpus_prompt(&prompt, account, script, e);
    if (rc == 0 && size > 0) {
        rc = bytes_append_text(&answer, " ", e);
    }
    if (rc == 0) {
        rc = bytes_append(&answer, text, size, e);
    }
    if (rc == 0) {
        const struct corpus_text texts[] = {
            {.text = bytes_text(&prompt), .size = prompt.size},
            {.text = bytes_text(&answer), .size = answer.size, .target = true}};
        rc = corpus_document(b, texts, 2, e);
    }
    bytes_close(&prompt);
    bytes_close(&answer);
    return rc;
}

int corpus_post(struct corpus_builder *b, int64_t created, const struct corpus_post_texts *texts,
                struct error *e) {
    int rc = corpus_post_begin(b, texts->account, created, e);
    if (rc < 0) {
        return rc;
    }
    rc = add_document(b, texts->title, false, texts->caption, texts->caption_size, e);
    if (rc == 0 && texts->script != NULL) {
        rc = add_document(b, texts->title, true, texts->script, texts->script_size, e);
    }
    corpus_post_end(b);
    return rc;
}

int corpus_clip(struct corpus_builder *b, const char *key, const json_t *sample, const char *script,
                size_t script_size, struct error *e) {
    enum date_kind kind;
    char account[STREAM_KEY_BYTES];
    stream_account(account, key);
    const char *title = json_get_text(sample, "account"), *caption = corpus_caption(sample);
    const struct corpus_post_texts texts = {.account = account,
                                            .title = title != NULL ? title : account,
                                            .caption = caption,
                                            .caption_size = strlen(caption),
                                            .script = script,
                                            .script_size = script_size};
    int rc = table_add(b->clips, key, 0, NULL, e);
    return rc == 1 ? corpus_post(b, date_created(sample, &kind), &texts, e) : rc;
}

/* ---- The stream ------------------------------------------------------------------------- */

/* Of scripts that are written without spaces: Thai, Lao, Burmese, Khmer, Chinese and Japanese. */
static bool is_spaceless(uint32_t c) {
    return (c >= 0xE00 && c <= 0xEFF) || (c >= 0x1000 && c <= 0x109F) ||
           (c >= 0x1780 && c <= 0x17FF) || (c >= 0x2E80 && c <= 0x312F) ||
           (c >= 0x31A0 && c <= 0x9FFF) || (c >= 0xFF01 && c <= 0xFF65) ||
           (c >= 0x20000 && c <= 0x3FFFF);
}

static uint32_t character(const char *text, size_t size) {
    uint32_t c = 0;
    bool valid;
    if (size > 0) {
        utf8_decode(text, size, &c, &valid);
    }
    return c;
}

/* Newlines in cues, and what is between two, are spaces. */
static int add_cue(struct bytes *out, const char *text, size_t size, uint32_t *last,
                   struct error *e) {
    corpus_trim(&text, &size);
    bool apart = out->size > 0 && !(is_spaceless(*last) && is_spaceless(character(text, size)));
    int rc = size > 0 && apart ? bytes_append_text(out, " ", e) : 0;
    size_t from = out->size;
    if (rc == 0) {
        rc = bytes_append(out, text, size, e);
    }
    for (size_t i = from; i < out->size; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r') {
            out->data[i] = ' ';
        }
    }
    size_t begin = size;
    while (begin > 0 && size - begin < 4 && ((unsigned char)text[begin - 1] & 0xC0) == 0x80) {
        begin--;
    }
    if (rc == 0 && size > 0) {
        *last = character(text + begin - (begin > 0), size - begin + (begin > 0));
    }
    return rc;
}

/* Cues, [{"text"}, ...], as one text. */
static int join_cues(struct bytes *out, const json_t *cues, struct error *e) {
    uint32_t last = 0;
    size_t i;
    const json_t *cue;
    int rc = 0;
    bytes_clear(out);
    json_array_foreach(cues, i, cue) {
        const json_t *text = json_object_get(cue, "text");
        if (rc == 0 && json_is_string(text)) {
            rc = add_cue(out, json_string_value(text), json_string_length(text), &last, e);
        }
    }
    return rc;
}

/* NULL: there is no such member or, where *rc is negative then, it cannot be read. */
static json_t *read_member(const struct stream_sample *s, const char *suffix, int *rc,
                           struct error *e) {
    const struct stream_member *m = stream_member_find(s, suffix);
    json_t *root = m != NULL ? json_read(m->data, m->size, NULL, e) : NULL;
    if (m != NULL && root == NULL) {
        *rc = error_context(e, "%s.%s", s->key, suffix);
    }
    return root;
}

static int take_sample(struct corpus_builder *b, const struct stream_sample *s, struct bytes *text,
                       struct error *e) {
    int rc = 0;
    json_t *sample = read_member(s, "json", &rc, e);
    json_t *cues = rc == 0 ? read_member(s, SCRIPT, &rc, e) : NULL;
    if (rc == 0) {
        rc = join_cues(text, cues, e);
    }
    if (rc == 0) {
        rc = corpus_clip(b, s->key, sample, cues != NULL ? bytes_text(text) : NULL, text->size, e);
    }
    json_decref(sample);
    json_decref(cues);
    return rc;
}

int corpus_read_stream(struct corpus_builder *b, char *const *paths, int count, struct error *e) {
    struct stream_reader *reader = NULL;
    struct stream_sample sample;
    struct bytes text;
    bytes_init(&text, STREAM_SAMPLE_LIMIT);
    int rc = stream_reader_open_files(&reader, paths, count, b->cancel, e), more = 1;
    while (rc == 0 && more > 0) {
        more = stream_next(reader, &sample, e);
        if (more == 1 && !stream_is_pack(sample.key)) {
            rc = take_sample(b, &sample, &text, e);
        }
    }
    rc = rc == 0 && more < 0 ? more : rc;
    stream_reader_close(reader);
    bytes_close(&text);
    return rc;
}
