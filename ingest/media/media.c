/* media.c - one pass over a media file: packets go to the tracks they belong to. See media.h. */
#include "ingest/media/media.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/captions/caption.h"
#include "ingest/captions/cea.h"
#include "ingest/media/file.h"
#include "ingest/media/length.h"
#include "ingest/media/times.h"
#include "ingest/media/video.h"

struct text_track {
    struct caption_decoder *decoder;
    struct media_track *track;
};

/* The state while one file is read. */
struct media_reader {
    struct media *media;
    const struct media_options *options;
    struct media_file file;
    AVPacket *packet;
    struct video_track video;
    bool has_video;
    AVStream *video_stream, *audio_stream;
    AVCodecContext *audio_decoder;
    AVFrame *audio_frame;
    int audio_errors_in_a_row;
    struct text_track texts[MEDIA_TRACKS]; /* by number of track */
    int track_of_stream[LENGTH_STREAMS];   /* stream index -> index into texts, or -1 */
    struct cea *cea;
    struct media_times *times; /* of the video packets */
    AVPacket *timed;           /* out of `times` */
    struct media_length length;
};

const char *stage_name(int stage) {
    static const char *const names[] = {"sidecars", "open",     "reading",  "video",
                                        "audio",    "captions", "pictures", "writing"};
    return stage >= 0 && stage <= STAGE_WRITE ? names[stage] : "unknown";
}

void media_init(struct media *m, struct arena *arena) {
    *m = (struct media){.arena = arena,
                        .duration_ms = -1,
                        .frames_expected = -1,
                        .first_ms = -1,
                        .last_ms = -1,
                        .video_end_ms = -1,
                        .sound_end_ms = -1};
}

void media_close(struct media *m) {
    thumbnails_close(m->thumbnails);
    still_scaler_close(m->scaler);
    audio_close(m->audio);
    media_init(m, m->arena);
}

static const char *copy_text(struct media *m, const char *text) {
    return text != NULL && *text ? arena_text(m->arena, text, strlen(text)) : NULL;
}

/* ---- Opening the tracks ------------------------------------------------ */

/* The number of pictures according to the container, -1 where it does not say. AVI counts in ticks
 * of its header: writers count twice where H.264 has B-pictures. */
static int64_t claimed_frames(const AVFormatContext *format, const AVStream *stream) {
    bool counts = !media_is_cover(stream) && strcmp(format->iformat->name, "avi") != 0;
    return counts && stream->nb_frames > 0 ? stream->nb_frames : -1;
}

static int open_video(struct media_reader *r, struct error *e) {
    AVStream *stream = media_choose_video(r->file.format);
    r->media->cover_left = stream != NULL && media_is_still(stream) && r->options->no_cover;
    stream = r->media->cover_left ? NULL : stream;
    r->video_stream = stream;
    if (stream == NULL) {
        return 0;
    }
    r->has_video = true;
    r->media->frames_expected = claimed_frames(r->file.format, stream);
    int rc = media_times_open(&r->times, stream, e);
    if (rc == 0) {
        rc = media_open_thumbnails(r->media, r->options, e);
    }
    if (rc == 0) {
        rc = video_track_open(&r->video, r->media, &r->file, stream, r->options, e);
    }
    if (rc == 0) {
        rc = cea_open(&r->cea, stream->codecpar, stream->time_base.num, stream->time_base.den, e);
    }
    return rc;
}

static int open_audio(struct media_reader *r, struct error *e) {
    int index = av_find_best_stream(r->file.format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (index < 0) {
        return 0;
    }
    AVStream *stream = r->file.format->streams[index];
    char name[AV_FOURCC_MAX_STRING_SIZE];
    r->media->audio_codec = copy_text(r->media, media_codec_name(stream, name));
    r->audio_stream = stream;
    if (!r->options->audio) {
        return 0;
    }
    int rc = media_decoder_open(&r->audio_decoder, stream, e);
    if (rc < 0 && rc != ERR_MEMORY) {
        media_problem(r->media, "no-decoder", "audio: %s", e->text);
        return 0;
    }
    r->audio_frame = rc == 0 ? av_frame_alloc() : NULL;
    if (rc == 0 && r->audio_frame == NULL) {
        rc = error_memory(e, NULL);
    }
    return rc < 0 ? rc : audio_open(&r->media->audio, e);
}

static int open_text(struct media_reader *r, AVStream *stream, struct error *e) {
    struct media *m = r->media;
    if (m->track_count >= MEDIA_TRACKS) {
        return 0;
    }
    const AVCodecDescriptor *about = avcodec_descriptor_get(stream->codecpar->codec_id);
    struct media_track *track = &m->tracks[m->track_count];
    const AVDictionaryEntry *language = av_dict_get(stream->metadata, "language", NULL, 0);
    *track = (struct media_track){
        .language = language != NULL && strcmp(language->value, "und") != 0
                        ? copy_text(m, language->value)
                        : NULL,
        .kind = about != NULL ? about->name : "unknown",
        .bitmap = about != NULL && (about->props & AV_CODEC_PROP_BITMAP_SUB),
        .cues = {.arena = m->arena},
    };
    r->track_of_stream[stream->index] = m->track_count;
    struct text_track *text = &r->texts[m->track_count++];
    text->track = track;
    if (track->bitmap || about == NULL) {
        return 0;
    }
    int rc = caption_decoder_open(&text->decoder, stream->codecpar, stream->time_base.num,
                                  stream->time_base.den, e);
    return rc == ERR_MEMORY ? rc : 0; /* a track that cannot be read stays listed, without cues */
}

static int open_tracks(struct media_reader *r, struct error *e) {
    AVFormatContext *format = r->file.format;
    r->media->container = copy_text(r->media, format->iformat->name);
    media_length_open(&r->length, r->media, &r->file);
    int rc = open_video(r, e);
    if (rc == 0) {
        rc = open_audio(r, e);
    }
    for (unsigned i = 0; i < format->nb_streams && rc == 0; i++) {
        AVStream *stream = format->streams[i];
        if (stream->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE) {
            rc = open_text(r, stream, e);
        } else if (stream != r->video_stream && stream != r->audio_stream) {
            stream->discard = AVDISCARD_ALL;
            r->length.left_out |= !media_is_cover(stream);
        }
    }
    if (rc == 0 && !r->has_video && r->audio_stream == NULL && r->media->track_count == 0 &&
        !r->media->cover_left) {
        rc = error_set(e, ERR_FORMAT, "holds neither video nor audio");
    }
    return rc;
}

/* ---- Packets ----------------------------------------------------------- */

static int take_audio_frames(struct media_reader *r, struct error *e) {
    for (;;) {
        int result = avcodec_receive_frame(r->audio_decoder, r->audio_frame);
        if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) {
            return 0;
        }
        int rc = result < 0 ? ERR_FORMAT : audio_feed(r->media->audio, r->audio_frame, e);
        av_frame_unref(r->audio_frame);
        if (rc == ERR_MEMORY || result == AVERROR(ENOMEM)) {
            return error_set(e, ERR_MEMORY, "audio: out of memory");
        }
        r->audio_errors_in_a_row = rc < 0 ? r->audio_errors_in_a_row + 1 : 0;
        r->media->audio_errors += rc < 0;
        if (result < 0) {
            return 0;
        }
    }
}

static bool is_encrypted(const AVPacket *packet) {
    return av_packet_get_side_data(packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL) != NULL;
}

static int feed_audio(struct media_reader *r, const AVPacket *packet, struct error *e) {
    if (r->audio_decoder == NULL || r->audio_errors_in_a_row >= MEDIA_ERRORS_IN_A_ROW) {
        return 0;
    }
    if (packet != NULL && is_encrypted(packet)) {
        media_problem(r->media, "no-decoder", "audio: encrypted");
        avcodec_free_context(&r->audio_decoder);
        return 0;
    }
    r->file.stage = STAGE_AUDIO;
    heartbeat_step(r->file.heartbeat, STAGE_AUDIO);
    int result = avcodec_send_packet(r->audio_decoder, packet);
    int rc = 0;
    if (result == AVERROR(ENOMEM)) {
        rc = error_set(e, ERR_MEMORY, "audio: out of memory");
    } else if (result < 0 && result != AVERROR_EOF) {
        r->media->audio_errors++;
        r->audio_errors_in_a_row++;
    } else {
        rc = take_audio_frames(r, e);
    }
    if (r->audio_errors_in_a_row >= MEDIA_ERRORS_IN_A_ROW) {
        media_problem(r->media, "decode-errors", "audio: gave up after %d errors in a row",
                      MEDIA_ERRORS_IN_A_ROW);
    }
    r->file.stage = STAGE_READ;
    return rc;
}

static int feed_text(struct media_reader *r, const AVPacket *packet, struct error *e) {
    int index = r->track_of_stream[packet->stream_index];
    if (index < 0 || r->texts[index].decoder == NULL) {
        return 0;
    }
    struct text_track *text = &r->texts[index];
    return caption_decoder_feed(text->decoder, packet, &text->track->cues, e);
}

static int feed_video(struct media_reader *r, const AVPacket *packet, struct error *e) {
    struct media *m = r->media;
    int64_t stamp = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    int64_t time_ms = media_time_ms(&r->file, r->video_stream, stamp);
    m->frames_read++;
    if (time_ms >= 0) {
        m->first_ms = m->first_ms < 0 || time_ms < m->first_ms ? time_ms : m->first_ms;
        m->last_ms = time_ms > m->last_ms ? time_ms : m->last_ms;
    }
    if (is_encrypted(packet) && r->video.decoder != NULL) {
        media_problem(m, "no-decoder", "video: encrypted");
        avcodec_free_context(&r->video.decoder);
    }
    int rc = cea_feed(r->cea, packet, e);
    return rc < 0 ? rc : video_track_feed(&r->video, packet, e);
}

/* Gives the video packets to `take`, each with its time; NULL: the packets held back for their
 * times. */
static int take_video(struct media_reader *r, const AVPacket *packet,
                      int (*take)(struct media_reader *, const AVPacket *, struct error *),
                      struct error *e) {
    if (packet != NULL && !media_times_wants(r->times, packet)) {
        return take(r, packet, e);
    }
    int rc = media_times_send(r->times, packet, e);
    while (rc == 0 && media_times_receive(r->times, r->timed)) {
        rc = take(r, r->timed, e);
        av_packet_unref(r->timed);
    }
    return rc;
}

static bool is_video(const struct media_reader *r, const AVPacket *packet) {
    return r->has_video && packet->stream_index == r->video_stream->index;
}

static int feed(struct media_reader *r, const AVPacket *packet, struct error *e) {
    media_length_take(&r->length, packet);
    if (is_video(r, packet)) {
        return take_video(r, packet, feed_video, e);
    }
    if (r->audio_stream != NULL && packet->stream_index == r->audio_stream->index) {
        return feed_audio(r, packet, e);
    }
    return feed_text(r, packet, e);
}

/* Reads packets to the end and gives each to `take`. A read error counts as the end of the file. */
static int read_packets(struct media_reader *r,
                        int (*take)(struct media_reader *, const AVPacket *, struct error *),
                        struct error *e) {
    r->file.stage = STAGE_READ;
    for (;;) {
        int result = av_read_frame(r->file.format, r->packet);
        if (result == AVERROR_EOF) {
            return 0;
        }
        if (result == AVERROR(ENOMEM)) {
            return error_memory(e, NULL);
        }
        if (result < 0) {
            char reason[AV_ERROR_MAX_STRING_SIZE] = "";
            av_strerror(result, reason, sizeof reason);
            media_problem(r->media, "truncated", "reading stopped early: %s", reason);
            return 0;
        }
        heartbeat_step(r->file.heartbeat, r->file.stage);
        int index = r->packet->stream_index;
        int rc = index < LENGTH_STREAMS ? take(r, r->packet, e) : 0;
        av_packet_unref(r->packet);
        if (rc < 0) {
            return rc;
        }
    }
}

static int feed_only_video(struct media_reader *r, const AVPacket *packet, struct error *e) {
    return video_track_feed(&r->video, packet, e);
}

static int feed_pictures(struct media_reader *r, const AVPacket *packet, struct error *e) {
    return is_video(r, packet) ? take_video(r, packet, feed_only_video, e) : 0;
}

/* ---- The end of the file ----------------------------------------------- */

/* When the pictures found are not good enough: once more from the start, decoding more. */
static int further_passes(struct media_reader *r, struct error *e) {
    if (r->media->thumbnails == NULL || r->video.decoder == NULL ||
        media_is_cover(r->video_stream)) {
        return 0;
    }
    int rc = 0;
    enum video_plan plan = video_track_next_plan(&r->video);
    while (rc == 0 && plan != r->video.plan) {
        rc = video_track_restart(&r->video, plan, e);
        if (rc < 0) {
            return rc == ERR_MEMORY ? rc : 0; /* there are no more pictures */
        }
        media_times_restart(r->times);
        rc = read_packets(r, feed_pictures, e);
        if (rc == 0) {
            rc = take_video(r, NULL, feed_only_video, e);
        }
        if (rc == 0) {
            rc = video_track_finish(&r->video, e);
        }
        plan = video_track_next_plan(&r->video);
    }
    return rc;
}

/* Cues of tracks carry the container's times: made to count from the start of the clip. */
static void shift_cues(struct cue_list *cues, int64_t start_ms) {
    for (size_t i = 0; i < cues->count; i++) {
        struct cue *cue = &cues->items[i];
        cue->start_ms = cue->start_ms > start_ms ? cue->start_ms - start_ms : 0;
        cue->end_ms = cue->end_ms > start_ms ? cue->end_ms - start_ms : 0;
    }
}

static int finish_captions(struct media_reader *r, struct error *e) {
    struct media *m = r->media;
    int64_t start = r->file.format->start_time;
    int64_t start_ms = start == AV_NOPTS_VALUE ? 0 : start / 1000;
    for (int i = 0; i < m->track_count; i++) {
        shift_cues(&m->tracks[i].cues, start_ms);
        caption_collapse_rolling(&m->tracks[i].cues);
    }
    if (r->cea == NULL || m->track_count >= MEDIA_TRACKS) {
        return 0;
    }
    heartbeat_step(r->file.heartbeat, STAGE_CAPTIONS);
    struct media_track track = {.closed = true, .cues = {.arena = m->arena}};
    enum cea_kind kind = CEA_NONE;
    int rc = cea_finish(r->cea, start_ms, &track.cues, &kind, e);
    if (rc < 0 || kind == CEA_NONE) {
        return rc;
    }
    caption_collapse_rolling(&track.cues);
    track.kind = kind == CEA_708 ? "cea-708" : "cea-608";
    m->tracks[m->track_count++] = track;
    return 0;
}

static int read_everything(struct media_reader *r, struct error *e) {
    int rc = read_packets(r, feed, e);
    if (rc == 0 && r->audio_decoder != NULL) {
        rc = feed_audio(r, NULL, e);
    }
    if (rc == 0 && r->has_video) {
        rc = take_video(r, NULL, feed_video, e);
        if (rc == 0) {
            rc = video_track_finish(&r->video, e);
        }
    }
    if (rc == 0) {
        media_length_check(&r->length);
        rc = finish_captions(r, e);
    }
    if (rc == 0 && r->has_video) {
        rc = further_passes(r, e);
    }
    if (rc == 0 && r->has_video && r->media->thumbnails != NULL && r->video.decoder != NULL) {
        rc = video_track_offer_spare(&r->video, e);
    }
    if (rc == 0 && r->media->video_errors + r->media->audio_errors > 0) {
        media_problem(r->media, "decode-errors",
                      "%lld damaged pictures, %lld damaged audio packets",
                      (long long)r->media->video_errors, (long long)r->media->audio_errors);
    }
    return rc;
}

int media_read(struct media *m, const char *path, const struct media_options *options,
               struct arena *arena, struct heartbeat *heartbeat, struct error *e) {
    media_init(m, arena);
    struct media_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    r->media = m;
    r->options = options;
    for (int i = 0; i < LENGTH_STREAMS; i++) {
        r->track_of_stream[i] = -1;
    }
    int rc = media_file_open(&r->file, path, heartbeat, e);
    if (rc < 0) {
        free(r);
        return rc;
    }
    r->packet = av_packet_alloc();
    r->timed = av_packet_alloc();
    rc = r->packet != NULL && r->timed != NULL ? open_tracks(r, e) : error_memory(e, NULL);
    if (rc == 0) {
        rc = read_everything(r, e);
    }
    for (int i = 0; i < MEDIA_TRACKS; i++) {
        caption_decoder_close(r->texts[i].decoder);
    }
    cea_close(r->cea);
    video_track_close(&r->video);
    avcodec_free_context(&r->audio_decoder);
    av_frame_free(&r->audio_frame);
    media_times_close(r->times);
    av_packet_free(&r->timed);
    av_packet_free(&r->packet);
    media_file_close(&r->file);
    free(r);
    return rc;
}
