/* image_decode.c - PNG, JPEG and PNM to grey or RGB. */
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "compress/image.h"
#include "compress/image_exif.h"

void image_close(struct image *i) {
    free(i->pixels);
    *i = (struct image){.pixels = NULL};
}

size_t image_stride(const struct image *i) {
    return (size_t)i->width * (size_t)i->channels;
}

int image_new(struct image *i, int64_t width, int64_t height, int channels, struct error *e) {
    *i = (struct image){.pixels = NULL};
    if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX ||
        (size_t)width > IMAGE_PIXELS / (size_t)height) {
        return error_set(e, ERR_LIMIT, "a picture of %lld x %lld pixels; %zu at most",
                         (long long)width, (long long)height, IMAGE_PIXELS);
    }
    i->pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
    if (i->pixels == NULL) {
        return error_memory(e, "a picture");
    }
    i->width = (int)width;
    i->height = (int)height;
    i->channels = channels;
    return 0;
}

/* ---- PNG --------------------------------------------------------------------------- */

struct png_source {
    const uint8_t *data;
    size_t size, at;
    bool ended; /* more was wanted than there is */
    char text[200];
};

static void png_source_read(png_structp png, png_bytep to, size_t count) {
    struct png_source *s = png_get_io_ptr(png);
    if (count > s->size - s->at) {
        s->ended = true;
        png_error(png, "the file ends too early");
    }
    memcpy(to, s->data + s->at, count);
    s->at += count;
}

static void png_fail(png_structp png, png_const_charp text) {
    struct png_source *s = png_get_error_ptr(png);
    size_t length = strlen(text) < sizeof s->text - 1 ? strlen(text) : sizeof s->text - 1;
    memcpy(s->text, text, length);
    s->text[length] = '\0';
    png_longjmp(png, 1);
}

static void png_warn(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

/* All kinds become 8-bit grey or RGB; transparency is dropped. */
static void png_to_bytes(png_structp png, png_infop info) {
    png_set_strip_16(png);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

static int png_orientation(png_structp png, png_infop info) {
    png_bytep exif;
    png_textp texts;
    png_uint_32 size;
    if (png_get_eXIf_1(png, info, &size, &exif) != 0) {
        int orientation = exif_orientation(exif, size);
        if (orientation > 0) {
            return orientation;
        }
    }
    int profile = 0, xmp = 0, count = png_get_text(png, info, &texts, NULL);
    for (int i = 0; i < count; i++) {
        bool international = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
        size_t length = international ? texts[i].itxt_length : texts[i].text_length;
        if (strcmp(texts[i].key, "Raw profile type exif") == 0) {
            profile = exif_profile_orientation(texts[i].text, length);
        } else if (strcmp(texts[i].key, "XML:com.adobe.xmp") == 0) {
            xmp = exif_xmp_orientation(texts[i].text, length);
        }
    }
    return profile > 0 ? profile : xmp;
}

/* Variables that libpng's longjmp must not lose live in the caller. */
static int png_read_all(png_structp png, png_infop info, struct image *out, png_bytep **rows,
                        int *orientation, struct error *e) {
    if (setjmp(png_jmpbuf(png)) != 0) {
        const struct png_source *s = png_get_error_ptr(png);
        return error_set(e, s->ended ? ERR_TRUNCATED : ERR_FORMAT, "PNG: %s", s->text);
    }
    png_read_info(png, info);
    bool colour = (png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR) != 0;
    int rc = image_new(out, png_get_image_width(png, info), png_get_image_height(png, info),
                       colour ? 3 : 1, e);
    if (rc < 0) {
        return rc;
    }
    png_to_bytes(png, info);
    if (png_get_rowbytes(png, info) != image_stride(out)) {
        return error_set(e, ERR_UNSUPPORTED, "PNG: a kind of pixels that is not known");
    }
    *rows = malloc((size_t)out->height * sizeof **rows);
    if (*rows == NULL) {
        return error_memory(e, "a picture");
    }
    for (int y = 0; y < out->height; y++) {
        (*rows)[y] = out->pixels + (size_t)y * image_stride(out);
    }
    png_read_image(png, *rows);
    png_read_end(png, info);
    *orientation = png_orientation(png, info);
    return 0;
}

static int decode_png(struct image *out, const uint8_t *data, size_t size, int *orientation,
                      struct error *e) {
    struct png_source source = {.data = data, .size = size};
    png_bytep *rows = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, png_fail, png_warn);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    int rc;
    if (info == NULL) {
        rc = error_memory(e, "a picture");
    } else {
        png_set_read_fn(png, &source, png_source_read);
        png_set_user_limits(png, INT32_MAX, INT32_MAX);
        png_set_chunk_malloc_max(png, 8 << 20);
        rc = png_read_all(png, info, out, &rows, orientation, e);
    }
    png_destroy_read_struct(&png, &info, NULL);
    free(rows);
    return rc;
}

/* ---- JPEG ---------------------------------------------------------------------------- */

/* A header is refused for a sampling that TurboJPEG has no name for (4:1:0, one subsampled colour),
 * which it decodes all the same: then all but the sampling is filled in. */
static int decode_jpeg(struct image *out, const uint8_t *data, size_t size, int *orientation,
                       struct error *e) {
    int width = 0, height = 0, subsampling = TJSAMP_444, colours = -1;
    tjhandle jpeg = tjInitDecompress();
    if (jpeg == NULL) {
        return error_memory(e, "a picture");
    }
    int rc = 0;
    if (size > UINT32_MAX || (tjDecompressHeader3(jpeg, data, (unsigned long)size, &width, &height,
                                                  &subsampling, &colours) != 0 &&
                              (subsampling >= 0 || colours < 0))) {
        rc = error_set(e, ERR_FORMAT, "JPEG: %s", tjGetErrorStr2(jpeg));
    } else if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
        rc = error_set(e, ERR_UNSUPPORTED, "JPEG: in the colours of print (CMYK)");
    } else {
        rc = image_new(out, width, height, colours == TJCS_GRAY ? 1 : 3, e);
    }
    if (rc == 0 &&
        tjDecompress2(jpeg, data, (unsigned long)size, out->pixels, width, 0, height,
                      out->channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT) != 0) {
        /* Warnings of libjpeg are about bytes that it could do without, but for this one. */
        const char *text = tjGetErrorStr2(jpeg);
        if (tjGetErrorCode(jpeg) != TJERR_WARNING) {
            rc = error_set(e, ERR_FORMAT, "JPEG: %s", text);
        } else if (strstr(text, "Premature end") != NULL || strstr(text, "Corrupt") != NULL) {
            rc = error_set(e, ERR_TRUNCATED, "JPEG: %s", text);
        }
    }
    tjDestroy(jpeg);
    *orientation = rc == 0 ? exif_jpeg_orientation(data, size) : 0;
    return rc;
}

/* ---- PNM ----------------------------------------------------------------------------- */

/* A number of the header: white space and comments before it. -1: there is none. */
static int64_t pnm_number(const uint8_t *data, size_t size, size_t *at) {
    bool comment = false;
    while (*at < size &&
           (comment || data[*at] == '#' || strchr(" \t\r\n\v\f", data[*at]) != NULL)) {
        if (data[*at] == '\0') {
            return -1;
        }
        comment = data[*at] == '#' || (comment && data[*at] != '\n');
        ++*at;
    }
    int64_t number = -1;
    for (; *at < size && data[*at] >= '0' && data[*at] <= '9'; ++*at) {
        number = (number < 0 ? 0 : number * 10) + (data[*at] - '0');
        number = number < INT32_MAX ? number : INT32_MAX;
    }
    return number;
}

static int decode_pnm(struct image *out, const uint8_t *data, size_t size, struct error *e) {
    size_t at = 2;
    int channels = data[1] == '6' ? 3 : 1;
    int64_t width = pnm_number(data, size, &at), height = pnm_number(data, size, &at);
    int64_t largest = pnm_number(data, size, &at);
    if (width < 1 || height < 1 || largest < 1 || at >= size ||
        strchr(" \t\r\n\v\f", data[at]) == NULL || data[at] == '\0') {
        return error_set(e, at >= size ? ERR_TRUNCATED : ERR_FORMAT, "PNM: no header");
    }
    if (largest != 255) {
        return error_set(e, ERR_UNSUPPORTED, "PNM: a largest value of %lld, only 255 is read",
                         (long long)largest);
    }
    at++;
    if ((size_t)width > IMAGE_PIXELS / (size_t)height) { /* before the product is used */
        return image_new(out, width, height, channels, e);
    }
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    if (size - at < bytes) {
        return error_set(e, ERR_TRUNCATED, "PNM: %zu bytes of pixels, %zu are needed", size - at,
                         bytes);
    }
    int rc = image_new(out, width, height, channels, e);
    if (rc == 0) {
        memcpy(out->pixels, data + at, bytes);
    }
    return rc;
}

/* ---- Any ------------------------------------------------------------------------------- */

int image_decode(struct image *out, const void *data, size_t size, struct error *e) {
    static const uint8_t PNG[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    const uint8_t *bytes = data;
    int orientation = 0, rc;
    *out = (struct image){.pixels = NULL};
    if (size >= 8 && memcmp(bytes, PNG, 8) == 0) {
        rc = decode_png(out, bytes, size, &orientation, e);
    } else if (size >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) {
        rc = decode_jpeg(out, bytes, size, &orientation, e);
    } else if (size >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6')) {
        rc = decode_pnm(out, bytes, size, e);
    } else {
        rc = error_set(e, ERR_FORMAT, "neither PNG nor JPEG nor binary PNM");
    }
    if (rc == 0) {
        rc = exif_apply(out, orientation, e);
    }
    if (rc < 0) {
        image_close(out);
    }
    return rc;
}
