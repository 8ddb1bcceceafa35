/* still_jpeg_test.c - still_to_jpeg, checked by decoding its output with libavcodec. */
#include "ingest/media/still.h"

#include "tests/test.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>

/* Soft shapes, of which JPEG keeps most. */
static struct still still_new(int width, int height, double phase) {
    size_t size = (size_t)width * height;
    struct still p = {.width = width, .height = height};
    p.planes[0] = malloc(size + size / 2);
    if (!p.planes[0]) {
        abort();
    }
    p.planes[1] = p.planes[0] + size;
    p.planes[2] = p.planes[1] + size / 4;
    for (size_t i = 0; i < size; i++) {
        double wave = sin((double)(i % width) * 0.1 + phase) * cos((double)(i / width) * 0.07);
        p.planes[0][i] = (unsigned char)(128 + 100 * wave);
    }
    memset(p.planes[1], 100, size / 4);
    memset(p.planes[2], 150, size / 4);
    return p;
}

static struct still_scaler *scaler_new(void) {
    struct still_scaler *s = NULL;
    if (!CHECK(still_scaler_open(&s, 320, NULL) == 0)) {
        abort();
    }
    return s;
}

static AVFrame *decode(const struct bytes *jpeg) {
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (!decoder || !packet || !frame || av_new_packet(packet, (int)jpeg->size) < 0) {
        abort();
    }
    memcpy(packet->data, jpeg->data, jpeg->size);
    CHECK_NUMBER(avcodec_open2(decoder, NULL, NULL), 0);
    CHECK_NUMBER(avcodec_send_packet(decoder, packet), 0);
    CHECK_NUMBER(avcodec_receive_frame(decoder, frame), 0);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
    return frame;
}

/* Peak signal-to-noise ratio of the luma, in decibels. */
static double similarity(const AVFrame *frame, const struct still *p) {
    double sum = 0;
    for (int i = 0; i < p->width * p->height; i++) {
        int got = frame->data[0][i / p->width * frame->linesize[0] + i % p->width];
        sum += (got - p->planes[0][i]) * (got - p->planes[0][i]);
    }
    return 10 * log10(255 * 255 / (sum / (p->width * p->height) + 1e-9));
}

static void jpeg_decodes_to_the_picture(void) {
    static const int sizes[][2] = {{320, 180}, {2, 2}, {18, 34}, {4, 250}, {4096, 2}};
    struct still_scaler *s = scaler_new();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct still p = still_new(sizes[i][0], sizes[i][1], 0);
        struct bytes jpeg;
        bytes_init(&jpeg, 1 << 20);
        CHECK_NUMBER(still_to_jpeg(s, &p, &jpeg, NULL), 0);
        if (CHECK(jpeg.size > 100)) {
            CHECK(memcmp(jpeg.data, "\xFF\xD8\xFF\xE0", 4) == 0);
            CHECK(memcmp(jpeg.data + 6, "JFIF", 5) == 0);
            AVFrame *frame = decode(&jpeg);
            if (CHECK(frame->width == p.width && frame->height == p.height)) {
                CHECK_NUMBER(frame->format, AV_PIX_FMT_YUVJ420P);
                CHECK(similarity(frame, &p) > 40);
                CHECK_NEAR(frame->data[1][0], 100, 2);
                CHECK_NEAR(frame->data[2][0], 150, 2);
            }
            av_frame_free(&frame);
        }
        bytes_close(&jpeg);
        still_close(&p);
    }
    still_scaler_close(s);
}

static void jpeg_depends_on_the_picture_alone(void) {
    struct still_scaler *s = scaler_new();
    struct still first = still_new(128, 96, 0);
    struct still second = still_new(128, 96, 1.5);
    struct bytes out[3];
    for (int i = 0; i < 3; i++) { /* the first, another, the first again */
        bytes_init(&out[i], 1 << 20);
        CHECK_NUMBER(still_to_jpeg(s, i == 1 ? &second : &first, &out[i], NULL), 0);
    }
    CHECK(out[0].size > 0 && out[0].size == out[2].size);
    CHECK(memcmp(out[0].data, out[2].data, out[0].size) == 0);
    CHECK(out[1].size != out[0].size || memcmp(out[0].data, out[1].data, out[0].size) != 0);
    for (int i = 0; i < 3; i++) {
        bytes_close(&out[i]);
    }
    still_close(&first);
    still_close(&second);
    still_scaler_close(s);
}

static void jpeg_names_no_encoder(void) {
    struct still_scaler *s = scaler_new();
    struct still p = still_new(64, 64, 0);
    struct bytes jpeg;
    bytes_init(&jpeg, 1 << 20);
    CHECK_NUMBER(still_to_jpeg(s, &p, &jpeg, NULL), 0);
    CHECK(jpeg.size > 100);
    for (size_t i = 0; i + 4 <= jpeg.size; i++) {
        CHECK(memcmp(jpeg.data + i, "Lavc", 4) != 0);
        CHECK(memcmp(jpeg.data + i, "\xFF\xFE", 2) != 0); /* no comment at all */
    }
    bytes_close(&jpeg);
    still_close(&p);
    still_scaler_close(s);
}

static void full_output_is_an_error_and_no_more(void) {
    struct still_scaler *s = scaler_new();
    struct still p = still_new(64, 64, 0);
    struct bytes tight, enough;
    struct error e = {0};
    bytes_init(&tight, 10);
    bytes_init(&enough, 1 << 20);
    CHECK_NUMBER(still_to_jpeg(s, &p, &tight, &e), ERR_LIMIT);
    CHECK_NUMBER(tight.size, 0);
    CHECK_NUMBER(still_to_jpeg(s, &p, &enough, &e), 0);
    bytes_close(&tight);
    bytes_close(&enough);
    still_close(&p);
    still_scaler_close(s);
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(jpeg_decodes_to_the_picture);
    RUN(jpeg_depends_on_the_picture_alone);
    RUN(jpeg_names_no_encoder);
    RUN(full_output_is_an_error_and_no_more);
    return test_finish();
}
