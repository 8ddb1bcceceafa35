/* video.c - see video.h. */
#include "ingest/media/video.h"

#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pictures of a group are looked at so often that there are this many for a thumbnail. */
enum { CANDIDATES_A_THUMBNAIL = 4 };

/* Notes the keyframes that the container's index lists. False when it has none that spans the file:
 * that of a fragmented MP4 begins as its first fragment. */
static bool read_index(struct video_track *v) {
    int entries = avformat_index_get_entries_count(v->stream);
    if (v->stream->nb_frames <= 0 || entries < v->stream->nb_frames / 10 * 9) {
        return false;
    }
    for (int i = 0; i < entries && !v->reach.overflowed; i++) {
        const AVIndexEntry *entry = avformat_index_get_entry(v->stream, i);
        if (entry != NULL && (entry->flags & AVINDEX_KEYFRAME)) {
            video_reach_add(&v->reach, media_time_ms(v->file, v->stream, entry->timestamp));
        }
        video_reach_count(&v->reach);
    }
    v->total = entries;
    return true;
}

/* Plans the way into the groups: as many pictures as thumbnails and two more for each keyframe that
 * turned out to be flawed. After a pass it is known where the pictures of a file that was cut off
 * really end. */
static void plan_groups(struct video_track *v) {
    const struct media *m = v->media;
    struct video_reach *r = &v->reach;
    int64_t end_ms = m->last_ms >= 0 ? m->last_ms : m->duration_ms;
    while (m->last_ms >= 0 && r->count > 0 && r->from_ms[r->count - 1] > m->last_ms) {
        r->count--;
    }
    int64_t flawed = v->offered - thumbnails_good(m->thumbnails);
    flawed = flawed < r->count ? flawed : r->count;
    video_reach_plan(r, v->thumbs + 2 * (int)(flawed > 0 ? flawed : 0), end_ms);
    v->spacing_ms = end_ms > 0 ? end_ms / v->thumbs / CANDIDATES_A_THUMBNAIL : 0;
}

static bool are_few(const struct video_track *v) {
    return v->total >= 0 && v->total <= thumbnails_room(v->media->thumbnails);
}

static void choose_plan(struct video_track *v, enum video_plan plan) {
    v->plan = plan;
    if (plan == VIDEO_KEYFRAMES) {
        return;
    }
    if (plan == VIDEO_EVERYTHING && are_few(v)) {
        v->decoder->skip_frame = AVDISCARD_DEFAULT;
        return;
    }
    v->decoder->skip_frame = AVDISCARD_NONREF; /* no other picture needs those: half the work */
    /* A tenth less time. Hardly anything refers to B-pictures, so their unfiltered block edges do
     * not add up: 39 dB at worst, 47 and more as a rule. All pictures unfiltered would be a tenth
     * faster still and drift to 29 dB in long groups. */
    v->decoder->skip_loop_filter = AVDISCARD_BIDIR;
    if (plan == VIDEO_GROUPS) {
        plan_groups(v);
    }
}

static const int32_t *display_matrix(const AVStream *stream) {
#if LIBAVFORMAT_VERSION_MAJOR >= 61
    const AVPacketSideData *data =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
                                stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data && data->size >= 9 * sizeof(int32_t) ? (const int32_t *)(void *)data->data : NULL;
#else
    size_t size = 0;
    uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data != NULL && size >= 9 * sizeof(int32_t) ? (const int32_t *)(void *)data : NULL;
#endif
}

static AVRational sample_aspect(const struct video_track *v, const AVFrame *frame) {
    AVRational sar = v->stream->sample_aspect_ratio;
    if (sar.num <= 0 || sar.den <= 0) {
        sar = frame != NULL ? frame->sample_aspect_ratio : v->stream->codecpar->sample_aspect_ratio;
    }
    return sar.num > 0 && sar.den > 0 ? sar : (AVRational){1, 1};
}

/* Width, height and rotation as a viewer sees them. */
static void describe_display(struct video_track *v) {
    struct media *m = v->media;
    AVRational sar = sample_aspect(v, NULL);
    int64_t width = av_rescale(v->stream->codecpar->width, sar.num, sar.den);
    int64_t height = v->stream->codecpar->height;
    if (v->matrix != NULL) {
        double angle = av_display_rotation_get(v->matrix); /* counter-clockwise, NaN if singular */
        m->rotation = isfinite(angle) ? (360 - (int)lrint(angle / 90) * 90) % 360 : 0;
        m->mirrored = (double)v->matrix[0] * v->matrix[4] < (double)v->matrix[1] * v->matrix[3];
    }
    bool turned = m->rotation % 180 != 0;
    m->width = (int)(turned ? height : width);
    m->height = (int)(turned ? width : height);
}

int video_track_open(struct video_track *v, struct media *m, struct media_file *f, AVStream *stream,
                     const struct media_options *options, struct error *e) {
    *v = (struct video_track){.media = m, .file = f, .stream = stream, .total = -1};
    v->matrix = display_matrix(stream);
    char name[AV_FOURCC_MAX_STRING_SIZE];
    const char *codec = media_codec_name(stream, name);
    m->video_codec = arena_text(m->arena, codec, strlen(codec));
    m->fps = av_q2d(stream->avg_frame_rate.den ? stream->avg_frame_rate : (AVRational){0, 1});
    describe_display(v);
    int64_t width = stream->codecpar->width, height = stream->codecpar->height;
    if (width * height > MEDIA_MAX_PIXELS) {
        media_problem(m, "too-large", "%lld x %lld pixels are more than %lld million",
                      (long long)width, (long long)height, (long long)(MEDIA_MAX_PIXELS / 1000000));
        v->given_up = true;
        return 0;
    }
    if (options->thumbs == 0) {
        v->given_up = true;
        return 0;
    }
    int rc = media_decoder_open(&v->decoder, stream, e);
    if (rc == ERR_MEMORY) {
        return rc;
    }
    if (rc < 0) {
        media_problem(m, "no-decoder", "video: %s", e->text);
        v->given_up = true;
        return 0;
    }
    v->frame = av_frame_alloc();
    if (v->frame == NULL) {
        return error_memory(e, NULL);
    }
    v->thumbs = options->thumbs;
    v->indexed = read_index(v);
    bool groups = v->indexed && v->reach.count > 0 && v->reach.count < v->thumbs;
    choose_plan(v, are_few(v) ? VIDEO_EVERYTHING : groups ? VIDEO_GROUPS : VIDEO_KEYFRAMES);
    return 0;
}

void video_track_close(struct video_track *v) {
    avcodec_free_context(&v->decoder);
    av_frame_free(&v->frame);
    av_frame_free(&v->spare);
}

/* ---- Pictures ---------------------------------------------------------- */

static int offer(struct video_track *v, const AVFrame *frame, int64_t time_ms, struct error *e) {
    AVRational sar = sample_aspect(v, frame);
    struct still picture;
    int rc = still_make(v->media->scaler, frame, v->matrix, sar.num, sar.den, &picture, e);
    if (rc == 0) {
        v->offered++;
        return thumbnails_offer(v->media->thumbnails, time_ms, &picture, e);
    }
    if (rc != ERR_MEMORY) {
        media_problem(v->media, "decode-errors", "%s", e->text);
        v->media->video_errors++;
        rc = 0;
    }
    return rc;
}

static bool is_damaged(const AVFrame *frame) {
    return frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT);
}

static void count_error(struct video_track *v, const char *what, int av_error) {
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av_error, reason, sizeof reason);
    v->media->video_errors++;
    v->errors_in_a_row++;
    if (v->errors_in_a_row >= MEDIA_ERRORS_IN_A_ROW) {
        media_problem(v->media, "decode-errors", "video: gave up after %d errors in a row (%s: %s)",
                      v->errors_in_a_row, what, reason);
        v->given_up = true;
    }
}

static int64_t frame_time_ms(const struct video_track *v, const AVFrame *frame) {
    int64_t time_ms = media_time_ms(v->file, v->stream, frame->best_effort_timestamp);
    return time_ms < 0 ? 0 : time_ms;
}

/* Whether as many pictures lie between this one and the last that was offered as there would be if
 * all came at an even pace and `count` were offered. */
static bool is_apart(const struct video_track *v, int64_t count) {
    return v->total >= 0 && v->passed_over > v->total / count;
}

/* By time or by number, so that a few pictures after a long still one are seen too. */
static bool is_wanted(const struct video_track *v, int64_t time_ms) {
    const struct thumbnails *t = v->media->thumbnails;
    if (v->plan == VIDEO_GROUPS) {
        bool close = time_ms >= v->offered_ms && time_ms < v->offered_ms + v->spacing_ms &&
                     !is_apart(v, (int64_t)v->thumbs * CANDIDATES_A_THUMBNAIL);
        if (time_ms < v->first_ms || (close && v->offered > 0)) {
            return false;
        }
    }
    return thumbnails_wants(t, time_ms) ||
           ((are_few(v) || is_apart(v, thumbnails_room(t))) && !thumbnails_have(t, time_ms));
}

static int take_frame(struct video_track *v, struct error *e) {
    int64_t time_ms = frame_time_ms(v, v->frame);
    v->media->frames_decoded++;
    v->media->interlaced |= still_is_interlaced(v->frame);
    if (is_damaged(v->frame)) {
        count_error(v, "damaged picture", AVERROR_INVALIDDATA);
        if (v->spare == NULL) {
            v->spare = av_frame_clone(v->frame);
        }
        return 0;
    }
    v->errors_in_a_row = 0;
    v->passed_over++;
    if (!is_wanted(v, time_ms)) {
        return 0;
    }
    v->offered_ms = time_ms;
    v->passed_over = 0;
    return offer(v, v->frame, time_ms, e);
}

/* Takes all finished pictures from the decoder. */
static int take_frames(struct video_track *v, struct error *e) {
    for (;;) {
        int result = avcodec_receive_frame(v->decoder, v->frame);
        if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) {
            return 0;
        }
        if (result == AVERROR(ENOMEM)) {
            return error_set(e, ERR_MEMORY, "video: out of memory");
        }
        if (result < 0) {
            count_error(v, "decoder", result);
            return 0;
        }
        int rc = take_frame(v, e);
        av_frame_unref(v->frame);
        if (rc < 0) {
            return rc;
        }
    }
}

static int send(struct video_track *v, const AVPacket *packet, struct error *e) {
    int result = avcodec_send_packet(v->decoder, packet);
    if (result == AVERROR(ENOMEM)) {
        return error_set(e, ERR_MEMORY, "video: out of memory");
    }
    if (result < 0 && result != AVERROR_EOF) {
        count_error(v, "decoder", result);
    }
    return take_frames(v, e);
}

/* Each is decoded by itself and the decoder drained: decoders hold pictures back. */
static int feed_keyframe(struct video_track *v, const AVPacket *packet, int64_t time_ms,
                         struct error *e) {
    if (time_ms >= 0 && !thumbnails_wants(v->media->thumbnails, time_ms)) {
        return 0;
    }
    v->keyframes++;
    int rc = send(v, packet, e);
    if (rc == 0) {
        rc = send(v, NULL, e);
    }
    avcodec_flush_buffers(v->decoder);
    return rc;
}

/* After a gap, pictures that are shown before the keyframe cannot be whole. */
static int feed_group(struct video_track *v, const AVPacket *packet, int64_t time_ms,
                      int64_t decode_ms, struct error *e) {
    v->number++;
    if (packet->flags & AV_PKT_FLAG_KEY) {
        v->number = 0;
        v->first_ms = v->skipping ? time_ms : 0;
        v->skipping = false;
        return send(v, packet, e);
    }
    if (v->skipping || decode_ms < 0 || video_reach_includes(&v->reach, decode_ms, v->number)) {
        return v->skipping ? 0 : send(v, packet, e);
    }
    v->skipping = true;
    int rc = send(v, NULL, e);
    avcodec_flush_buffers(v->decoder);
    return rc;
}

int video_track_feed(struct video_track *v, const AVPacket *packet, struct error *e) {
    if (v->given_up || v->decoder == NULL) {
        return 0;
    }
    v->file->stage = STAGE_VIDEO;
    heartbeat_step(v->file->heartbeat, STAGE_VIDEO);
    bool has_pts = packet->pts != AV_NOPTS_VALUE, has_dts = packet->dts != AV_NOPTS_VALUE;
    int64_t time_ms = media_time_ms(v->file, v->stream, has_pts ? packet->pts : packet->dts);
    int64_t decode_ms = media_time_ms(v->file, v->stream, has_dts ? packet->dts : packet->pts);
    int rc = 0;
    if (v->plan == VIDEO_EVERYTHING) {
        rc = send(v, packet, e);
    } else if (v->plan == VIDEO_GROUPS) {
        rc = feed_group(v, packet, time_ms, decode_ms, e);
    } else if (packet->flags & AV_PKT_FLAG_KEY) {
        if (!v->indexed) {
            video_reach_add(&v->reach, decode_ms);
        }
        rc = feed_keyframe(v, packet, time_ms, e);
    }
    if (v->plan == VIDEO_KEYFRAMES && !v->indexed) {
        video_reach_count(&v->reach);
    }
    v->file->stage = STAGE_READ;
    return rc;
}

int video_track_finish(struct video_track *v, struct error *e) {
    int rc = 0;
    if (v->decoder != NULL && !v->given_up && v->plan != VIDEO_KEYFRAMES) {
        rc = send(v, NULL, e);
    }
    v->media->every_frame = v->plan != VIDEO_KEYFRAMES;
    v->total = v->media->frames_read; /* now it is known, also of a file that was cut off */
    return rc;
}

int video_track_offer_spare(struct video_track *v, struct error *e) {
    return v->spare != NULL && v->offered == 0 ? offer(v, v->spare, frame_time_ms(v, v->spare), e)
                                               : 0;
}

/* A clip longer than this is not decoded again for want of good keyframes, unless there is no
 * picture at all. */
enum { ANOTHER_PASS_MS = 5 * 60 * 1000, ANOTHER_PASS_PICTURES = 5 * 60 * 25 };

/* Whether every keyframe gave an undamaged picture when it was decoded alone. Not so where an
 * encoder refreshes the picture bit by bit and the container calls the beginnings of that
 * keyframes. */
static bool keyframes_stand_alone(const struct video_track *v) {
    return v->reach.count > 0 && !v->reach.overflowed && v->media->video_errors == 0 &&
           v->media->frames_decoded >= v->keyframes;
}

enum video_plan video_track_next_plan(const struct video_track *v) {
    const struct media *m = v->media;
    int good = thumbnails_good(m->thumbnails);
    bool is_short =
        (m->last_ms >= 0 && m->last_ms < ANOTHER_PASS_MS) || m->frames_read < ANOTHER_PASS_PICTURES;
    if (good >= v->thumbs || (good > 0 && !is_short) || m->frames_read <= good) {
        return v->plan;
    }
    if (are_few(v)) {
        return VIDEO_EVERYTHING;
    }
    if (v->plan == VIDEO_KEYFRAMES && keyframes_stand_alone(v)) {
        return VIDEO_GROUPS;
    }
    bool serves = v->plan == VIDEO_GROUPS && good > 0 && m->video_errors == 0;
    return serves ? VIDEO_GROUPS : VIDEO_EVERYTHING;
}

/* By time, as most demuxers keep a state that a jump to byte 0 leaves wrong: Matroska's would find
 * no packet any more. Not so in streams that anybody may cut anywhere: their times may begin
 * anywhere too, and only byte 0 is certain. */
static int seek_to_start(const struct video_track *v) {
    AVFormatContext *format = v->file->format;
    bool by_bytes = format->iformat->flags & AVFMT_TS_DISCONT;
    int rc = -1;
    for (int attempt = 0; attempt < 2 && rc < 0; attempt++, by_bytes = !by_bytes) {
        rc = by_bytes ? av_seek_frame(format, -1, 0, AVSEEK_FLAG_BYTE)
                      : av_seek_frame(format, v->stream->index, 0, AVSEEK_FLAG_BACKWARD);
    }
    return rc;
}

int video_track_restart(struct video_track *v, enum video_plan plan, struct error *e) {
    if (seek_to_start(v) < 0) {
        return error_set(e, ERR_IO, "cannot go back to the start");
    }
    avcodec_flush_buffers(v->decoder);
    choose_plan(v, plan);
    v->skipping = false;
    v->first_ms = v->offered_ms = v->passed_over = 0;
    v->errors_in_a_row = 0;
    v->given_up = false;
    v->media->frames_decoded = 0;
    v->media->video_errors = 0;
    return 0;
}
