/* page_picture_test.c - pictures for pages. The reference for JPEG is libavcodec, an independent
 * decoder; for scaling a double loop over fractions of pixels. */
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>

#include "render/page/picture.h"
#include "tests/test.h"

enum { FILE_BYTES = 1 << 16 };

struct file {
    unsigned char data[FILE_BYTES + AV_INPUT_BUFFER_PADDING_SIZE];
    size_t size;
};

static struct arena *arena;

static const struct file *read_file(const char *name) {
    static struct file f;
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/jpeg/%s", TEST_FOLDER, name);
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        abort();
    }
    memset(&f, 0, sizeof f);
    f.size = fread(f.data, 1, FILE_BYTES, in);
    fclose(in);
    return &f;
}

static int read_jpeg(struct picture *p, const char *name, int width, int height, struct error *e) {
    const struct file *f = read_file(name);
    unsigned char *exact = malloc(f->size); /* so that reading past the end is seen */
    if (!exact) {
        abort();
    }
    memcpy(exact, f->data, f->size);
    int rc = picture_read_jpeg(p, exact, f->size, width, height, arena, e);
    free(exact);
    return rc;
}

/* ---- The reference ---------------------------------------------------------- */

struct reference {
    int width, height;
    double *rgb; /* (height, width, 3) */
};

/* One pixel of what libavcodec gave: full-range YCbCr of any subsampling, grey or planar RGB. */
static void pixel_of(const AVFrame *f, int x, int y, double rgb[3]) {
    if (f->format == AV_PIX_FMT_GBRP || f->format == AV_PIX_FMT_GBRAP) {
        static const int plane[3] = {2, 0, 1};
        for (int c = 0; c < 3; c++) {
            rgb[c] = f->data[plane[c]][y * f->linesize[plane[c]] + x];
        }
        return;
    }
    double luma = f->data[0][y * f->linesize[0] + x], blue = 0, red = 0;
    if (f->format != AV_PIX_FMT_GRAY8) {
        int half_x = f->format != AV_PIX_FMT_YUVJ444P, half_y = f->format == AV_PIX_FMT_YUVJ420P;
        blue = f->data[1][(y >> half_y) * f->linesize[1] + (x >> half_x)] - 128;
        red = f->data[2][(y >> half_y) * f->linesize[2] + (x >> half_x)] - 128;
    }
    double value[3] = {luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red,
                       luma + 1.772 * blue};
    for (int c = 0; c < 3; c++) {
        rgb[c] = fmin(255, fmax(0, value[c]));
    }
}

static struct reference decode_reference(const char *name) {
    const struct file *f = read_file(name);
    AVCodecContext *context = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (!context || !packet || !frame || av_new_packet(packet, (int)f->size) < 0) {
        abort();
    }
    memcpy(packet->data, f->data, f->size);
    if (avcodec_open2(context, NULL, NULL) < 0 || avcodec_send_packet(context, packet) < 0 ||
        avcodec_receive_frame(context, frame) < 0) {
        abort();
    }
    struct reference r = {.width = frame->width, .height = frame->height};
    r.rgb = calloc((size_t)(r.width * r.height), 3 * sizeof *r.rgb);
    if (!r.rgb) {
        abort();
    }
    for (int i = 0; i < r.width * r.height; i++) {
        pixel_of(frame, i % r.width, i / r.width, r.rgb + 3 * i);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&context);
    return r;
}

/* How much of pixel `i` lies in [start, end). */
static double share(int i, double start, double end) {
    return fmax(0, fmin(i + 1, end) - fmax(i, start));
}

static double average(const struct reference *r, int x, int y, int width, int height, int c) {
    double wide = (double)r->width / width, high = (double)r->height / height, sum = 0;
    for (int v = 0; v < r->height; v++) {
        double row = share(v, y * high, (y + 1) * high);
        for (int u = 0; u < r->width && row > 0; u++) {
            sum += row * share(u, x * wide, (x + 1) * wide) * r->rgb[3 * (v * r->width + u) + c];
        }
    }
    return sum / (wide * high);
}

/* Mean and largest difference to the reference. */
static void compare(const struct picture *p, const char *name, double mean_limit, double limit) {
    struct reference r = decode_reference(name);
    double sum = 0, most = 0;
    int channels = p->color ? 3 : 1;
    for (int i = 0; i < p->width * p->height; i++) {
        for (int c = 0; c < channels; c++) {
            double want = average(&r, i % p->width, i / p->width, p->width, p->height, c);
            double off = fabs(p->pixels[i * channels + c] - want);
            sum += off;
            most = fmax(most, off);
        }
    }
    sum /= p->width * p->height * channels;
    if (!CHECK(sum <= mean_limit && most <= limit)) {
        printf("# %s at %d x %d: mean %.2f, most %.2f\n", name, p->width, p->height, sum, most);
    }
    free(r.rgb);
}

/* ---- JPEG ------------------------------------------------------------------- */

static void sizes_keep_proportions_and_never_grow(void) {
    static const struct {
        const char *name;
        int width, height, want_width, want_height;
    } cases[] = {
        {"colour-420.jpg", 64, 64, 64, 43}, /* 150 x 100 */
        {"colour-420.jpg", 150, 100, 150, 100},
        {"colour-420.jpg", 4000, 99, 149, 99},
        {"colour-420.jpg", 1, 1, 1, 1},
        {"tall.jpg", 64, 64, 16, 64}, /* 40 x 160 */
        {"tall.jpg", 64, 2, 1, 2},
        {"tall.jpg", 64, 1, 1, 1},
        {"colour-420.jpg", 1, 64, 1, 1},
        {"small.jpg", 64, 64, 17, 9},
        {"small.jpg", 16, 64, 16, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct picture p;
        arena_reset(arena);
        CHECK_NUMBER(read_jpeg(&p, cases[i].name, cases[i].width, cases[i].height, NULL), 0);
        CHECK_NUMBER(p.width, cases[i].want_width);
        CHECK_NUMBER(p.height, cases[i].want_height);
    }
}

static void pictures_agree_with_another_decoder(void) {
    static const struct {
        const char *name;
        bool color;
        double mean, most; /* at full size; chroma is upsampled differently */
    } cases[] = {{"grey.jpg", false, 0.2, 2},
                 {"grey-progressive.jpg", false, 0.2, 2},
                 {"colour-444-progressive.jpg", true, 0.6, 4},
                 {"colour-420.jpg", true, 3, 80},
                 {"cmyk.jpg", true, 1.5, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct picture p;
        arena_reset(arena);
        if (CHECK_NUMBER(read_jpeg(&p, cases[i].name, 1000, 1000, NULL), 0)) {
            CHECK_NUMBER(p.color, cases[i].color);
            compare(&p, cases[i].name, cases[i].mean, cases[i].most);
        }
        for (int size = 7; size < 150; size += 57) { /* 7: 1/8, 64: 1/2, 121: full */
            if (CHECK_NUMBER(read_jpeg(&p, cases[i].name, size, size, NULL), 0)) {
                compare(&p, cases[i].name, 2.5, 30);
            }
        }
    }
}

static void broken_files_are_told_apart(void) {
    static const struct {
        const char *name;
        int code;
    } cases[] = {
        {"cut.jpg", ERR_TRUNCATED},
        {"cut-progressive.jpg", ERR_TRUNCATED},
        {"hostile-damaged.jpg", ERR_FORMAT},
        {"hostile-size.jpg", ERR_LIMIT},
        {"mel.pgm", ERR_FORMAT},
        {"hostile-few-bytes.jpg", ERR_TRUNCATED},
        {"no-end.jpg", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct picture p = {.width = 1};
        struct error e = {0};
        if (!CHECK_NUMBER(read_jpeg(&p, cases[i].name, 64, 64, &e), cases[i].code)) {
            printf("# %s\n", cases[i].name);
        }
        CHECK_NUMBER(e.code, cases[i].code);
        CHECK((p.pixels != NULL) == (cases[i].code == 0));
        CHECK((e.text[0] != 0) == (cases[i].code != 0));
    }
    struct picture p;
    CHECK_NUMBER(picture_read_jpeg(&p, "", 0, 64, 64, arena, NULL), ERR_FORMAT);
    CHECK_NUMBER(picture_read_jpeg(&p, "\xFF\xD8", 2, 64, 64, arena, NULL), ERR_FORMAT);
    CHECK_NUMBER(read_jpeg(&p, "grey.jpg", 0, 64, NULL), ERR_USAGE);
}

static void picture_without_its_end_mark_is_the_same(void) {
    struct picture whole, open;
    CHECK_NUMBER(read_jpeg(&whole, "colour-420.jpg", 64, 64, NULL), 0);
    CHECK_NUMBER(read_jpeg(&open, "no-end.jpg", 64, 64, NULL), 0);
    CHECK(memcmp(whole.pixels, open.pixels, (size_t)(3 * whole.width * whole.height)) == 0);
}

/* store F20: TurboJPEG has no name for these samplings; compress's image_test.c holds
 * their pixels. */
static void samplings_without_a_name_are_read(void) {
    static const char *const NAMES[] = {"1x1_2x2_2x2", "1x3", "1x4", "2x2_1x1_2x2",
                                        "2x4",         "3x1", "4x2"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct picture p;
        struct error e = {0};
        char name[64];
        snprintf(name, sizeof name, "../../../golden/pictures/samp_%s.jpg", NAMES[i]);
        if (!CHECK_NUMBER(read_jpeg(&p, name, 45, 45, &e), 0)) {
            printf("# %s: %s\n", name, e.text);
            continue;
        }
        CHECK(p.color && p.width == 45 && (p.height == 30 || p.height == 31));
    }
}

/* A small progressive file that says it is large, with one scan again and again. */
static void scans_without_end_are_refused(void) {
    const struct file *f = read_file("grey-progressive.jpg");
    enum { COPIES = 400 };
    size_t first = 0, start = 0, end = f->size - 2;
    for (size_t i = 2; i + 4 < f->size; i++) {
        first = f->data[i] == 0xFF && f->data[i + 1] == 0xC2 ? i : first;
        start = f->data[i] == 0xFF && f->data[i + 1] == 0xDA ? i : start; /* the last one */
    }
    unsigned char *data = malloc(f->size + COPIES * (end - start));
    if (!data) {
        abort();
    }
    memcpy(data, f->data, end);
    data[first + 5] = data[first + 7] = 0x10; /* 4096 and more pixels a side */
    size_t size = end;
    for (int i = 0; i < COPIES; i++) {
        memcpy(data + size, f->data + start, end - start);
        size += end - start;
    }
    struct picture p;
    struct error e;
    CHECK_NUMBER(picture_read_jpeg(&p, data, size, 64, 64, arena, &e), ERR_LIMIT);
    CHECK(strstr(e.text, "scans"));
    free(data);
}

static void arena_gets_back_what_does_not_last(void) {
    struct arena *small = NULL;
    struct picture p;
    CHECK_NUMBER(arena_open(&small, 1 << 20, NULL), 0);
    for (int i = 0; i < 100; i++) { /* 100 pictures fit, but not what they were made from */
        const struct file *f = read_file("cut.jpg");
        CHECK_NUMBER(picture_read_jpeg(&p, f->data, f->size, 64, 64, small, NULL), ERR_TRUNCATED);
        f = read_file("colour-420.jpg");
        CHECK_NUMBER(picture_read_jpeg(&p, f->data, f->size, 64, 64, small, NULL), 0);
    }
    arena_close(small);
    CHECK_NUMBER(arena_open(&small, 1000, NULL), 0);
    const struct file *f = read_file("colour-420.jpg");
    CHECK_NUMBER(picture_read_jpeg(&p, f->data, f->size, 64, 64, small, NULL), ERR_MEMORY);
    CHECK(!p.pixels);
    arena_close(small);
}

/* ---- PGM -------------------------------------------------------------------- */

static int read_pgm(struct picture *p, const char *header, const unsigned char *pixels,
                    size_t count, int width, int height) {
    size_t size = strlen(header);
    unsigned char *data = malloc(size + count + 1);
    if (!data) {
        abort();
    }
    memcpy(data, header, size);
    memcpy(data + size, pixels, count);
    int rc = picture_read_pgm(p, data, size + count, width, height, arena, NULL);
    free(data);
    return rc;
}

static void areas_are_averaged_exactly(void) {
    static const int sizes[][2] = {{1, 1}, {2, 3}, {7, 5}, {13, 11}, {16, 11}, {17, 10}, {5, 11}};
    enum { WIDTH = 17, HEIGHT = 11 };
    unsigned char pixels[WIDTH * HEIGHT];
    struct reference r = {WIDTH, HEIGHT, calloc(WIDTH * HEIGHT, 3 * sizeof(double))};
    if (!r.rgb) {
        abort();
    }
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        pixels[i] = (unsigned char)(i * 7919 % 256);
        r.rgb[3 * i] = pixels[i];
    }
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int width = sizes[s][0], height = sizes[s][1];
        struct picture p;
        CHECK_NUMBER(read_pgm(&p, "P5 17 11 255\n", pixels, sizeof pixels, width, height), 0);
        CHECK(p.width == width && p.height == height && !p.color);
        for (int i = 0; i < width * height; i++) {
            CHECK_NEAR(p.pixels[i], average(&r, i % width, i / width, width, height, 0), 0.5001);
        }
    }
    free(r.rgb);
}

static void enlarging_repeats_pixels(void) {
    static const unsigned char pixels[] = {10, 20, 30};
    static const unsigned char want[] = {10, 10, 20, 20, 20, 30, 30};
    struct picture p;
    CHECK_NUMBER(read_pgm(&p, "P5 3 1 255 ", pixels, 3, 7, 4), 0);
    for (int i = 0; i < 28; i++) {
        CHECK_NUMBER(p.pixels[i], want[i % 7]);
    }
    CHECK_NUMBER(read_pgm(&p, "P5 3 1 255 ", pixels, 3, 3, 1), 0);
    CHECK(memcmp(p.pixels, pixels, 3) == 0);
    CHECK_NUMBER(read_pgm(&p, "P5 1 3 255 ", pixels, 3, 2, 1), 0); /* wider and lower */
    CHECK(p.pixels[0] == 20 && p.pixels[1] == 20);
}

static void headers_of_pgm(void) {
    static const unsigned char pixels[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const struct {
        const char *header;
        int code;
    } cases[] = {
        {"P5\n2 4\n255\n", 0},
        {"P5 # one\n# two\n2#three\n\t4\r\n255 ", 0},
        {"P5 2 3 255\n", 0}, /* more than that is another picture */
        {"P5 2 5 255\n", ERR_TRUNCATED},
        {"P5 2 4 254\n", ERR_FORMAT},
        {"P5 2 4 65535\n", ERR_FORMAT},
        {"P5 2 4 255", ERR_FORMAT}, /* the byte 1 is not a blank */
        {"P52 4 255\n", ERR_FORMAT},
        {"P5#2\n2 4 255\n", 0},
        {"P5 2 4 255#\n", ERR_FORMAT},
        {"P2 2 4 255\n", ERR_FORMAT},
        {"P5 -2 4 255\n", ERR_FORMAT},
        {"P5 0 4 255\n", ERR_FORMAT},
        {"P5 2 0 255\n", ERR_FORMAT},
        {"P5 0x2 4 255\n", ERR_FORMAT},
        {"P5 2 4 255 # no comment here\n", 0},
        {"P5 65536 1 255\n", ERR_LIMIT},
        {"P5 65535 65535 255\n", ERR_LIMIT},
        {"P5 4294967298 4 255\n", ERR_FORMAT},
        {"P5 # no end", ERR_FORMAT},
        {"P5", ERR_FORMAT},
        {"", ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct picture p;
        if (!CHECK_NUMBER(read_pgm(&p, cases[i].header, pixels, 8, 2, 4), cases[i].code)) {
            printf("# %s\n", cases[i].header);
        }
    }
    struct picture p;
    CHECK_NUMBER(read_pgm(&p, "P5 2 4 255\n", pixels, 8, 0, 4), ERR_USAGE);
    CHECK_NUMBER(read_pgm(&p, "P5 2 4 255\n", pixels, 8, 1 << 20, 1 << 20), ERR_USAGE);
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    if (arena_open(&arena, (size_t)256 << 20, NULL) < 0) {
        return EXIT_FAILURE;
    }
    RUN(sizes_keep_proportions_and_never_grow);
    RUN(pictures_agree_with_another_decoder);
    RUN(broken_files_are_told_apart);
    RUN(picture_without_its_end_mark_is_the_same);
    RUN(samplings_without_a_name_are_read);
    RUN(scans_without_end_are_refused);
    RUN(arena_gets_back_what_does_not_last);
    RUN(areas_are_averaged_exactly);
    RUN(enlarging_repeats_pixels);
    RUN(headers_of_pgm);
    arena_close(arena);
    return test_finish();
}
