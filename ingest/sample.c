/* sample.c - see sample.h. Members are set in a fixed order and the writer keeps it, so the same
 * clip gives the same bytes. */
#include "ingest/sample.h"

#include <math.h>
#include <string.h>

#include "store/utf8.h"

json_t *sample_text(const char *text) {
    if (text == NULL) {
        return json_null();
    }
    size_t size = strlen(text);
    if (utf8_is_valid(text, size)) {
        return json_stringn_nocheck(text, size);
    }
    struct bytes repaired;
    size_t count = 0;
    bytes_init(&repaired, SIZE_MAX);
    json_t *string = NULL;
    if (utf8_repair(&repaired, text, size, &count, NULL) == 0) {
        string = json_stringn_nocheck(bytes_text(&repaired), repaired.size);
    }
    bytes_close(&repaired);
    return string;
}

/* A number that is -1 where it is unknown. */
static json_t *known(int64_t value) {
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *rounded(double value, double steps) {
    return isfinite(value) ? json_real(round(value * steps) / steps) : json_null();
}

static json_t *texts(const char *const *items, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (json_array_append_new(list, sample_text(items[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *counts_to_json(const struct metadata *m) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "views", known(m->views), "likes",
                     known(m->likes), "comments", known(m->comments), "shares", known(m->shares),
                     "saves", known(m->saves));
}

static json_t *source_to_json(const struct sample *s) {
    const struct clip_file *file = clip_file_of(s->clip, FILE_VIDEO);
    file = file != NULL ? file : clip_file_of(s->clip, FILE_AUDIO);
    file = file != NULL ? file : s->clip->count ? &s->clip->files[0] : NULL;
    if (file == NULL) {
        return json_null();
    }
    return json_pack("{s:o, s:I, s:I}", "path", sample_text(file->path), "size",
                     (json_int_t)file->size, "mtime", (json_int_t)file->mtime);
}

static json_t *media_to_json(const struct media *m) {
    if (m == NULL || m->container == NULL) {
        return json_null();
    }
    json_t *frames =
        json_pack("{s:o, s:I, s:I, s:I, s:b}", "expected", known(m->frames_expected), "read",
                  (json_int_t)m->frames_read, "decoded", (json_int_t)m->frames_decoded, "errors",
                  (json_int_t)m->video_errors, "every", m->every_frame);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:b, s:b, s:o}", "container",
                     sample_text(m->container), "codec", sample_text(m->video_codec), "audio_codec",
                     sample_text(m->audio_codec), "width",
                     known(m->video_codec != NULL ? m->width : -1), "height",
                     known(m->video_codec != NULL ? m->height : -1), "fps",
                     m->fps > 0 ? rounded(m->fps, 1000) : json_null(), "rotation", m->rotation,
                     "mirrored", m->mirrored, "interlaced", m->interlaced, "frames", frames);
}

static json_t *thumbs_to_json(const struct sample *s) {
    json_t *list = json_array();
    for (int i = 0; list != NULL && i < s->thumb_count; i++) {
        const struct thumbnail *t = &s->thumbs[i];
        json_t *thumb =
            json_pack("{s:I, s:i, s:i, s:o, s:o, s:o, s:i, s:s}", "pts_ms", (json_int_t)t->pts_ms,
                      "width", t->picture.width, "height", t->picture.height, "sharpness",
                      rounded(t->picture.sharpness, 10), "luma", rounded(t->picture.luma, 10),
                      "contrast", rounded(t->picture.contrast, 10), "scene", t->scene, "flaw",
                      thumbnail_flaw_name(t->flaw));
        if (json_array_append_new(list, thumb) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *captions_to_json(const struct sample *s) {
    json_t *list = json_array();
    for (int i = 0; list != NULL && i < s->captions->count; i++) {
        const struct caption_choice *c = &s->captions->items[i];
        json_t *caption = json_pack("{s:s, s:o, s:s, s:b, s:b, s:o}", "source", c->source,
                                    "language", sample_text(c->language), "kind", c->kind, "bitmap",
                                    c->bitmap, "chosen", i == s->captions->chosen, "cues",
                                    known(c->cues != NULL ? (int64_t)c->cues->count : -1));
        if (json_array_append_new(list, caption) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* The language of the text where it is known: of the chosen captions, else from the site. */
static const char *language_of(const struct sample *s) {
    const char *language =
        s->captions->chosen >= 0 ? s->captions->items[s->captions->chosen].language : NULL;
    return language != NULL ? language : s->sidecars->metadata.language;
}

json_t *sample_warnings(const struct sidecars *sidecars, const struct media *media) {
    json_t *list = texts(sidecars->warnings, (size_t)sidecars->warning_count);
    bool wrong = media != NULL && media->reason != NULL;
    if (list != NULL && wrong && json_array_append_new(list, sample_text(media->message)) != 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *sample_to_json(const struct sample *s) {
    const struct metadata *m = &s->sidecars->metadata;
    int64_t duration =
        s->media != NULL && s->media->duration_ms >= 0 ? s->media->duration_ms : m->duration_ms;
    json_t *root =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", sample_text(m->id),
                  "account", sample_text(m->account), "account_name", sample_text(m->account_name),
                  "site", sample_text(m->site), "url", sample_text(m->url), "title",
                  sample_text(m->title), "description", sample_text(m->description), "hashtags",
                  texts(m->hashtags, m->hashtag_count), "created", known(m->created));
    if (root == NULL) {
        return NULL;
    }
    json_t *rest =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "created_from",
                  m->created < 0                   ? "unknown"
                  : s->sidecars->created_from_file ? "file"
                                                   : "metadata",
                  "duration_ms", known(duration), "counts", counts_to_json(m), "language",
                  sample_text(language_of(s)), "source", source_to_json(s), "media",
                  media_to_json(s->media), "thumbs", thumbs_to_json(s), "captions",
                  captions_to_json(s), "status", s->status == SAMPLE_OK ? "ok" : "partial",
                  "warnings", sample_warnings(s->sidecars, s->media));
    if (rest == NULL || json_object_update(root, rest) != 0) {
        json_decref(root);
        root = NULL;
    }
    json_decref(rest);
    return root;
}

json_t *sample_script_to_json(const struct cue_list *cues) {
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < cues->count; i++) {
        const struct cue *cue = &cues->items[i];
        json_t *item = json_pack("{s:I, s:I, s:o, s:s*}", "start_ms", (json_int_t)cue->start_ms,
                                 "end_ms", (json_int_t)cue->end_ms, "text", sample_text(cue->text),
                                 "speaker", cue->speaker);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
