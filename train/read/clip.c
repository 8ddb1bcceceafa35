/* clip.c - see clip.h. */
#include "train/read/clip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/random.h"
#include "store/utf8.h"
#include "train/read/facts.h"
#include "train/read/pictures.h"

enum {
    ABOUT,
    SCRIPT,
    COMMENTS,
    TEXTS,
    THUMBS = 4, /* at most */
    MEMBERS = TEXTS + THUMBS,
    TEXT_LIMIT = 1 << 24,
    WORD_BYTES = 6 /* about, with the space */
};

struct clip_maker {
    struct social social;
    struct bytes text; /* scratch */
    struct bytes data[MEMBERS];
    struct stream_member members[MEMBERS];
};

int clip_maker_open(struct clip_maker **out, const struct text_files *texts,
                    const struct letters *letters, struct error *e) {
    struct clip_maker *m = calloc(1, sizeof *m);
    *out = m;
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    social_init(&m->social, texts, letters);
    bytes_init(&m->text, TEXT_LIMIT);
    for (int i = 0; i < MEMBERS; i++) {
        bytes_init(&m->data[i], TEXT_LIMIT);
    }
    return 0;
}

void clip_maker_close(struct clip_maker *m) {
    if (m == NULL) {
        return;
    }
    social_close(&m->social);
    bytes_close(&m->text);
    for (int i = 0; i < MEMBERS; i++) {
        bytes_close(&m->data[i]);
    }
    free(m);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* What `text` holds now, as a string; it is repaired first, as texts may be any bytes. */
static int set_text(struct clip_maker *m, json_t *object, const char *name, struct error *e) {
    struct bytes repaired;
    size_t replaced = 0;
    bytes_init(&repaired, TEXT_LIMIT);
    int rc = utf8_repair(&repaired, bytes_text(&m->text), m->text.size, &replaced, e);
    if (rc == 0) {
        json_t *string = json_stringn(bytes_text(&repaired), repaired.size);
        rc = (name != NULL ? json_object_set_new(object, name, string)
                           : json_array_append_new(object, string)) == 0
                 ? 0
                 : error_memory(e, NULL);
    }
    bytes_close(&repaired);
    bytes_clear(&m->text);
    return rc;
}

static int set_number(json_t *object, const char *name, int64_t value, struct error *e) {
    return json_object_set_new(object, name, json_integer(value)) == 0 ? 0 : error_memory(e, NULL);
}

static int finish(struct clip_maker *m, int member, json_t *tree, int rc, struct error *e) {
    if (rc == 0) {
        rc = json_append(&m->data[member], tree, e);
    }
    json_decref(tree);
    return rc;
}

/* ---- The parts ------------------------------------------------------------------------------- */

static int put_counts(json_t *about, uint64_t *random, struct error *e) {
    enum { DIGITS = 9 };
    static const char *const NAMES[] = {"views", "likes", "comments"};
    json_t *counts = json_object();
    int rc = json_object_set_new(about, "counts", counts) == 0 ? 0 : error_memory(e, NULL);
    for (int i = 0; i < 3 && rc == 0; i++) {
        if (random_below(random, 8) > 0) { /* not all that are known */
            rc = set_number(counts, NAMES[i], fact_number(DIGITS - 2 * i, random), e);
        }
    }
    return rc;
}

/* A hashtag, a mention or an address. */
static int put_link(struct clip_maker *m, const struct voice *v, uint64_t *random,
                    struct error *e) {
    enum { TAG, MENTION, URL, KINDS };
    static const double SHARES[KINDS] = {[TAG] = 8, [MENTION] = 2, [URL] = 0.5};
    int kind = random_choice(random, SHARES, KINDS);
    int rc = bytes_append_text(&m->text, kind == TAG ? "#" : kind == MENTION ? "@" : "", e);
    if (rc < 0) {
        return rc;
    }
    return kind == TAG       ? social_hashtag(&m->social, &m->text, v, random, e)
           : kind == MENTION ? social_handle(&m->social, &m->text, v, random, e)
                             : fact_put_url(&m->text, random, e);
}

/* Lines like "• words 2,99 €": recipes, programmes, lists of what was used. */
static int put_list(struct clip_maker *m, const struct voice *v, uint64_t *random,
                    struct error *e) {
    static const char *const BULLETS[] = {"• ", "- ", "· ", "* ", "→ ", "✓ ", "★ ", "| ", "  - "};
    int count = 2 + (int)random_below(random, 5), rc = 0;
    int bullet = (int)random_below(random, 2 * (int64_t)(sizeof BULLETS / sizeof *BULLETS));
    bool numbered = bullet >= (int)(sizeof BULLETS / sizeof *BULLETS);
    for (int i = 1; i <= count && rc == 0; i++) {
        rc = numbered ? bytes_printf(&m->text, e, "\n%d%s ", i, bullet % 2 ? "." : ")")
                      : bytes_printf(&m->text, e, "\n%s", BULLETS[bullet]);
        if (rc == 0) {
            rc = social_line(&m->social, &m->text, v, 1 + (int)random_below(random, 6), random, e);
        }
        if (rc == 0 && random_below(random, 3) == 0) {
            rc = bytes_append_text(&m->text, random_below(random, 2) == 0 ? ": " : " ", e);
            rc = rc == 0 ? fact_put(&m->text, random, e) : rc;
        }
    }
    return rc == 0 ? bytes_append(&m->text, "\n", 1, e) : rc;
}

static int put_description(struct clip_maker *m, const struct voice *v, uint64_t *random,
                           struct error *e) {
    int rc = social_line(&m->social, &m->text, v, 1 + (int)random_below(random, 30), random, e);
    if (rc == 0 && random_below(random, 8) == 0) {
        rc = put_list(m, v, random, e);
    }
    for (int64_t i = random_below(random, 7); i > 0 && rc == 0; i--) {
        rc = bytes_append(&m->text, random_below(random, 12) == 0 ? "\n" : " ", 1, e);
        rc = rc == 0 ? put_link(m, v, random, e) : rc;
    }
    return rc;
}

static int put_about(struct clip_maker *m, const struct voice *v, uint64_t *random,
                     struct error *e) {
    enum { LATEST = 2000000000, TITLED = 6, UNDATED = 20 /* one of so many */ };
    json_t *about = json_object(), *tags = json_array();
    int rc = json_object_set_new(about, "hashtags", tags) == 0 ? 0 : error_memory(e, NULL);
    rc = rc == 0 ? social_handle(&m->social, &m->text, v, random, e) : rc;
    rc = rc == 0 ? set_text(m, about, "account", e) : rc;
    rc = rc == 0 ? put_counts(about, random, e) : rc;
    if (rc == 0 && random_below(random, UNDATED) > 0) {
        rc = set_number(about, "created", random_below(random, LATEST), e);
    }
    if (rc == 0 && random_below(random, TITLED) == 0) {
        rc = social_line(&m->social, &m->text, v, 1 + (int)random_below(random, 8), random, e);
        rc = rc == 0 ? set_text(m, about, "title", e) : rc;
    }
    rc = rc == 0 ? put_description(m, v, random, e) : rc;
    rc = rc == 0 ? set_text(m, about, "description", e) : rc;
    for (int64_t i = random_below(random, 2) * random_below(random, 9); i > 0 && rc == 0; i--) {
        rc = social_hashtag(&m->social, &m->text, v, random, e);
        rc = rc == 0 ? set_text(m, tags, NULL, e) : rc;
    }
    return finish(m, ABOUT, about, rc, e);
}

/* Cues of a few words each, cut out of one stretch of the text. */
static int put_script(struct clip_maker *m, const struct voice *v, int words, uint64_t *random,
                      struct error *e) {
    enum { SPEAKERS = 2, CUE_WORDS = 12, CUE_MS = 5000 };
    json_t *list = json_array();
    struct bytes speech;
    bytes_init(&speech, TEXT_LIMIT);
    int64_t ms = 0;
    bool speakers = random_below(random, 4) == 0;
    int rc = social_speech(&m->social, &speech, v, words, random, e);
    for (size_t at = 0; at < speech.size && rc == 0;) {
        json_t *cue = json_object();
        size_t end = at;
        for (int64_t i = 1 + random_below(random, CUE_WORDS); i > 0 && end < speech.size; i--) {
            end += strcspn(bytes_text(&speech) + end, " ") + 1;
        }
        end = end < speech.size ? end : speech.size;
        rc = json_array_append_new(list, cue) == 0 ? set_number(cue, "start_ms", ms, e)
                                                   : error_memory(e, NULL);
        if (rc == 0 && speakers) {
            rc = bytes_printf(&m->text, e, "%s %d", random_below(random, 2) ? "Speaker" : "S",
                              1 + (int)random_below(random, SPEAKERS));
            rc = rc == 0 ? set_text(m, cue, "speaker", e) : rc;
        }
        if (rc == 0) {
            size_t size = end - at;
            size -= size > 0 && speech.data[end - 1] == ' ';
            rc = bytes_append(&m->text, speech.data + at, size, e);
        }
        rc = rc == 0 ? set_text(m, cue, "text", e) : rc;
        ms += 500 + random_below(random, CUE_MS);
        at = end;
    }
    bytes_close(&speech);
    return finish(m, SCRIPT, list, rc, e);
}

static int put_comment(struct clip_maker *m, const struct text_file *text, json_t *list,
                       uint64_t *random, struct error *e) {
    enum { DIGITS = 6, ANSWERS = 4, CREATOR = 12 /* one of so many */ };
    struct voice v;
    json_t *comment = json_object();
    int64_t before = (int64_t)json_array_size(list);
    voice_begin(&v, &m->social, text, random);
    int rc = json_array_append_new(list, comment) == 0 ? set_number(comment, "id", before + 1, e)
                                                       : error_memory(e, NULL);
    rc = rc == 0 ? social_name(&m->social, &m->text, &v, random, e) : rc;
    rc = rc == 0 ? set_text(m, comment, "author", e) : rc;
    rc = rc == 0 ? social_comment(&m->social, &m->text, &v, random, e) : rc;
    rc = rc == 0 ? set_text(m, comment, "text", e) : rc;
    if (rc == 0 && random_below(random, 3) > 0) {
        rc = set_number(comment, "likes", fact_number(DIGITS, random), e);
    }
    if (rc == 0 && before > 0 && random_below(random, ANSWERS) == 0) {
        rc = set_number(comment, "parent", 1 + random_below(random, before), e);
    }
    if (rc == 0 && random_below(random, CREATOR) == 0) {
        rc = json_object_set_new(comment, "by_creator", json_true()) == 0 ? 0
                                                                          : error_memory(e, NULL);
    }
    return rc;
}

static int put_comments(struct clip_maker *m, const struct text_file *text, int count,
                        uint64_t *random, struct error *e) {
    json_t *list = json_array();
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = put_comment(m, text, list, random, e);
    }
    return finish(m, COMMENTS, list, rc, e);
}

/* Upright as most clips are, or of any shape. */
static int put_thumb(struct clip_maker *m, int number, uint64_t *random, struct error *e) {
    enum { LEAST = 24, MOST = 160, CLIP_WIDTH = 90 };
    bool upright = random_below(random, 3) > 0;
    int width = upright ? CLIP_WIDTH : LEAST + (int)random_below(random, MOST - LEAST);
    int height = upright ? MOST : LEAST + (int)random_below(random, MOST - LEAST);
    return picture_put_jpeg(&m->data[TEXTS + number], width, height, random, e);
}

/* ---- All of it ------------------------------------------------------------------------------- */

int clip_make(struct clip_maker *m, const struct text_file *text, int size, bool pictures,
              uint64_t *random, struct stream_sample *sample, struct error *e) {
    enum { COMMENT_BYTES = 80 };
    static const char *const SUFFIXES[MEMBERS] = {
        "json", "script.json", "comments.json", "000.jpg", "001.jpg", "002.jpg", "003.jpg"};
    struct voice v;
    double spoken = random_unit(random); /* share of the script */
    bool silent = random_below(random, 8) == 0, lonely = random_below(random, 6) == 0;
    int words = silent ? 0 : (int)(spoken * size / WORD_BYTES);
    int comments = lonely ? 0 : (int)((1 - spoken) * size / COMMENT_BYTES) + 1;
    int thumbs = pictures ? 1 + (int)random_below(random, THUMBS) : 0, count = 0;
    for (int i = 0; i < MEMBERS; i++) {
        bytes_clear(&m->data[i]);
    }
    bytes_clear(&m->text);
    voice_begin(&v, &m->social, text, random);
    int rc = put_about(m, &v, random, e);
    rc = rc == 0 && words > 0 ? put_script(m, &v, words, random, e) : rc;
    rc = rc == 0 && comments > 0 ? put_comments(m, text, comments, random, e) : rc;
    for (int i = 0; i < thumbs && rc == 0; i++) {
        rc = put_thumb(m, i, random, e);
    }
    for (int i = 0; i < MEMBERS; i++) {
        if (m->data[i].size > 0) {
            m->members[count++] = (struct stream_member){
                .suffix = SUFFIXES[i], .data = m->data[i].data, .size = m->data[i].size};
        }
    }
    *sample =
        (struct stream_sample){.key = "made/up", .members = m->members, .count = (size_t)count};
    return rc;
}
