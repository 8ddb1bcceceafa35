/* page_file_test.c - pages as image files. PNG is read back by libavcodec. */
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>

#include "render/page/page_file.h"
#include "tests/test.h"

enum { WIDTH = 48, HEIGHT = 40 }; /* not square, so that a mixed-up side is seen */

static uint8_t grey[WIDTH * HEIGHT], rgb[WIDTH * HEIGHT * 3];

static struct page page_of(bool color) {
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof rgb; i++) {
        random = random * 1664525 + 1013904223;
        rgb[i] = (uint8_t)(random >> 24);
        grey[i / 3] = (uint8_t)(random >> 16);
    }
    return (struct page){.width = WIDTH, .height = HEIGHT, .grey = grey, .rgb = color ? rgb : NULL};
}

static void pgm_is_header_and_pixels(void) {
    static const char header[] = "P5\n48 40\n255\n";
    struct bytes out;
    bytes_init(&out, 1 << 20);
    struct page page = page_of(true);
    CHECK_NUMBER(bytes_append_text(&out, "before", NULL), 0);
    CHECK_NUMBER(page_file_append(&out, &page, FORMAT_PGM, NULL), 0);
    CHECK_NUMBER(out.size, 6 + strlen(header) + sizeof grey);
    CHECK(memcmp(out.data, "before", 6) == 0);
    CHECK(memcmp(out.data + 6, header, strlen(header)) == 0);
    CHECK(memcmp(out.data + 6 + strlen(header), grey, sizeof grey) == 0);
    bytes_close(&out);
}

static void ppm_has_colour_or_grey_three_times(void) {
    static const char header[] = "P6\n48 40\n255\n";
    for (int color = 0; color < 2; color++) {
        struct bytes out;
        bytes_init(&out, 1 << 20);
        struct page page = page_of(color);
        CHECK_NUMBER(page_file_append(&out, &page, FORMAT_PPM, NULL), 0);
        if (CHECK_NUMBER(out.size, strlen(header) + sizeof rgb)) {
            CHECK(memcmp(out.data, header, strlen(header)) == 0);
            const unsigned char *pixels = out.data + strlen(header);
            int wrong = 0;
            for (size_t i = 0; i < sizeof rgb; i++) {
                wrong += pixels[i] != (color ? rgb[i] : grey[i / 3]);
            }
            CHECK_NUMBER(wrong, 0);
            CHECK_NUMBER(out.data[out.size], 0);
        }
        bytes_close(&out);
    }
}

static AVFrame *decode_png(const struct bytes *png) {
    AVCodecContext *context = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_PNG));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (!context || !packet || !frame || av_new_packet(packet, (int)png->size) < 0) {
        abort();
    }
    memcpy(packet->data, png->data, png->size);
    if (avcodec_open2(context, NULL, NULL) < 0 || avcodec_send_packet(context, packet) < 0 ||
        avcodec_receive_frame(context, frame) < 0) {
        av_frame_free(&frame);
    }
    av_packet_free(&packet);
    avcodec_free_context(&context);
    return frame;
}

static void png_reads_back(void) {
    for (int color = 0; color < 2; color++) {
        struct bytes out, again;
        bytes_init(&out, 1 << 20);
        bytes_init(&again, 1 << 20);
        struct page page = page_of(color);
        CHECK_NUMBER(page_file_append(&out, &page, FORMAT_PNG, NULL), 0);
        CHECK_NUMBER(page_file_append(&again, &page, FORMAT_PNG, NULL), 0);
        CHECK(out.size == again.size && memcmp(out.data, again.data, out.size) == 0);
        AVFrame *frame = decode_png(&out);
        if (CHECK(frame)) {
            CHECK(frame->width == WIDTH && frame->height == HEIGHT);
            CHECK_NUMBER(frame->format, color ? AV_PIX_FMT_RGB24 : AV_PIX_FMT_GRAY8);
            size_t stride = color ? 3 * WIDTH : WIDTH;
            for (size_t y = 0; y < HEIGHT; y++) {
                CHECK(memcmp(frame->data[0] + y * (size_t)frame->linesize[0],
                             (color ? rgb : grey) + y * stride, stride) == 0);
            }
        }
        av_frame_free(&frame);
        bytes_close(&out);
        bytes_close(&again);
    }
}

/* Nothing but what makes the pixels: no date, no program's name, no text. */
static void png_has_three_kinds_of_chunks(void) {
    struct bytes out;
    bytes_init(&out, 1 << 20);
    struct page page = page_of(false);
    CHECK_NUMBER(page_file_append(&out, &page, FORMAT_PNG, NULL), 0);
    int chunks = 0;
    for (size_t at = 8; at + 12 <= out.size; chunks++) {
        const unsigned char *p = out.data + at;
        size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        const char *type = (const char *)p + 4;
        CHECK(memcmp(type, "IHDR", 4) == 0 || memcmp(type, "IDAT", 4) == 0 ||
              memcmp(type, "IEND", 4) == 0);
        at += 12 + size;
    }
    CHECK(chunks >= 3);
    bytes_close(&out);
}

static void failure_leaves_the_buffer_as_it_was(void) {
    for (int format = 0; format < FORMAT_COUNT; format++) {
        for (size_t limit = 6; limit < 700; limit += 77) { /* in the header, in the pixels */
            struct bytes out;
            struct error e = {0};
            bytes_init(&out, limit);
            struct page page = page_of(true);
            CHECK_NUMBER(bytes_append_text(&out, "before", NULL), 0);
            CHECK_NUMBER(page_file_append(&out, &page, (enum page_format)format, &e), ERR_LIMIT);
            CHECK_NUMBER(e.code, ERR_LIMIT);
            CHECK_TEXT(bytes_text(&out), "before");
            CHECK_NUMBER(out.size, 6);
            bytes_close(&out);
        }
    }
}

static void formats_have_names(void) {
    CHECK_TEXT(PAGE_FORMATS[FORMAT_PGM], "pgm");
    CHECK_TEXT(PAGE_FORMATS[FORMAT_PPM], "ppm");
    CHECK_TEXT(PAGE_FORMATS[FORMAT_PNG], "png");
    CHECK(!PAGE_FORMATS[FORMAT_COUNT]);
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(pgm_is_header_and_pixels);
    RUN(ppm_has_colour_or_grey_three_times);
    RUN(png_reads_back);
    RUN(png_has_three_kinds_of_chunks);
    RUN(failure_leaves_the_buffer_as_it_was);
    RUN(formats_have_names);
    return test_finish();
}
