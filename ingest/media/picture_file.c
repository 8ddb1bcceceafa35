/* picture_file.c - a picture file beside the clip as a thumbnail candidate. See media.h. */
#include "ingest/media/file.h"

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
        heartbeat_step(f->heartbeat, STAGE_PICTURES);
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
                      const struct media_options *options, struct heartbeat *heartbeat,
                      struct error *e) {
    struct media_file file;
    int rc = media_file_open(&file, path, heartbeat, e);
    if (rc < 0) {
        return rc;
    }
    AVCodecContext *decoder = NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    AVStream *stream = media_choose_video(file.format);
    struct still picture;
    rc = packet != NULL && frame != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0 && stream == NULL) {
        rc = error_set(e, ERR_FORMAT, "holds no picture");
    }
    if (rc == 0) {
        rc = media_decoder_open(&decoder, stream, e);
    }
    if (rc == 0) {
        rc = decode_picture(&file, decoder, stream, packet, frame, e);
    }
    if (rc == 0) {
        rc = media_open_thumbnails(m, options, e);
    }
    if (rc == 0 && m->thumbnails != NULL) {
        AVRational sar = frame->sample_aspect_ratio;
        rc = still_make(m->scaler, frame, NULL, sar.num, sar.den > 0 ? sar.den : 1, &picture, e);
        if (rc == 0) {
            rc = thumbnails_offer(m->thumbnails, pts_ms, &picture, e);
        }
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
    media_file_close(&file);
    return rc;
}
