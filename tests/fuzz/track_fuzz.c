/* track_fuzz.c - two packets of a caption track made of any bytes; the first byte chooses the
 * codec. */
#include <libavcodec/avcodec.h>

#include "tests/fuzz/caption_check.h"

/* A copy that is exactly as large as said. */
static void feed(struct caption_decoder *decoder, struct cue_list *cues, int64_t time,
                 const uint8_t *data, size_t size) {
    AVPacket *packet = av_packet_alloc();
    uint8_t *copy = malloc(size > 0 ? size : 1);
    require(packet && copy);
    memcpy(copy, data, size);
    packet->data = copy;
    packet->size = (int)size;
    packet->pts = time;
    require(caption_decoder_feed(decoder, packet, cues, NULL) == 0);
    packet->data = NULL;
    packet->size = 0;
    av_packet_free(&packet);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_MOV_TEXT, AV_CODEC_ID_SUBRIP,
                                            AV_CODEC_ID_ASS, AV_CODEC_ID_WEBVTT, AV_CODEC_ID_TEXT};
    if (size < 2) {
        return 0;
    }
    struct cue_list cues = {0};
    struct caption_decoder *decoder = NULL;
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    require(parameters && arena_open(&cues.arena, FUZZ_ARENA_BYTES, NULL) == 0);
    parameters->codec_id = codecs[data[0] % (sizeof codecs / sizeof *codecs)];
    require(caption_decoder_open(&decoder, parameters, 1, 1000, NULL) == 0);
    size_t first = (size - 1) / 2;
    feed(decoder, &cues, 0, data + 1, first);
    feed(decoder, &cues, data[1], data + 1 + first, size - 1 - first);
    require_cues(&cues);
    caption_decoder_close(decoder);
    avcodec_parameters_free(&parameters);
    arena_close(cues.arena);
    return 0;
}
