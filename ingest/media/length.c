/* length.c - see length.h. */
#include "ingest/media/length.h"

#include <string.h>

#include "ingest/media/container_end.h"

static int64_t later_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* In these the duration may be the time of the end, on a clock that does not begin at 0. Returns
 * when the clip begins, 0 where that does not matter. */
static int64_t late_start_ms(const AVFormatContext *format) {
    static const char *const names[] = {"matroska", "flv", "mov"};
    const char *name = format->iformat->name;
    bool clock = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clock |= strncmp(name, names[i], strlen(names[i])) == 0;
    }
    bool late = clock && format->start_time > 0 && format->start_time < format->duration;
    return late ? format->start_time / 1000 : 0;
}

void media_length_open(struct media_length *l, struct media *m, const struct media_file *f) {
    *l = (struct media_length){.media = m, .file = f, .text_end_ms = -1};
    const AVFormatContext *format = f->format;
    if (format->duration > 0 && format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE) {
        m->duration_ms = format->duration / 1000 - late_start_ms(format);
    }
}

static int64_t *end_of(struct media_length *l, const AVStream *stream) {
    switch ((int)stream->codecpar->codec_type) {
    case AVMEDIA_TYPE_VIDEO:
        return &l->media->video_end_ms;
    case AVMEDIA_TYPE_AUDIO:
        return &l->media->sound_end_ms;
    default:
        return &l->text_end_ms;
    }
}

void media_length_take(struct media_length *l, const AVPacket *packet) {
    const AVStream *stream = l->file->format->streams[packet->stream_index];
    int64_t stamp = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    int64_t time_ms = media_time_ms(l->file, stream, stamp);
    int64_t length = packet->duration > 0 && packet->duration < INT32_MAX ? packet->duration : 0;
    int64_t *end_ms = end_of(l, stream);
    if (time_ms >= 0) {
        length = av_rescale_q(length, stream->time_base, (AVRational){1, 1000});
        *end_ms = later_of(*end_ms, time_ms + length);
    }
    bool damaged = (packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
    if (damaged && l->damaged == 0) {
        l->damaged_ms = later_of(time_ms, 0);
    }
    l->damaged += damaged;
    l->damaged_last[packet->stream_index] = damaged;
}

static bool ends_in_damage(const struct media_length *l) {
    bool damaged = false;
    for (int i = 0; i < LENGTH_STREAMS; i++) {
        damaged |= l->damaged_last[i];
    }
    return damaged;
}

/* Times decide only where nothing better does: a last picture may be held, one track may be shorter
 * than another, and a track that is not read may be the longest. */
static void check_end(const struct media_length *l, int64_t end_ms) {
    struct media *m = l->media;
    bool listed = m->frames_expected > 0;
    enum container_end end = END_WHOLE;
    if (!listed) {
        end = container_end_of(l->file->fd, l->file->format->iformat->name);
    }
    if (listed && m->frames_read < m->frames_expected) {
        media_problem(m, "truncated", "the container lists %lld frames, %lld are there",
                      (long long)m->frames_expected, (long long)m->frames_read);
    } else if (ends_in_damage(l)) {
        media_problem(m, "truncated", "the last packet is cut off or damaged");
    } else if (l->file->io->error < 0) {
        media_problem(m, "unreadable", "the file could not be read to its end");
    } else if (end == END_CUT) {
        media_problem(m, "truncated", "the file is cut off at %.1f s", (double)end_ms / 1000);
    } else if (end == END_UNKNOWN && !l->left_out && m->duration_ms > 0 && end_ms > 0 &&
               end_ms < m->duration_ms / 10 * 9 - 2000) {
        media_problem(m, "truncated", "the container says %.1f s, it ends at %.1f s",
                      (double)m->duration_ms / 1000, (double)end_ms / 1000);
    } else if (l->damaged > 0) {
        media_problem(m, "decode-errors", "damaged packets: %lld, the first at %.1f s",
                      (long long)l->damaged, (double)l->damaged_ms / 1000);
    }
}

void media_length_check(struct media_length *l) {
    struct media *m = l->media;
    int64_t end_ms = later_of(later_of(m->video_end_ms, m->sound_end_ms), l->text_end_ms);
    end_ms = later_of(end_ms, 0);
    check_end(l, end_ms);
    int64_t start_ms = late_start_ms(l->file->format);
    if (m->duration_ms >= 0 && end_ms - m->duration_ms > start_ms / 2 && start_ms > 0) {
        m->duration_ms += start_ms; /* it was the length after all */
    }
    if (m->duration_ms < 0) {
        int64_t heard = m->audio != NULL ? (int64_t)audio_duration_ms(m->audio) : 0;
        int64_t seen = m->last_ms + (m->fps > 0 ? (int64_t)(1000 / m->fps) : 0);
        m->duration_ms = later_of(end_ms, later_of(heard, seen));
    }
}
