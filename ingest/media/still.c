/* still.c - see still.h. The steps: check the frame; scale it, one field of it when interlaced,
 * into an aligned scratch image; copy that upright into the picture; measure. */
#include "ingest/media/still.h"

#include <libavcodec/avcodec.h>
#include <libavutil/error.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_SIDE_MAX = 16384, /* 16K; also keeps width * height within 2^28 */
    SIZE_MIN = 16,
    SIZE_MAX_ASKED = 4096,
    ASPECT_MAX = 16,  /* a sample aspect ratio beyond 16:1 is damage, not a format */
    JPEG_QUALITY = 3, /* mjpeg's quantiser, 2 (best) to 31; 3 is about libjpeg's quality 90 */
    SCRATCH_ALIGN = 64,
    /* Area averaging: of swscale's filters the fastest in bit-exact mode (0.7 ms for 1080p to 320
     * on one core; 1.3 ms with BT.709 to BT.601) and the one without aliasing (51 dB against the
     * exact mean of a zone plate; bilinear 29 dB, fast bilinear 13 dB). */
    SCALER_FLAGS = SWS_AREA | SWS_BITEXACT | SWS_ACCURATE_RND,
};

/* The facts that a scaler context depends on. Compared member by member. */
struct geometry {
    int source_width, source_height; /* of the frame, or of its one field */
    enum AVPixelFormat format;
    int colorspace; /* AVCOL_SPC_*, which are swscale's numbers too */
    int full_range;
    int width, height; /* before any quarter turn */
};

struct still_scaler {
    int size;
    struct geometry geometry; /* of `scaler` and `scratch` */
    struct SwsContext *scaler;
    uint8_t *scratch[4]; /* one av_malloc at [0]; strides suit swscale's vector code */
    int strides[4];
    AVCodecContext *encoder;
    AVFrame *frame;
    AVPacket *packet;
};

/* How the stored picture becomes upright. Transposing comes first, then the flips. */
struct orientation {
    bool transposed, flip_x, flip_y;
};

static int library_error(struct error *e, int averror, const char *what) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    int code = averror == AVERROR(ENOMEM) ? ERR_MEMORY : ERR_FORMAT;
    if (av_strerror(averror, text, sizeof text) < 0) {
        return error_set(e, code, "%s: error %d", what, averror);
    }
    return error_set(e, code, "%s: %s", what, text);
}

int still_scaler_open(struct still_scaler **out, int size, struct error *e) {
    *out = NULL;
    if (size < SIZE_MIN || size > SIZE_MAX_ASKED) {
        return error_set(e, ERR_USAGE, "picture size %d is outside %d to %d", size, SIZE_MIN,
                         SIZE_MAX_ASKED);
    }
    struct still_scaler *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, "a picture scaler");
    }
    s->size = size;
    s->frame = av_frame_alloc();
    s->packet = av_packet_alloc();
    if (s->frame == NULL || s->packet == NULL) {
        still_scaler_close(s);
        return error_memory(e, "a picture scaler");
    }
    *out = s;
    return 0;
}

static void scaler_release(struct still_scaler *s) {
    sws_freeContext(s->scaler);
    s->scaler = NULL;
    av_freep(&s->scratch[0]);
}

void still_scaler_close(struct still_scaler *s) {
    if (s != NULL) {
        scaler_release(s);
        avcodec_free_context(&s->encoder);
        av_frame_free(&s->frame);
        av_packet_free(&s->packet);
        free(s);
    }
}

bool still_is_interlaced(const AVFrame *frame) {
#ifdef AV_FRAME_FLAG_INTERLACED
    return frame->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return frame->interlaced_frame;
#endif
}

static int check_frame(const AVFrame *frame, struct error *e) {
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    if (format == NULL || (format->flags & AV_PIX_FMT_FLAG_HWACCEL) ||
        !sws_isSupportedInput(frame->format)) {
        return error_set(e, ERR_FORMAT, "pixel format %s cannot be scaled",
                         format != NULL ? format->name : "(none)");
    }
    if (frame->width < 1 || frame->height < 1 || frame->width > FRAME_SIDE_MAX ||
        frame->height > FRAME_SIDE_MAX) {
        return error_set(e, ERR_FORMAT, "frame of %d x %d pixels is outside 1 to %d", frame->width,
                         frame->height, FRAME_SIDE_MAX);
    }
    int needed[4] = {0};
    int rc = av_image_fill_linesizes(needed, frame->format, frame->width);
    if (rc < 0) {
        return library_error(e, rc, "frame layout");
    }
    for (int i = 0; i < 4; i++) { /* a line size is negative in a picture stored bottom up */
        if (needed[i] > 0 &&
            (frame->data[i] == NULL || llabs((long long)frame->linesize[i]) < needed[i])) {
            return error_set(e, ERR_FORMAT, "frame without data in plane %d", i);
        }
    }
    bool palette = format->flags & AV_PIX_FMT_FLAG_PAL;
    if (palette && frame->data[1] == NULL) {
        return error_set(e, ERR_FORMAT, "frame without its palette");
    }
    return 0;
}

/* swscale complains on stderr about the J formats, which only say "full range". */
static enum AVPixelFormat without_range(enum AVPixelFormat format) {
    switch ((int)format) {
    case AV_PIX_FMT_YUVJ411P:
        return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P:
        return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return format;
    }
}

/* Grey and RGB are full range unless marked otherwise, YUV is limited. */
static bool is_full_range(const AVFrame *frame) {
    if (frame->color_range == AVCOL_RANGE_MPEG || frame->color_range == AVCOL_RANGE_JPEG) {
        return frame->color_range == AVCOL_RANGE_JPEG;
    }
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    return without_range(frame->format) != frame->format || format->nb_components < 3 ||
           (format->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

/* An unmarked stream is read as players read it: high definition is BT.709, the rest BT.601. */
static int matrix_coefficients(const AVFrame *frame) {
    if (frame->colorspace != AVCOL_SPC_UNSPECIFIED && frame->colorspace != AVCOL_SPC_RESERVED) {
        return frame->colorspace;
    }
    return frame->width > 1024 || frame->height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

/* The even number nearest to `side`, the lower one of two: nothing is enlarged for evenness. */
static int even_side(double side) {
    int even = 2 * (int)ceil(side / 2 - 0.5);
    return even < 2 ? 2 : even;
}

/* The size at which the frame is shown (its height kept, its width stretched by the sample aspect
 * ratio), reduced to fit `size`. */
static void display_size(const AVFrame *frame, int sar_num, int sar_den, int size,
                         struct geometry *g) {
    double aspect = sar_num > 0 && sar_den > 0 ? (double)sar_num / sar_den : 1;
    if (aspect > ASPECT_MAX || aspect < 1.0 / ASPECT_MAX) {
        aspect = 1;
    }
    double width = frame->width * aspect;
    double height = frame->height;
    double longer = width > height ? width : height;
    double scale = longer > size ? size / longer : 1;
    int most = size & ~1;
    g->width = even_side(width * scale);
    g->height = even_side(height * scale);
    g->width = g->width < most ? g->width : most;
    g->height = g->height < most ? g->height : most;
}

static bool same_geometry(const struct geometry *a, const struct geometry *b) {
    return a->source_width == b->source_width && a->source_height == b->source_height &&
           a->format == b->format && a->colorspace == b->colorspace &&
           a->full_range == b->full_range && a->width == b->width && a->height == b->height;
}

/* The ranges are set before the context is initialised: swscale picks its plain copy for frames
 * that keep their size by comparing them, and does not revise that later. */
static int scaler_context(const struct geometry *g, struct SwsContext **out) {
    struct SwsContext *c = sws_alloc_context();
    if (c == NULL) {
        return AVERROR(ENOMEM);
    }
    *out = c;
    const struct {
        const char *name;
        int value;
    } options[] = {
        {"srcw", g->source_width},    {"srch", g->source_height},
        {"src_format", g->format},    {"dstw", g->width},
        {"dsth", g->height},          {"dst_format", AV_PIX_FMT_YUV420P},
        {"src_range", g->full_range}, {"dst_range", 1},
        {"sws_flags", SCALER_FLAGS},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int rc = av_opt_set_int(c, options[i].name, options[i].value, 0);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = sws_init_context(c, NULL, NULL);
    if (rc < 0) {
        return rc;
    }
    const int neutral = 1 << 16; /* contrast and saturation as they are */
    rc = sws_setColorspaceDetails(c, sws_getCoefficients(g->colorspace), g->full_range,
                                  sws_getCoefficients(SWS_CS_ITU601), 1, 0, neutral, neutral);
    return rc < 0 ? AVERROR(ENOSYS) : 0;
}

static int scaler_prepare(struct still_scaler *s, const struct geometry *g, struct error *e) {
    if (s->scaler != NULL && same_geometry(&s->geometry, g)) {
        return 0;
    }
    scaler_release(s);
    s->geometry = *g;
    int rc = scaler_context(g, &s->scaler);
    if (rc >= 0) {
        rc = av_image_alloc(s->scratch, s->strides, g->width, g->height, AV_PIX_FMT_YUV420P,
                            SCRATCH_ALIGN);
    }
    if (rc < 0) {
        scaler_release(s);
        int code = library_error(e, rc, "scaler");
        error_context(e, "%d x %d %s to %d x %d", g->source_width, g->source_height,
                      av_get_pix_fmt_name(g->format), g->width, g->height);
        return code;
    }
    return 0;
}

/* Scales `frame` into s->scratch. Of an interlaced frame only the field with line 0 is read: every
 * second line, in every plane but a palette. */
static int scale_frame(struct still_scaler *s, const AVFrame *frame, int sar_num, int sar_den,
                       struct error *e) {
    int lines = still_is_interlaced(frame) ? 2 : 1;
    struct geometry g = {
        .source_width = frame->width,
        .source_height = (frame->height + lines - 1) / lines,
        .format = without_range(frame->format),
        .colorspace = matrix_coefficients(frame),
        .full_range = is_full_range(frame),
    };
    display_size(frame, sar_num, sar_den, s->size, &g);
    int rc = scaler_prepare(s, &g, e);
    if (rc < 0) {
        return rc;
    }
    const uint8_t *data[4];
    int strides[4];
    for (int i = 0; i < 4; i++) {
        data[i] = frame->data[i];
        strides[i] = frame->linesize[i] * lines;
    }
    rc = sws_scale(s->scaler, data, strides, 0, g.source_height, s->scratch, s->strides);
    if (rc < 0) {
        return library_error(e, rc, "scaling");
    }
    return rc == g.height ? 0 : error_set(e, ERR_FORMAT, "only a part of the frame was scaled");
}

/* The matrix maps a point (p, q) to (a p + c q, b p + d q), with y downwards. Whatever else it
 * does, the larger pair of terms and their signs say which quarter turn and mirroring is nearest;
 * unlike an angle this needs no rounding and covers mirrored turns. */
static struct orientation orientation_of(const int32_t *matrix) {
    if (matrix == NULL) {
        return (struct orientation){0};
    }
    int32_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    if (llabs(a) + llabs(d) >= llabs(b) + llabs(c)) {
        return (struct orientation){.flip_x = a < 0, .flip_y = d < 0};
    }
    return (struct orientation){.transposed = true, .flip_x = c < 0, .flip_y = b < 0};
}

/* `width` and `height` are those of `out`, which has no padding. */
static void copy_plane(unsigned char *out, int width, int height, const uint8_t *in, int stride,
                       struct orientation o) {
    ptrdiff_t step_x = o.transposed ? stride : 1;
    ptrdiff_t step_y = o.transposed ? 1 : stride;
    const uint8_t *start = in + (o.flip_x ? step_x * (width - 1) : 0);
    start += o.flip_y ? step_y * (height - 1) : 0;
    step_x = o.flip_x ? -step_x : step_x;
    step_y = o.flip_y ? -step_y : step_y;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            out[(size_t)y * width + x] = start[y * step_y + x * step_x];
        }
    }
}

static void measure_luma(struct still *p) {
    const unsigned char *luma = p->planes[0];
    int width = p->width, height = p->height;
    int64_t sum = 0, squares = 0;
    for (size_t i = 0; i < (size_t)width * height; i++) {
        sum += luma[i];
        squares += luma[i] * luma[i];
    }
    double count = (double)width * height;
    p->luma = (double)sum / count;
    p->contrast = sqrt(fmax(0, (double)squares / count - p->luma * p->luma));
    sum = squares = 0;
    for (int y = 1; y < height - 1; y++) {
        const unsigned char *row = luma + (size_t)y * width;
        for (int x = 1; x < width - 1; x++) {
            int laplacian = 4 * row[x] - row[x - 1] - row[x + 1] - row[x - width] - row[x + width];
            sum += laplacian;
            squares += laplacian * laplacian;
        }
    }
    count = width > 2 && height > 2 ? (double)(width - 2) * (height - 2) : 1;
    double mean = (double)sum / count;
    p->sharpness = fmax(0, (double)squares / count - mean * mean);
}

/* Cells of a plane with fewer than 16 lines or columns overlap. */
static void measure_cells(const unsigned char *plane, int width, int height, unsigned char *cells) {
    for (int i = 0; i < STILL_SIGNATURE * STILL_SIGNATURE; i++) {
        int column = i % STILL_SIGNATURE, row = i / STILL_SIGNATURE;
        int x0 = column * width / STILL_SIGNATURE, y0 = row * height / STILL_SIGNATURE;
        int x1 = (column + 1) * width / STILL_SIGNATURE;
        int y1 = (row + 1) * height / STILL_SIGNATURE;
        x1 = x1 > x0 ? x1 : x0 + 1;
        y1 = y1 > y0 ? y1 : y0 + 1;
        int sum = 0, count = (x1 - x0) * (y1 - y0); /* at most 256 x 256 pixels: fits */
        for (int y = y0; y < y1; y++) {
            for (int x = x0; x < x1; x++) {
                sum += plane[(size_t)y * width + x];
            }
        }
        cells[i] = (unsigned char)((sum + count / 2) / count);
    }
}

/* Fills `out` from the scratch image. */
static int fill_from(const struct still_scaler *s, struct orientation o, struct still *out,
                     struct error *e) {
    int width = o.transposed ? s->geometry.height : s->geometry.width;
    int height = o.transposed ? s->geometry.width : s->geometry.height;
    size_t size = (size_t)width * height;
    unsigned char *data = malloc(size + size / 2);
    if (data == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for a picture of %d x %d", width, height);
    }
    out->width = width;
    out->height = height;
    out->planes[0] = data;
    out->planes[1] = data + size;
    out->planes[2] = data + size + size / 4;
    for (int i = 0; i < 3; i++) {
        int plane_width = i ? width / 2 : width;
        int plane_height = i ? height / 2 : height;
        copy_plane(out->planes[i], plane_width, plane_height, s->scratch[i], s->strides[i], o);
        measure_cells(out->planes[i], plane_width, plane_height, out->signature[i]);
    }
    measure_luma(out);
    return 0;
}

int still_make(struct still_scaler *s, const AVFrame *frame, const int32_t *matrix, int sar_num,
               int sar_den, struct still *out, struct error *e) {
    *out = (struct still){0};
    int rc = check_frame(frame, e);
    if (rc == 0) {
        rc = scale_frame(s, frame, sar_num, sar_den, e);
    }
    if (rc == 0) {
        rc = fill_from(s, orientation_of(matrix), out, e);
    }
    return rc;
}

void still_close(struct still *p) {
    free(p->planes[0]);
    *p = (struct still){0};
}

static int encoder_prepare(struct still_scaler *s, int width, int height, struct error *e) {
    if (s->encoder != NULL && s->encoder->width == width && s->encoder->height == height) {
        return 0;
    }
    avcodec_free_context(&s->encoder);
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    if (codec == NULL) {
        return error_set(e, ERR_UNSUPPORTED, "this libavcodec has no JPEG encoder");
    }
    AVCodecContext *encoder = avcodec_alloc_context3(codec);
    if (encoder == NULL) {
        return error_memory(e, "a JPEG encoder");
    }
    encoder->width = width;
    encoder->height = height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->color_range = AVCOL_RANGE_JPEG;
    encoder->sample_aspect_ratio = (AVRational){1, 1}; /* makes the encoder write JFIF's header */
    encoder->time_base = (AVRational){1, 1};
    encoder->thread_count = 1; /* slices of threads would change the bytes */
    encoder->flags = AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
    encoder->global_quality = JPEG_QUALITY * FF_QP2LAMBDA;
    int rc = avcodec_open2(encoder, codec, NULL);
    if (rc < 0) {
        avcodec_free_context(&encoder);
        return library_error(e, rc, "JPEG encoder");
    }
    s->encoder = encoder;
    return 0;
}

/* Lends the picture's planes to s->frame: libavcodec copies what has no buffer reference, and only
 * reads it (hence the planes may come from a const picture). */
static void lend_planes(struct still_scaler *s, const struct still *p) {
    for (int i = 0; i < 3; i++) {
        s->frame->data[i] = p->planes[i];
        s->frame->linesize[i] = i ? p->width / 2 : p->width;
    }
    s->frame->width = p->width;
    s->frame->height = p->height;
    s->frame->format = AV_PIX_FMT_YUV420P;
    s->frame->color_range = AVCOL_RANGE_JPEG;
    s->frame->quality = JPEG_QUALITY * FF_QP2LAMBDA;
}

int still_to_jpeg(struct still_scaler *s, const struct still *p, struct bytes *out,
                  struct error *e) {
    int rc = encoder_prepare(s, p->width, p->height, e);
    if (rc < 0) {
        return rc;
    }
    lend_planes(s, p);
    rc = avcodec_send_frame(s->encoder, s->frame);
    av_frame_unref(s->frame);
    if (rc == 0) {
        rc = avcodec_receive_packet(s->encoder, s->packet);
    }
    if (rc < 0) {
        avcodec_free_context(&s->encoder); /* it may still hold half a picture */
        return library_error(e, rc, "JPEG encoder");
    }
    rc = bytes_append(out, s->packet->data, (size_t)s->packet->size, e);
    av_packet_unref(s->packet);
    return rc;
}

double still_distance(const struct still *a, const struct still *b) {
    int64_t sum = 0;
    for (int i = 0; i < STILL_SIGNATURE * STILL_SIGNATURE; i++) {
        int largest = 0;
        for (int plane = 0; plane < 3; plane++) {
            int difference = abs(a->signature[plane][i] - b->signature[plane][i]);
            largest = difference > largest ? difference : largest;
        }
        sum += largest;
    }
    return (double)sum / (STILL_SIGNATURE * STILL_SIGNATURE);
}
