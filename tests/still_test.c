/* still_test.c - frames made here, whose thumbnails are known in advance: plain colours in
 * several formats, four quadrants that show how a picture was turned, a comb that must vanish.
 * JPEG is still_jpeg_test.c's. */
#include "ingest/media/still.h"

#include "tests/test.h"

#include <libavutil/display.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

enum { SIZE = 64 };

static AVFrame *frame_new(enum AVPixelFormat format, int width, int height) {
    AVFrame *frame = av_frame_alloc();
    if (!frame) {
        abort();
    }
    frame->format = format;
    frame->width = width;
    frame->height = height;
    frame->colorspace = AVCOL_SPC_SMPTE170M; /* BT.601, so that luma passes unchanged */
    frame->color_range = AVCOL_RANGE_JPEG;
    if (av_frame_get_buffer(frame, 0) < 0) {
        abort();
    }
    for (int i = 0; i < 4 && frame->buf[i]; i++) {
        memset(frame->buf[i]->data, 0, frame->buf[i]->size);
    }
    return frame;
}

/* 8-bit planar YUV 4:2:0 of one colour. */
static AVFrame *frame_of_colour(int width, int height, int y, int cb, int cr) {
    AVFrame *frame = frame_new(AV_PIX_FMT_YUV420P, width, height);
    int values[3] = {y, cb, cr};
    for (int i = 0; i < 3; i++) {
        int rows = i ? (height + 1) / 2 : height;
        memset(frame->data[i], values[i], (size_t)frame->linesize[i] * rows);
    }
    return frame;
}

static void set_luma(AVFrame *frame, int x, int y, int value) {
    frame->data[0][y * frame->linesize[0] + x] = (unsigned char)value;
}

/* The luma at a point given in quarters of the picture. */
static int luma_at(const struct still *p, int x_quarters, int y_quarters) {
    int x = p->width * x_quarters / 4, y = p->height * y_quarters / 4;
    return p->planes[0][(size_t)y * p->width + x];
}

static struct still_scaler *scaler_of(int size) {
    struct still_scaler *s = NULL;
    struct error e = {0};
    if (!CHECK(still_scaler_open(&s, size, &e) == 0)) {
        printf("# %s\n", e.text);
        abort();
    }
    return s;
}

/* Makes the picture with a scaler of its own and releases the frame. */
static int make(AVFrame *frame, int size, const int32_t *matrix, int sar_num, int sar_den,
                struct still *out) {
    struct still_scaler *s = scaler_of(size);
    struct error e = {0};
    int rc = still_make(s, frame, matrix, sar_num, sar_den, out, &e);
    if (rc < 0) {
        CHECK(e.code == rc && e.text[0]);
        CHECK(!out->planes[0]);
    }
    av_frame_free(&frame);
    still_scaler_close(s);
    return rc;
}

static void check_colour(const struct still *p, int y, int cb, int cr, double limit) {
    CHECK_NEAR(p->luma, y, limit);
    CHECK_NEAR(p->signature[1][100], cb, limit);
    CHECK_NEAR(p->signature[2][100], cr, limit);
}

static void scaler_refuses_silly_sizes(void) {
    struct still_scaler *s = NULL;
    struct error e = {0};
    CHECK_NUMBER(still_scaler_open(&s, 15, &e), ERR_USAGE);
    CHECK_NUMBER(still_scaler_open(&s, 4097, &e), ERR_USAGE);
    CHECK(!s);
    still_scaler_close(NULL);
}

static void measures_match_their_definition(void) {
    /* Left half 100, right half 200: every row has two columns with a Laplacian of -+100. */
    AVFrame *frame = frame_of_colour(SIZE, SIZE, 100, 128, 128);
    for (int y = 0; y < SIZE; y++) {
        for (int x = SIZE / 2; x < SIZE; x++) {
            set_luma(frame, x, y, 200);
        }
    }
    struct still p;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), 0);
    CHECK_NUMBER(p.width, SIZE);
    CHECK_NUMBER(p.height, SIZE);
    CHECK_NEAR(p.luma, 150, 0.001);
    CHECK_NEAR(p.contrast, 50, 0.001);
    CHECK_NEAR(p.sharpness, 2.0 * 100 * 100 / (SIZE - 2), 0.001);
    CHECK_NUMBER(p.signature[0][0], 100);
    CHECK_NUMBER(p.signature[0][STILL_SIGNATURE - 1], 200);
    CHECK_NUMBER(p.signature[1][0], 128);
    still_close(&p);
    CHECK(!p.planes[0]);
}

static void blur_lowers_sharpness_only(void) {
    AVFrame *sharp = frame_of_colour(SIZE, SIZE, 0, 128, 128);
    AVFrame *blurred = frame_of_colour(SIZE, SIZE, 0, 128, 128);
    unsigned noise[SIZE][SIZE], state = 1;
    for (int y = 0; y < SIZE; y++) {
        for (int x = 0; x < SIZE; x++) {
            state = state * 1664525 + 1013904223;
            noise[y][x] = state >> 24;
            set_luma(sharp, x, y, (int)noise[y][x]);
        }
    }
    for (int y = 0; y < SIZE; y++) { /* 5 x 5 box filter, wrapping round */
        for (int x = 0; x < SIZE; x++) {
            unsigned sum = 0;
            for (int i = 0; i < 25; i++) {
                sum += noise[(y + i / 5) % SIZE][(x + i % 5) % SIZE];
            }
            set_luma(blurred, x, y, (int)(sum / 25));
        }
    }
    struct still a, b;
    CHECK_NUMBER(make(sharp, SIZE, NULL, 0, 1, &a), 0);
    CHECK_NUMBER(make(blurred, SIZE, NULL, 0, 1, &b), 0);
    CHECK(a.sharpness > 20 * b.sharpness);
    CHECK_NEAR(a.luma, b.luma, 1);
    still_close(&a);
    still_close(&b);
}

static void sizes_are_even_and_never_enlarged(void) {
    static const struct {
        int width, height, size, want_width, want_height;
    } cases[] = {
        {1920, 1080, 320, 320, 180}, {1080, 1920, 320, 180, 320}, {640, 480, 320, 320, 240},
        {100, 60, 320, 100, 60},     {1, 1, 320, 2, 2},           {3, 5, 320, 2, 4},
        {15, 7, 320, 14, 6},         {2000, 2, 320, 320, 2},      {16384, 3, 16, 16, 2},
        {3, 16384, 16, 2, 16},       {333, 333, 101, 100, 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct still p;
        AVFrame *frame = frame_of_colour(cases[i].width, cases[i].height, 90, 100, 160);
        CHECK_NUMBER(make(frame, cases[i].size, NULL, 0, 1, &p), 0);
        CHECK_NUMBER(p.width, cases[i].want_width);
        CHECK_NUMBER(p.height, cases[i].want_height);
        check_colour(&p, 90, 100, 160, 1.01);
        still_close(&p);
    }
}

static void sample_aspect_stretches_the_width(void) {
    static const struct {
        int num, den, want_width, want_height;
    } cases[] = {{2, 1, 64, 32}, {1, 2, 32, 64},       {1, 1, 64, 64}, {0, 1, 64, 64},
                 {1, 0, 64, 64}, {1000000, 1, 64, 64}, {-4, 3, 64, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct still p;
        AVFrame *frame = frame_of_colour(128, 128, 90, 128, 128);
        CHECK_NUMBER(make(frame, SIZE, NULL, cases[i].num, cases[i].den, &p), 0);
        CHECK_NUMBER(p.width, cases[i].want_width);
        CHECK_NUMBER(p.height, cases[i].want_height);
        still_close(&p);
    }
}

/* Quadrants 40 (upper left), 100, 160, 220 (lower right), turned by a display matrix. */
static void check_turn(const int32_t *matrix, bool upright, const int want[4]) {
    AVFrame *frame = frame_of_colour(SIZE, SIZE / 2, 0, 128, 128);
    for (int y = 0; y < SIZE / 2; y++) {
        for (int x = 0; x < SIZE; x++) {
            set_luma(frame, x, y, 40 + 60 * (x >= SIZE / 2) + 120 * (y >= SIZE / 4));
        }
    }
    struct still p;
    CHECK_NUMBER(make(frame, SIZE, matrix, 1, 1, &p), 0);
    CHECK_NUMBER(p.width, upright ? SIZE / 2 : SIZE);
    CHECK_NUMBER(p.height, upright ? SIZE : SIZE / 2);
    CHECK_NUMBER(luma_at(&p, 1, 1), want[0]);
    CHECK_NUMBER(luma_at(&p, 3, 1), want[1]);
    CHECK_NUMBER(luma_at(&p, 1, 3), want[2]);
    CHECK_NUMBER(luma_at(&p, 3, 3), want[3]);
    still_close(&p);
}

static void display_matrix_turns_and_mirrors(void) {
    static const struct {
        double clockwise;
        int flip_x, flip_y; /* of the turned picture */
        int want[4];        /* upper left, upper right, lower left, lower right */
    } cases[] = {
        {0, 0, 0, {40, 100, 160, 220}},   {90, 0, 0, {160, 40, 220, 100}},
        {180, 0, 0, {220, 160, 100, 40}}, {270, 0, 0, {100, 220, 40, 160}},
        {0, 1, 0, {100, 40, 220, 160}},   {0, 0, 1, {160, 220, 40, 100}},
        {90, 1, 0, {40, 160, 100, 220}},  {270, 1, 0, {220, 100, 160, 40}},
        {87, 0, 0, {160, 40, 220, 100}},  {-4, 0, 0, {40, 100, 160, 220}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t matrix[9];
        av_display_rotation_set(matrix, cases[i].clockwise);
        av_display_matrix_flip(matrix, cases[i].flip_x, cases[i].flip_y);
        bool quarter = fabs(cases[i].clockwise - 90) < 45 || fabs(cases[i].clockwise - 270) < 45;
        check_turn(matrix, quarter, cases[i].want);
    }
}

static void damaged_matrix_turns_nothing(void) {
    static const int32_t zero[9] = {0};
    static const int32_t extreme[9] = {INT32_MAX, 0, 0, 0, INT32_MAX, INT32_MIN, INT32_MIN, 1, 0};
    static const int want[4] = {40, 100, 160, 220};
    check_turn(zero, false, want);
    check_turn(extreme, false, want);
    check_turn(NULL, false, want);
}

static void interlaced_comb_vanishes(void) {
    for (int marked = 0; marked < 2; marked++) {
        AVFrame *frame = frame_of_colour(SIZE, SIZE, 200, 128, 128);
        for (int y = 1; y < SIZE; y += 2) {
            for (int x = 0; x < SIZE; x++) {
                set_luma(frame, x, y, 0);
            }
        }
        for (int y = 1; y < SIZE / 2; y += 2) {
            memset(frame->data[1] + y * frame->linesize[1], 255, SIZE / 2);
        }
#ifdef AV_FRAME_FLAG_INTERLACED
        frame->flags |= marked ? AV_FRAME_FLAG_INTERLACED : 0;
#else
        frame->interlaced_frame = marked;
#endif
        struct still p;
        CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), 0);
        CHECK_NUMBER(p.height, SIZE);
        CHECK_NEAR(p.luma, marked ? 200 : 100, 0.01);
        CHECK_NEAR(p.contrast, marked ? 0 : 100, 0.01);
        CHECK_NEAR(p.signature[1][0], marked ? 128 : 192, 1);
        still_close(&p);
    }
}

static void formats_of_one_colour_agree(void) {
    /* Red in JFIF is Y 76, Cb 85, Cr 255. In limited range Y is 16 + 76 * 219 / 255 and so on. */
    struct still p;
    AVFrame *limited = frame_of_colour(SIZE, SIZE, 81, 90, 240);
    limited->color_range = AVCOL_RANGE_MPEG;
    CHECK_NUMBER(make(limited, SIZE, NULL, 0, 1, &p), 0);
    check_colour(&p, 76, 85, 255, 2);
    still_close(&p);

    AVFrame *high_definition = frame_of_colour(1280, 720, 63, 102, 240); /* BT.709's red */
    high_definition->color_range = AVCOL_RANGE_UNSPECIFIED;
    high_definition->colorspace = AVCOL_SPC_UNSPECIFIED;
    CHECK_NUMBER(make(high_definition, SIZE, NULL, 0, 1, &p), 0);
    check_colour(&p, 76, 85, 255, 4);
    still_close(&p);

    AVFrame *not_scaled = frame_of_colour(SIZE, SIZE, 54, 99, 255); /* BT.709 in full range */
    not_scaled->colorspace = AVCOL_SPC_BT709;
    CHECK_NUMBER(make(not_scaled, SIZE, NULL, 0, 1, &p), 0);
    check_colour(&p, 76, 85, 255, 4);
    still_close(&p);

    AVFrame *j_format = frame_of_colour(SIZE, SIZE, 76, 85, 255);
    j_format->format = AV_PIX_FMT_YUVJ420P;
    j_format->color_range = AVCOL_RANGE_UNSPECIFIED;
    CHECK_NUMBER(make(j_format, SIZE, NULL, 0, 1, &p), 0);
    check_colour(&p, 76, 85, 255, 1);
    still_close(&p);

    AVFrame *rgb = frame_new(AV_PIX_FMT_RGB24, SIZE, SIZE);
    for (int i = 0; i < SIZE * SIZE; i++) {
        rgb->data[0][i / SIZE * rgb->linesize[0] + i % SIZE * 3] = 255;
    }
    CHECK_NUMBER(make(rgb, SIZE, NULL, 0, 1, &p), 0);
    check_colour(&p, 76, 85, 255, 2);
    still_close(&p);
}

static void ten_bit_and_grey_agree_with_eight_bit(void) {
    AVFrame *eight = frame_of_colour(SIZE, SIZE, 0, 110, 140);
    AVFrame *ten = frame_new(AV_PIX_FMT_YUV420P10, SIZE, SIZE);
    AVFrame *grey = frame_new(AV_PIX_FMT_GRAY8, SIZE, SIZE);
    for (int y = 0; y < SIZE; y++) {
        for (int x = 0; x < SIZE; x++) {
            uint16_t value = (uint16_t)((x + y) * 2);
            uint16_t deep = (uint16_t)(value * 4);
            set_luma(eight, x, y, value);
            set_luma(grey, x, y, value);
            memcpy(ten->data[0] + y * ten->linesize[0] + x * 2, &deep, sizeof deep);
            if (x < SIZE / 2 && y < SIZE / 2) {
                uint16_t chroma[2] = {110 * 4, 140 * 4};
                memcpy(ten->data[1] + y * ten->linesize[1] + x * 2, &chroma[0], 2);
                memcpy(ten->data[2] + y * ten->linesize[2] + x * 2, &chroma[1], 2);
            }
        }
    }
    struct still a, b, c;
    CHECK_NUMBER(make(eight, SIZE / 2, NULL, 0, 1, &a), 0);
    CHECK_NUMBER(make(ten, SIZE / 2, NULL, 0, 1, &b), 0);
    CHECK_NUMBER(make(grey, SIZE / 2, NULL, 0, 1, &c), 0);
    for (int i = 0; i < SIZE * SIZE / 4; i++) {
        CHECK_NEAR(b.planes[0][i], a.planes[0][i], 1);
        CHECK_NEAR(c.planes[0][i], a.planes[0][i], 1);
    }
    CHECK_NEAR(b.signature[1][7], 110, 1);
    CHECK_NEAR(b.signature[2][7], 140, 1);
    CHECK_NUMBER(c.signature[1][7], 128);
    still_close(&a);
    still_close(&b);
    still_close(&c);
}

static void unaligned_and_bottom_up_frames_are_read(void) {
    enum { STRIDE = SIZE + 7 };
    static unsigned char pixels[STRIDE * (SIZE + 2)];
    for (int y = 0; y < SIZE; y++) {
        memset(pixels + 3 + y * STRIDE, y < SIZE / 2 ? 50 : 150, SIZE);
    }
    for (int bottom_up = 0; bottom_up < 2; bottom_up++) {
        AVFrame *frame = av_frame_alloc();
        if (!frame) {
            abort();
        }
        frame->format = AV_PIX_FMT_GRAY8;
        frame->width = frame->height = SIZE;
        frame->data[0] = pixels + 3 + (bottom_up ? STRIDE * (SIZE - 1) : 0);
        frame->linesize[0] = bottom_up ? -STRIDE : STRIDE;
        struct still p;
        CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), 0);
        CHECK_NUMBER(luma_at(&p, 1, 1), bottom_up ? 150 : 50);
        CHECK_NUMBER(luma_at(&p, 3, 3), bottom_up ? 50 : 150);
        still_close(&p);
    }
}

static void palette_is_looked_up(void) {
    AVFrame *frame = frame_new(AV_PIX_FMT_PAL8, SIZE, SIZE);
    uint32_t white = 0xFFFFFFFF;
    memset(frame->data[0], 7, (size_t)frame->linesize[0] * SIZE);
    memcpy(frame->data[1] + 7 * sizeof white, &white, sizeof white);
    struct still p;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), 0);
    check_colour(&p, 255, 128, 128, 1);
    still_close(&p);
}

static void every_format_of_swscale_is_read(void) {
    int count = 0;
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_next(NULL);
    for (; format; format = av_pix_fmt_desc_next(format)) {
        enum AVPixelFormat id = av_pix_fmt_desc_get_id(format);
        if (sws_isSupportedInput(id) && !(format->flags & AV_PIX_FMT_FLAG_HWACCEL)) {
            struct still p;
            count++;
            if (CHECK_NUMBER(make(frame_new(id, 33, 17), 20, NULL, 4, 3, &p), 0)) {
                CHECK_NUMBER(p.width, 20);
                CHECK_NUMBER(p.height, 8);
            } else {
                printf("# %s\n", format->name);
            }
            still_close(&p);
        }
    }
    CHECK(count > 100);
}

static void unusable_frames_are_refused(void) {
    struct still p;
    AVFrame *frame = frame_of_colour(16, 16, 0, 128, 128);
    frame->format = AV_PIX_FMT_VAAPI;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
    frame = frame_of_colour(16, 16, 0, 128, 128);
    frame->format = -1;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
    frame = frame_of_colour(16, 16, 0, 128, 128);
    frame->format = 1 << 20;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
    frame = frame_of_colour(16, 16, 0, 128, 128);
    frame->data[2] = NULL;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
    frame = frame_of_colour(16, 16, 0, 128, 128);
    frame->linesize[0] = 15;
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
    static const int sides[][2] = {{16385, 16}, {16, INT32_MAX}, {0, 16}, {16, -1}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        frame = frame_of_colour(16, 16, 0, 128, 128);
        frame->width = sides[i][0];
        frame->height = sides[i][1];
        CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
    }
    frame = av_frame_alloc();
    CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p), ERR_FORMAT);
}

static void scaler_follows_changes_of_the_frames(void) {
    struct still_scaler *s = scaler_of(SIZE);
    static const int values[] = {10, 250, 10};
    for (int i = 0; i < 3; i++) { /* 4:3 limited, 16:9 full, and back */
        AVFrame *frame = frame_of_colour(i == 1 ? 160 : 128, i == 1 ? 90 : 96, values[i], 128, 128);
        struct still p;
        CHECK_NUMBER(still_make(s, frame, NULL, 0, 1, &p, NULL), 0);
        CHECK_NUMBER(p.height, i == 1 ? 36 : 48);
        CHECK_NEAR(p.luma, values[i], 0.01);
        still_close(&p);
        av_frame_free(&frame);
    }
    still_scaler_close(s);
}

static void distance_runs_from_same_to_opposite(void) {
    static const int colours[][3] = {{0, 128, 128}, {255, 128, 128}, {0, 228, 128}};
    struct still p[3];
    for (int i = 0; i < 3; i++) {
        AVFrame *frame = frame_of_colour(SIZE, SIZE, colours[i][0], colours[i][1], colours[i][2]);
        CHECK_NUMBER(make(frame, SIZE, NULL, 0, 1, &p[i]), 0);
    }
    CHECK_NEAR(still_distance(&p[0], &p[0]), 0, 0);
    CHECK_NEAR(still_distance(&p[0], &p[1]), 255, 0.01);
    CHECK_NEAR(still_distance(&p[1], &p[0]), 255, 0.01);
    CHECK_NEAR(still_distance(&p[0], &p[2]), 100, 1);
    for (int i = 0; i < 3; i++) {
        still_close(&p[i]);
    }
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(scaler_refuses_silly_sizes);
    RUN(measures_match_their_definition);
    RUN(blur_lowers_sharpness_only);
    RUN(sizes_are_even_and_never_enlarged);
    RUN(sample_aspect_stretches_the_width);
    RUN(display_matrix_turns_and_mirrors);
    RUN(damaged_matrix_turns_nothing);
    RUN(interlaced_comb_vanishes);
    RUN(formats_of_one_colour_agree);
    RUN(ten_bit_and_grey_agree_with_eight_bit);
    RUN(unaligned_and_bottom_up_frames_are_read);
    RUN(palette_is_looked_up);
    RUN(every_format_of_swscale_is_read);
    RUN(unusable_frames_are_refused);
    RUN(scaler_follows_changes_of_the_frames);
    RUN(distance_runs_from_same_to_opposite);
    return test_finish();
}
