/* media.c - one pass over a media file: packets go to the tracks they belong to. See media.h. */
#include "ingest/media.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/caption.h"
#include "ingest/cea.h"
#include "ingest/media_file.h"

struct text_track {
    struct caption_decoder *decoder;
    struct media_track *track;
};

/* Everything that lives while one file is read. */
struct reading {
    struct media *media;
    const struct media_wishes *wishes;
    struct media_file file;
    AVPacket *packet;
    struct video_track video;
    bool has_video;
    AVStream *video_stream, *audio_stream;
    AVCodecContext *audio_decoder;
    AVFrame *audio_frame;
    int audio_errors_in_a_row;
    struct text_track texts[MEDIA_TRACKS]; /* by number of track */
    int track_of_stream[256];              /* stream index -> index into texts, or -1 */
    struct cea *cea;
    bool damaged_packet;
};

const char *stage_name(int stage) {
    static const char *const names[] = {"sidecars", "open",     "reading",  "video",
                                        "audio",    "captions", "pictures", "writing"};
    return stage >= 0 && stage <= STAGE_WRITE ? names[stage] : "unknown";
}

void media_init(struct media *m, struct arena *arena) {
    *m = (struct media){
        .arena = arena, .duration_ms = -1, .frames_expected = -1, .first_ms = -1, .last_ms = -1};
}

void media_close(struct media *m) {
    thumbnails_close(m->thumbnails);
    picture_scaler_close(m->scaler);
    audio_close(m->audio);
    media_init(m, m->arena);
}

static const char *copy_text(struct media *m, const char *text) {
    return text && *text ? arena_text(m->arena, text, strlen(text)) : NULL;
}

/* ---- Opening the tracks ------------------------------------------------ */

static bool is_attached_picture(const AVStream *stream) {
    return stream->disposition & AV_DISPOSITION_ATTACHED_PIC;
}

/* Also where the writer did not say so: a track of one still picture. */
static bool is_cover(const AVStream *stream) {
    enum AVCodecID codec = stream->codecpar->codec_id;
    bool still = codec == AV_CODEC_ID_MJPEG || codec == AV_CODEC_ID_PNG;
    return is_attached_picture(stream) || (still && stream->nb_frames == 1);
}

/* The film itself where there is one, else a cover that is stored as a track. */
static AVStream *choose_video(AVFormatContext *format) {
    AVStream *cover = NULL;
    int64_t best_pixels = -1;
    AVStream *best = NULL;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        AVStream *stream = format->streams[i];
        if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) {
            continue;
        }
        int64_t pixels = (int64_t)stream->codecpar->width * stream->codecpar->height;
        if (is_attached_picture(stream)) {
            cover = cover ? cover : stream;
        } else if (pixels > best_pixels) {
            best = stream;
            best_pixels = pixels;
        }
    }
    return best ? best : cover;
}

static int open_thumbnails(struct media *m, const struct media_wishes *wishes, struct error *e) {
    if (m->thumbnails || wishes->thumbs == 0) {
        return 0;
    }
    int rc = picture_scaler_open(&m->scaler, wishes->thumb_size, e);
    return rc < 0 ? rc : thumbnails_open(&m->thumbnails, wishes->thumbs, m->duration_ms, e);
}

/* What the container says of the number of pictures, -1 for nothing. AVI counts in ticks of its
 * header: writers count twice where H.264 has B-pictures. */
static int64_t claimed_frames(const AVFormatContext *format, const AVStream *stream) {
    bool counts = !is_attached_picture(stream) && strcmp(format->iformat->name, "avi") != 0;
    return counts && stream->nb_frames > 0 ? stream->nb_frames : -1;
}

static int open_video(struct reading *r, struct error *e) {
    AVStream *stream = choose_video(r->file.format);
    r->media->cover_left = stream && is_cover(stream) && r->wishes->no_cover;
    stream = r->media->cover_left ? NULL : stream;
    r->video_stream = stream;
    if (!stream) {
        return 0;
    }
    r->has_video = true;
    r->media->frames_expected = claimed_frames(r->file.format, stream);
    int rc = open_thumbnails(r->media, r->wishes, e);
    if (rc == 0) {
        rc = video_track_open(&r->video, r->media, &r->file, stream, r->wishes, e);
    }
    if (rc == 0) {
        rc = cea_open(&r->cea, stream->codecpar, stream->time_base.num, stream->time_base.den, e);
    }
    return rc;
}

static int open_audio(struct reading *r, struct error *e) {
    int index = av_find_best_stream(r->file.format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (index < 0) {
        return 0;
    }
    AVStream *stream = r->file.format->streams[index];
    r->media->audio_codec = avcodec_get_name(stream->codecpar->codec_id);
    r->audio_stream = stream;
    if (!r->wishes->audio) {
        return 0;
    }
    int rc = media_decoder_open(&r->audio_decoder, stream, e);
    if (rc < 0 && rc != ERR_MEMORY) {
        media_problem(r->media, "no-decoder", "audio: %s", e->text);
        return 0;
    }
    r->audio_frame = rc == 0 ? av_frame_alloc() : NULL;
    if (rc == 0 && !r->audio_frame) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    }
    return rc < 0 ? rc : audio_open(&r->media->audio, e);
}

static int open_text(struct reading *r, AVStream *stream, struct error *e) {
    struct media *m = r->media;
    if (m->track_count >= MEDIA_TRACKS) {
        return 0;
    }
    const AVCodecDescriptor *about = avcodec_descriptor_get(stream->codecpar->codec_id);
    struct media_track *track = &m->tracks[m->track_count];
    const AVDictionaryEntry *language = av_dict_get(stream->metadata, "language", NULL, 0);
    *track = (struct media_track){
        .language =
            language && strcmp(language->value, "und") ? copy_text(m, language->value) : NULL,
        .kind = about ? about->name : "unknown",
        .bitmap = about && (about->props & AV_CODEC_PROP_BITMAP_SUB),
        .cues = {.arena = m->arena},
    };
    r->track_of_stream[stream->index] = m->track_count;
    struct text_track *text = &r->texts[m->track_count++];
    text->track = track;
    if (track->bitmap || !about) {
        return 0;
    }
    int rc = caption_decoder_open(&text->decoder, stream->codecpar, stream->time_base.num,
                                  stream->time_base.den, e);
    return rc == ERR_MEMORY ? rc : 0; /* a track that cannot be read stays listed, without cues */
}

static int open_tracks(struct reading *r, struct error *e) {
    AVFormatContext *format = r->file.format;
    r->media->container = copy_text(r->media, format->iformat->name);
    if (format->duration > 0 && format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE) {
        r->media->duration_ms = format->duration / 1000;
    }
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
        }
    }
    if (rc == 0 && !r->has_video && !r->audio_stream && r->media->track_count == 0 &&
        !r->media->cover_left) {
        rc = error_set(e, ERR_FORMAT, "holds neither video nor audio");
    }
    return rc;
}

/* ---- Packets ----------------------------------------------------------- */

static int take_audio_frames(struct reading *r, struct error *e) {
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

static int feed_audio(struct reading *r, const AVPacket *packet, struct error *e) {
    if (!r->audio_decoder || r->audio_errors_in_a_row >= MEDIA_ERRORS_IN_A_ROW) {
        return 0;
    }
    r->file.stage = STAGE_AUDIO;
    pool_beat(r->file.beat, STAGE_AUDIO);
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

static int feed_text(struct reading *r, const AVPacket *packet, struct error *e) {
    int index = r->track_of_stream[packet->stream_index];
    if (index < 0 || !r->texts[index].decoder) {
        return 0;
    }
    struct text_track *text = &r->texts[index];
    return caption_decoder_feed(text->decoder, packet, &text->track->cues, e);
}

static int feed_video(struct reading *r, const AVPacket *packet, struct error *e) {
    struct media *m = r->media;
    int64_t stamp = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    int64_t time_ms = media_time_ms(&r->file, r->video_stream, stamp);
    m->frames_read++;
    if (time_ms >= 0) {
        m->first_ms = m->first_ms < 0 || time_ms < m->first_ms ? time_ms : m->first_ms;
        m->last_ms = time_ms > m->last_ms ? time_ms : m->last_ms;
    }
    int rc = cea_feed(r->cea, packet, e);
    return rc < 0 ? rc : video_track_feed(&r->video, packet, e);
}

static int feed(struct reading *r, const AVPacket *packet, struct error *e) {
    r->damaged_packet |= (packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
    if (r->has_video && packet->stream_index == r->video_stream->index) {
        return feed_video(r, packet, e);
    }
    if (r->audio_stream && packet->stream_index == r->audio_stream->index) {
        return feed_audio(r, packet, e);
    }
    return feed_text(r, packet, e);
}

/* Reads packets to the end and gives each to `take`. A read error ends the file like its end does.
 */
static int read_packets(struct reading *r,
                        int (*take)(struct reading *, const AVPacket *, struct error *),
                        struct error *e) {
    r->file.stage = STAGE_READ;
    for (;;) {
        int result = av_read_frame(r->file.format, r->packet);
        if (result == AVERROR_EOF) {
            return 0;
        }
        if (result == AVERROR(ENOMEM)) {
            return error_set(e, ERR_MEMORY, "out of memory");
        }
        if (result < 0) {
            char reason[AV_ERROR_MAX_STRING_SIZE] = "";
            av_strerror(result, reason, sizeof reason);
            media_problem(r->media, "truncated", "reading stopped early: %s", reason);
            return 0;
        }
        pool_beat(r->file.beat, r->file.stage);
        int index = r->packet->stream_index;
        int rc = index < (int)(sizeof r->track_of_stream / sizeof *r->track_of_stream)
                     ? take(r, r->packet, e)
                     : 0;
        av_packet_unref(r->packet);
        if (rc < 0) {
            return rc;
        }
    }
}

static int feed_only_video(struct reading *r, const AVPacket *packet, struct error *e) {
    bool mine = packet->stream_index == r->video_stream->index;
    return mine ? video_track_feed(&r->video, packet, e) : 0;
}

/* ---- The end of the file ----------------------------------------------- */

/* Where what was found does not serve: once more from the start, and more of it. */
static int further_passes(struct reading *r, struct error *e) {
    if (!r->media->thumbnails || !r->video.decoder || is_attached_picture(r->video_stream)) {
        return 0;
    }
    int rc = 0;
    enum video_plan plan = video_track_next_plan(&r->video);
    while (rc == 0 && plan != r->video.plan) {
        rc = video_track_restart(&r->video, plan, e);
        if (rc < 0) {
            return rc == ERR_MEMORY ? rc : 0; /* what was found is all there is */
        }
        rc = read_packets(r, feed_only_video, e);
        rc = rc < 0 ? rc : video_track_finish(&r->video, e);
        plan = video_track_next_plan(&r->video);
    }
    return rc;
}

static void check_length(struct reading *r) {
    struct media *m = r->media;
    if (m->frames_expected > 0 && m->frames_read < m->frames_expected) {
        media_problem(m, "truncated", "the container lists %lld frames, %lld are there",
                      (long long)m->frames_expected, (long long)m->frames_read);
    } else if (r->damaged_packet) {
        media_problem(m, "truncated", "the last packet is cut off or damaged");
    } else if (r->file.io->error < 0) {
        media_problem(m, "unreadable", "the file could not be read to its end");
    } else if (m->duration_ms > 0 && m->last_ms >= 0 && m->frames_expected < 0 &&
               m->frames_read > 1 && m->last_ms < m->duration_ms / 10 * 9 - 2000) {
        media_problem(m, "truncated", "the container says %.1f s, pictures end at %.1f s",
                      (double)m->duration_ms / 1000, (double)m->last_ms / 1000);
    }
    if (m->duration_ms < 0) {
        double heard = m->audio ? audio_duration_ms(m->audio) : 0;
        int64_t seen = m->last_ms + (m->fps > 0 ? (int64_t)(1000 / m->fps) : 0);
        m->duration_ms = heard > (double)seen ? (int64_t)heard : seen;
    }
}

/* Cues of tracks carry the container's times: made to count from the start of the clip. */
static void shift_cues(struct cue_list *cues, int64_t start_ms) {
    for (size_t i = 0; i < cues->count; i++) {
        struct cue *cue = &cues->items[i];
        cue->start_ms = cue->start_ms > start_ms ? cue->start_ms - start_ms : 0;
        cue->end_ms = cue->end_ms > start_ms ? cue->end_ms - start_ms : 0;
    }
}

static int finish_captions(struct reading *r, struct error *e) {
    struct media *m = r->media;
    int64_t start = r->file.format->start_time;
    int64_t start_ms = start == AV_NOPTS_VALUE ? 0 : start / 1000;
    for (int i = 0; i < m->track_count; i++) {
        shift_cues(&m->tracks[i].cues, start_ms);
        caption_collapse_rolling(&m->tracks[i].cues);
    }
    if (!r->cea || m->track_count >= MEDIA_TRACKS) {
        return 0;
    }
    pool_beat(r->file.beat, STAGE_CAPTIONS);
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

static int read_everything(struct reading *r, struct error *e) {
    int rc = read_packets(r, feed, e);
    if (rc == 0 && r->audio_decoder) {
        rc = feed_audio(r, NULL, e);
    }
    if (rc == 0 && r->has_video) {
        rc = video_track_finish(&r->video, e);
    }
    if (rc == 0) {
        check_length(r);
        rc = finish_captions(r, e);
    }
    if (rc == 0 && r->has_video) {
        rc = further_passes(r, e);
    }
    if (rc == 0 && r->has_video && r->media->thumbnails && r->video.decoder) {
        rc = video_track_offer_spare(&r->video, e);
    }
    if (rc == 0 && r->media->video_errors + r->media->audio_errors > 0) {
        media_problem(r->media, "decode-errors",
                      "%lld damaged pictures, %lld damaged audio packets",
                      (long long)r->media->video_errors, (long long)r->media->audio_errors);
    }
    return rc;
}

int media_read(struct media *m, const char *path, const struct media_wishes *wishes,
               struct arena *arena, struct pool_beat *beat, struct error *e) {
    media_init(m, arena);
    struct reading *r = calloc(1, sizeof *r);
    if (!r) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    r->media = m;
    r->wishes = wishes;
    for (size_t i = 0; i < sizeof r->track_of_stream / sizeof *r->track_of_stream; i++) {
        r->track_of_stream[i] = -1;
    }
    int rc = media_file_open(&r->file, path, beat, e);
    if (rc < 0) {
        free(r);
        return rc;
    }
    r->packet = av_packet_alloc();
    rc = r->packet ? open_tracks(r, e) : error_set(e, ERR_MEMORY, "out of memory");
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
    av_packet_free(&r->packet);
    media_file_close(&r->file);
    free(r);
    return rc;
}

/* ---- Pictures beside the clip ------------------------------------------ */

/* Decodes the first picture of a file into `frame`. */
static int decode_picture(struct media_file *f, AVCodecContext *decoder, AVStream *stream,
                          AVPacket *packet, AVFrame *frame, struct error *e) {
    bool sent_end = false;
    for (;;) {
        int result = avcodec_receive_frame(decoder, frame);
        if (result >= 0) {
            return 0;
        }
        if (result != AVERROR(EAGAIN) || sent_end) {
            return error_set(e, ERR_FORMAT, "no picture can be decoded");
        }
        pool_beat(f->beat, STAGE_PICTURES);
        result = av_read_frame(f->format, packet);
        sent_end = result < 0;
        if (result >= 0 && packet->stream_index != stream->index) {
            av_packet_unref(packet);
            continue;
        }
        result = avcodec_send_packet(decoder, sent_end ? NULL : packet);
        av_packet_unref(packet);
        if (result < 0 && result != AVERROR(EAGAIN)) {
            return error_set(e, ERR_FORMAT, "the picture cannot be decoded");
        }
    }
}

int media_add_picture(struct media *m, const char *path, int64_t pts_ms,
                      const struct media_wishes *wishes, struct pool_beat *beat, struct error *e) {
    struct media_file file;
    int rc = media_file_open(&file, path, beat, e);
    if (rc < 0) {
        return rc;
    }
    AVCodecContext *decoder = NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    AVStream *stream = choose_video(file.format);
    struct picture picture;
    rc = packet && frame ? 0 : error_set(e, ERR_MEMORY, "out of memory");
    if (rc == 0 && !stream) {
        rc = error_set(e, ERR_FORMAT, "holds no picture");
    }
    if (rc == 0) {
        rc = media_decoder_open(&decoder, stream, e);
    }
    if (rc == 0) {
        rc = decode_picture(&file, decoder, stream, packet, frame, e);
    }
    if (rc == 0) {
        rc = open_thumbnails(m, wishes, e);
    }
    if (rc == 0 && m->thumbnails) {
        AVRational sar = frame->sample_aspect_ratio;
        rc = picture_make(m->scaler, frame, NULL, sar.num, sar.den > 0 ? sar.den : 1, &picture, e);
        rc = rc < 0 ? rc : thumbnails_offer(m->thumbnails, pts_ms, &picture, e);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
    media_file_close(&file);
    return rc;
}
