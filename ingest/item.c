/* item.c - see item.h. */
#include "ingest/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "ingest/choice.h"
#include "ingest/length_check.h"
#include "ingest/sample.h"
#include "store/clock.h"

enum { MEMBERS = 80 };
#define ITEM_ARENA ((size_t)1 << 30)

struct item_maker {
    const struct ingest_options *options;
    const struct table *done;
    struct arena *arena;
    struct sidecar_cache cache;
    struct bytes contents; /* of all members of one sample */
};

/* The state while one item is made. */
struct item_job {
    struct item_maker *maker;
    const struct clip *clip;
    struct heartbeat *heartbeat;
    double started;
    struct sidecars *sidecars;
    struct media *media; /* closed with the item */
    bool has_media;      /* media_read gave something */
    struct caption_choices captions;
    const struct thumbnail *thumbs;
    int thumb_count;
    enum item_status status;
    const char *reason;
    char message[sizeof((struct error *)0)->text];
    char key[STREAM_KEY_BYTES];
};

int item_maker_open(struct item_maker **out, const struct ingest_options *options,
                    const struct table *done, struct error *e) {
    *out = NULL;
    struct item_maker *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_memory(e, NULL);
    }
    m->options = options;
    m->done = done;
    bytes_init(&m->contents, STREAM_SAMPLE_LIMIT);
    int rc = arena_open(&m->arena, ITEM_ARENA, e);
    if (rc < 0) {
        free(m);
        return rc;
    }
    *out = m;
    return 0;
}

/* The report names the first thing that is wrong. */
static void set_status(struct item_job *it, enum item_status status, const char *reason,
                       const char *message) {
    it->status = status > it->status ? status : it->status;
    if (it->reason == NULL) {
        it->reason = reason;
        snprintf(it->message, sizeof it->message, "%s", message);
    }
}

/* ---- The report -------------------------------------------------------- */

const char *item_status_name(enum item_status status) {
    static const char *const names[] = {"ok", "partial", "failed", "skipped", "elsewhere"};
    return names[status];
}

static json_t *report_base(const struct clip *clip, enum item_status status, const char *key,
                           const char *reason, const char *message) {
    return json_pack("{s:o, s:o, s:s, s:o, s:o}", "input", sample_text(clip->path), "key",
                     sample_text(key), "status", item_status_name(status), "reason",
                     sample_text(reason), "message", sample_text(message));
}

int item_report_plain(struct bytes *out, const struct clip *clip, enum item_status status,
                      const char *key, const char *reason, const char *message, struct error *e) {
    json_t *report = report_base(clip, status, key, reason, message);
    int rc = report != NULL ? json_append(out, report, e) : error_memory(e, NULL);
    json_decref(report);
    return rc;
}

static int append_report(const struct item_job *it, struct bytes *out, struct error *e) {
    json_t *report = report_base(it->clip, it->status, it->key[0] ? it->key : NULL, it->reason,
                                 it->reason != NULL ? it->message : NULL);
    const struct media *m = it->media;
    bool video = it->has_media && m->video_codec != NULL;
    json_t *frames =
        video ? json_pack("{s:I, s:I, s:I, s:I}", "expected", (json_int_t)m->frames_expected,
                          "read", (json_int_t)m->frames_read, "decoded",
                          (json_int_t)m->frames_decoded, "errors", (json_int_t)m->video_errors)
              : json_null();
    const struct cue_list *chosen = caption_chosen(&it->captions);
    int64_t cues = chosen != NULL ? (int64_t)chosen->count : 0;
    json_t *rest =
        json_pack("{s:o, s:[I,I], s:i, s:I, s:i, s:I, s:i}", "frames", frames, "pts_ms",
                  (json_int_t)(video ? m->first_ms : -1), (json_int_t)(video ? m->last_ms : -1),
                  "captions", it->captions.count, "cues", (json_int_t)cues, "thumbs",
                  it->thumb_count, "comments", (json_int_t)it->sidecars->comments.count, "ms",
                  (int)((clock_seconds() - it->started) * 1000));
    int rc;
    if (report == NULL || rest == NULL || json_object_update(report, rest) != 0 ||
        json_object_set_new(report, "warnings", sample_warnings(it->sidecars, m)) != 0) {
        rc = error_memory(e, NULL);
    } else {
        rc = json_append(out, report, e);
    }
    json_decref(rest);
    json_decref(report);
    return rc;
}

/* ---- Media ------------------------------------------------------------- */

static void describe_failure(const struct pool_failure *before, char *text, size_t size) {
    char what[80];
    pool_failure_text(before, what, sizeof what);
    snprintf(text, size, "%s (while busy with: %s)", what, stage_name(before->stage));
}

/* The report's word for a file that gave nothing at all. */
static const char *reason_of(const struct error *e) {
    switch ((enum error_code)e->code) {
    case ERR_IO:
        return "unreadable";
    case ERR_FORMAT:
        return "not-media";
    case ERR_UNSUPPORTED:
        return "not-a-file";
    case ERR_USAGE:
    case ERR_NO_SPACE:
    case ERR_TRUNCATED:
    case ERR_LIMIT:
    case ERR_MEMORY:
    case ERR_CANCELLED:
    case ERR_CLOSED:
    default:
        return error_name(e->code);
    }
}

static int read_media(struct item_job *it, const struct media_options *options, struct error *e) {
    const struct clip_file *file = clip_file_of(it->clip, FILE_VIDEO);
    file = file != NULL ? file : clip_file_of(it->clip, FILE_AUDIO);
    if (file == NULL) {
        return 0;
    }
    if (file->size == 0) {
        set_status(it, ITEM_PARTIAL, "empty", "the media file is empty");
        return 0;
    }
    int rc = media_read(it->media, file->path, options, it->maker->arena, it->heartbeat, e);
    it->has_media = rc == 0;
    if (it->has_media) {
        length_check(it->sidecars, it->media);
    }
    if (rc == ERR_MEMORY) {
        return rc;
    }
    if (rc < 0) {
        set_status(it, ITEM_PARTIAL, reason_of(e), e->text);
    } else if (it->media->reason != NULL) {
        set_status(it, ITEM_PARTIAL, it->media->reason, it->media->message);
    }
    return 0;
}

static int compare_numbers(const void *a, const void *b) {
    const struct clip_file *x = *(const struct clip_file *const *)a;
    const struct clip_file *y = *(const struct clip_file *const *)b;
    int by_number = (x->number > y->number) - (x->number < y->number);
    return by_number ? by_number : strcmp(x->path, y->path);
}

/* The pictures beside the clip, slides or covers; slides by their numbers. */
static int list_pictures(const struct item_job *it, bool slides, const struct clip_file ***list,
                         size_t *count, struct error *e) {
    *count = 0;
    *list = arena_alloc(it->maker->arena, it->clip->count, sizeof **list);
    if (*list == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < it->clip->count; i++) {
        const struct clip_file *file = &it->clip->files[i];
        if (file->kind == FILE_IMAGE && (file->number >= 0) == slides) {
            (*list)[(*count)++] = file;
        }
    }
    if (slides && *count > 1) {
        qsort(*list, *count, sizeof **list, compare_numbers);
    }
    return 0;
}

/* Offers pictures; *added counts those that could be read. */
static int add_pictures(struct item_job *it, const struct media_options *options, bool slides,
                        size_t *added, struct error *e) {
    const struct clip_file **list;
    size_t count;
    int64_t duration = it->media->duration_ms > 0 ? it->media->duration_ms : 0;
    int rc = list_pictures(it, slides, &list, &count, e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        int64_t n = (int64_t)count, k = (int64_t)i; /* the site shows slides at an even pace */
        int64_t time_ms = duration / n * k + duration % n * k / n;
        time_ms = duration < n ? k : time_ms; /* without sound: their order is kept by the times */
        rc = media_add_picture(it->media, list[i]->path, time_ms, options, it->heartbeat, e);
        *added += rc == 0;
        if (rc < 0 && rc != ERR_MEMORY) {
            sidecars_lose(it->sidecars, list[i]->path, e->text);
            rc = 0;
        }
    }
    return rc;
}

/* For media without pictures of their own: slides, else covers, else the cover inside. */
static int read_pictures(struct item_job *it, const struct media_options *options,
                         struct error *e) {
    const struct media *m = it->media;
    bool seen =
        m->thumbnails != NULL && (m->frames_decoded > 0 || thumbnails_good(m->thumbnails) > 0);
    size_t added = 0;
    int rc = 0;
    if (seen || options->thumbs == 0) {
        return 0;
    }
    for (int slides = 1; slides >= 0 && added == 0 && rc == 0; slides--) {
        rc = add_pictures(it, options, slides, &added, e);
    }
    if (rc == 0 && added == 0 && m->cover_left) {
        const struct clip_file *file = clip_file_of(it->clip, FILE_VIDEO);
        file = file != NULL ? file : clip_file_of(it->clip, FILE_AUDIO);
        rc = media_add_picture(it->media, file->path, 0, options, it->heartbeat, e);
    }
    return rc == ERR_MEMORY ? rc : 0;
}

static int choose_thumbs(struct item_job *it, struct error *e) {
    if (it->media->thumbnails == NULL) {
        return 0;
    }
    int rc = thumbnails_choose(it->media->thumbnails, &it->thumbs, &it->thumb_count, e);
    if (rc == 0 && it->thumb_count == 0 && it->has_media && it->media->video_codec != NULL) {
        set_status(it, ITEM_PARTIAL, "no-picture", "no picture could be decoded");
    }
    return rc;
}

/* ---- The sample -------------------------------------------------------- */

struct members {
    struct stream_member list[MEMBERS];
    char names[MEMBERS][16];
    size_t offsets[MEMBERS]; /* into contents: data moves while it grows */
    size_t count;
};

/* The member that ends here began at `start`. */
static void member_end(struct members *all, const struct bytes *contents, const char *name,
                       size_t start) {
    size_t i = all->count++;
    snprintf(all->names[i], sizeof all->names[i], "%s", name);
    all->offsets[i] = start;
    all->list[i] = (struct stream_member){.suffix = all->names[i], .size = contents->size - start};
}

static int add_json(struct members *all, struct bytes *contents, const char *name, json_t *value,
                    struct error *e) {
    size_t start = contents->size;
    int rc = value != NULL ? json_append(contents, value, e) : error_memory(e, NULL);
    json_decref(value);
    if (rc == 0) {
        member_end(all, contents, name, start);
    }
    return rc;
}

static int add_audio(struct item_job *it, struct members *all, struct bytes *contents,
                     struct error *e) {
    struct audio *audio = it->media->audio;
    if (audio == NULL || audio_duration_ms(audio) <= 0) {
        return 0;
    }
    int rc = add_json(all, contents, "audio.json", audio_to_json(audio, e), e);
    size_t start = contents->size;
    if (rc == 0) {
        rc = audio_mel_pgm(audio, contents, e);
    }
    if (rc == 0 && contents->size > start) {
        member_end(all, contents, "mel.pgm", start);
    }
    return rc;
}

static int add_thumbs(struct item_job *it, struct members *all, struct bytes *contents,
                      struct error *e) {
    int rc = 0;
    for (int i = 0; i < it->thumb_count && rc == 0; i++) {
        char name[16];
        size_t start = contents->size;
        snprintf(name, sizeof name, "%03d.jpg", i);
        rc = still_to_jpeg(it->media->scaler, &it->thumbs[i].picture, contents, e);
        if (rc == 0) {
            member_end(all, contents, name, start);
        }
    }
    return rc;
}

static int append_sample(struct item_job *it, struct bytes *out, struct error *e) {
    struct bytes *contents = &it->maker->contents;
    struct members all = {.count = 0};
    struct sample sample = {.clip = it->clip,
                            .sidecars = it->sidecars,
                            .media = it->media,
                            .thumbs = it->thumbs,
                            .thumb_count = it->thumb_count,
                            .captions = &it->captions,
                            .status = it->status == ITEM_OK ? SAMPLE_OK : SAMPLE_PARTIAL};
    heartbeat_step(it->heartbeat, STAGE_WRITE);
    bytes_clear(contents);
    int rc = add_json(&all, contents, "json", sample_to_json(&sample), e);
    const struct cue_list *chosen = caption_chosen(&it->captions);
    if (rc == 0 && chosen != NULL) {
        json_t *script = sample_script_to_json(chosen);
        rc = add_json(&all, contents, "script.json", script, e);
    }
    if (rc == 0 && it->sidecars->comments.count > 0) {
        json_t *comments = comments_to_json(&it->sidecars->comments);
        rc = add_json(&all, contents, "comments.json", comments, e);
    }
    if (rc == 0) {
        rc = add_thumbs(it, &all, contents, e);
    }
    if (rc == 0) {
        rc = add_audio(it, &all, contents, e);
    }
    for (size_t i = 0; i < all.count; i++) {
        all.list[i].data = bytes_text(contents) + all.offsets[i];
    }
    return rc == 0 ? stream_encode(out, it->key, all.list, all.count, e) : rc;
}

/* Whether this part of --shard has the key, by its hash: stable whatever else is in the archive. */
static bool in_shard(const struct ingest_options *o, const char *key) {
    uint64_t parts = (uint64_t)o->shard[1];
    return parts <= 1 || XXH3_64bits(key, strlen(key)) % parts == (uint64_t)o->shard[0];
}

/* Reads everything that belongs to the clip; settles status and key. */
static int gather(struct item_job *it, const struct pool_failure *before, struct error *e) {
    const struct ingest_options *o = it->maker->options;
    struct media_options options = {.thumbs = (int)o->thumbs,
                                    .thumb_size = (int)o->thumb_size,
                                    .audio = o->audio,
                                    .no_cover = clip_file_of(it->clip, FILE_IMAGE) != NULL};
    heartbeat_step(it->heartbeat, STAGE_SIDECARS);
    int rc = sidecars_read(it->sidecars, it->clip, it->maker->arena, &it->maker->cache, e);
    if (rc < 0) {
        return rc;
    }
    stream_key(it->key, it->sidecars->metadata.account, it->sidecars->metadata.id);
    if (!in_shard(o, it->key) || (it->sidecars->playlist && !clip_has_media(it->clip))) {
        it->status = ITEM_ELSEWHERE;
        return 0;
    }
    if (it->maker->done != NULL && table_find(it->maker->done, it->key, NULL)) {
        set_status(it, ITEM_SKIPPED, "done",
                   it->clip->chosen
                       ? "the key is in the list of keys already done; several clips have it: to "
                         "have the richest of them, take it off the list"
                       : "the key is in the list of keys already done");
        return 0;
    }
    if (before != NULL) {
        char text[200];
        describe_failure(before, text, sizeof text);
        set_status(it, ITEM_PARTIAL, pool_failure_reason(before), text);
        media_init(it->media, it->maker->arena);
    } else {
        rc = read_media(it, &options, e);
        if (rc == 0) {
            rc = read_pictures(it, &options, e);
        }
    }
    if (rc == 0) {
        rc = choose_thumbs(it, e);
    }
    if (rc == 0) {
        rc =
            captions_choose(&it->captions, it->sidecars, it->media, o->languages, it->heartbeat, e);
    }
    if (rc == 0 && it->sidecars->lost != NULL) {
        set_status(it, ITEM_PARTIAL, "sidecar", it->sidecars->lost);
    }
    return rc;
}

/* A clip of which nothing is left but its name makes no sample. */
static bool has_content(const struct item_job *it) {
    bool described = it->sidecars->described || it->sidecars->metadata.description != NULL;
    return it->has_media || it->thumb_count > 0 || caption_chosen(&it->captions) != NULL ||
           it->sidecars->comments.count > 0 || described;
}

/* The beginning of an answer; end_report fills in its sizes. */
static int begin_answer(struct bytes *out, struct item_head *head, const char *message,
                        struct error *e) {
    head->message_size = message != NULL ? strlen(message) + 1 : 0;
    int rc = bytes_append(out, head, sizeof *head, e);
    if (rc == 0 && message != NULL) {
        rc = bytes_append(out, message, head->message_size, e);
    }
    return rc;
}

/* The report line ends here. `start`: where the answer began. */
static void end_report(struct bytes *out, size_t start, struct item_head *head) {
    head->report_size = out->size - start - sizeof *head - head->message_size;
    memcpy(out->data + start, head, sizeof *head);
}

static int make(struct item_job *it, const struct pool_failure *before, struct bytes *out,
                struct error *e) {
    size_t start = out->size;
    int rc = gather(it, before, e);
    if (rc < 0) {
        return rc;
    }
    if (it->status == ITEM_PARTIAL && !has_content(it)) {
        it->status = ITEM_FAILED;
    }
    struct item_head head = {.status = it->status};
    memcpy(head.key, it->key, sizeof head.key);
    rc = begin_answer(out, &head, it->reason != NULL ? it->message : NULL, e);
    if (rc == 0) {
        rc = append_report(it, out, e);
    }
    if (rc == 0) {
        end_report(out, start, &head);
    }
    if (rc == 0 && (it->status == ITEM_OK || it->status == ITEM_PARTIAL)) {
        rc = append_sample(it, out, e);
    }
    return rc;
}

/* A clip that makes no sample is only reported. Its path stands for the key that it lacks, so that
 * just one part of --shard reports it. A duplicate of a clip that is done is done too. */
static int report_problem(const struct item_maker *maker, const struct clip *clip,
                          struct bytes *out, struct error *e) {
    const char *reason = clip->reason, *message = clip->problem;
    struct item_head head = {.status = clip->left_out ? ITEM_SKIPPED : ITEM_FAILED};
    if (clip->key != NULL) {
        snprintf(head.key, sizeof head.key, "%s", clip->key);
    }
    if (clip->key != NULL && maker->done != NULL && table_find(maker->done, clip->key, NULL)) {
        reason = "done";
    }
    if (!in_shard(maker->options, clip->key != NULL ? clip->key : clip->path)) {
        head.status = ITEM_ELSEWHERE;
    }
    size_t start = out->size;
    int rc = begin_answer(out, &head, message, e);
    if (rc == 0) {
        rc = item_report_plain(out, clip, head.status, clip->key, reason, message, e);
    }
    if (rc == 0) {
        end_report(out, start, &head);
    }
    return rc;
}

int item_make(struct item_maker *maker, const struct clip *clip, const struct pool_failure *before,
              struct heartbeat *heartbeat, struct bytes *out, struct error *e) {
    if (clip->problem != NULL) {
        return report_problem(maker, clip, out, e);
    }
    arena_reset(maker->arena);
    struct item_job *it = arena_alloc(maker->arena, 1, sizeof *it);
    struct sidecars *sidecars = arena_alloc(maker->arena, 1, sizeof *sidecars);
    struct media *media = arena_alloc(maker->arena, 1, sizeof *media);
    if (it == NULL || sidecars == NULL || media == NULL) {
        return error_memory(e, NULL);
    }
    *it = (struct item_job){.maker = maker,
                            .clip = clip,
                            .heartbeat = heartbeat,
                            .started = clock_seconds(),
                            .sidecars = sidecars,
                            .media = media,
                            .captions.chosen = -1};
    media_init(media, maker->arena);
    int rc = make(it, before, out, e);
    media_close(media);
    return rc;
}
