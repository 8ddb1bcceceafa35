/* page_file.c - see page_file.h.
 *
 * PNG: no filter and level 2. A page of text is white with few repeated shapes: filters make it 10%
 * larger, level 1 is 5% larger in the same time, level 6 20% smaller in three times the time. */
#include "render/page/page_file.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { PNG_LEVEL = 2, PNG_BUFFER = 64 << 10, HEADER_BYTES = 64 };

const char *const PAGE_FORMATS[FORMAT_COUNT + 1] = {
    [FORMAT_PGM] = "pgm", [FORMAT_PPM] = "ppm", [FORMAT_PNG] = "png"};

/* ---- PGM, PPM ------------------------------------------------------------------------ */

static int append_pgm(struct bytes *out, const struct page *page, struct error *e) {
    char header[HEADER_BYTES];
    int size = snprintf(header, sizeof header, "P5\n%d %d\n255\n", page->width, page->height);
    size_t pixels = (size_t)page->width * (size_t)page->height;
    int rc = bytes_reserve(out, (size_t)size + pixels, e);
    if (rc == 0) {
        rc = bytes_append(out, header, (size_t)size, e);
    }
    return rc == 0 ? bytes_append(out, page->grey, pixels, e) : rc;
}

static int append_ppm(struct bytes *out, const struct page *page, struct error *e) {
    char header[HEADER_BYTES];
    int size = snprintf(header, sizeof header, "P6\n%d %d\n255\n", page->width, page->height);
    size_t pixels = (size_t)page->width * (size_t)page->height;
    int rc = bytes_reserve(out, (size_t)size + 3 * pixels, e);
    if (rc == 0) {
        rc = bytes_append(out, header, (size_t)size, e);
    }
    if (rc < 0 || page->rgb != NULL) {
        return rc < 0 ? rc : bytes_append(out, page->rgb, 3 * pixels, e);
    }
    unsigned char *to = out->data + out->size;
    for (size_t i = 0; i < pixels; i++) {
        to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = page->grey[i];
    }
    to[3 * pixels] = 0;
    out->size += 3 * pixels;
    return 0;
}

/* ---- PNG ----------------------------------------------------------------------------- */

/* What libpng's callbacks and its error exit share. It lies outside the function that calls setjmp,
 * so that nothing in it is lost by the jump. */
struct png_job {
    png_structp png;
    png_infop info;
    struct bytes *out;
    struct error *e;
    int rc; /* why libpng was left */
};

static void png_failed(png_structp png, png_const_charp text) {
    struct png_job *job = png_get_error_ptr(png);
    if (job->rc == 0) { /* libpng itself fails only when it gets no memory */
        job->rc = error_set(job->e, ERR_MEMORY, "a page cannot be written as PNG: %s", text);
    }
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void png_took(png_structp png, png_bytep data, size_t size) {
    struct png_job *job = png_get_io_ptr(png);
    job->rc = bytes_append(job->out, data, size, job->e);
    if (job->rc < 0) {
        png_error(png, "no room");
    }
}

static void png_flushed(png_structp png) {
    (void)png;
}

/* What may jump; `job` and `page` are not changed after setjmp. */
static int png_write(struct png_job *job, const struct page *page) {
    if (setjmp(png_jmpbuf(job->png))) {
        return job->rc;
    }
    bool color = page->rgb != NULL;
    size_t stride = (size_t)page->width * (color ? 3 : 1);
    png_set_write_fn(job->png, job, png_took, png_flushed);
    png_set_IHDR(job->png, job->info, (png_uint_32)page->width, (png_uint_32)page->height, 8,
                 color ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(job->png, PNG_LEVEL);
    png_set_compression_buffer_size(job->png, PNG_BUFFER);
    png_set_filter(job->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
    png_write_info(job->png, job->info);
    for (int y = 0; y < page->height; y++) {
        png_write_row(job->png, (color ? page->rgb : page->grey) + (size_t)y * stride);
    }
    png_write_end(job->png, NULL);
    return 0;
}

static int append_png(struct bytes *out, const struct page *page, struct error *e) {
    struct png_job job = {.out = out, .e = e};
    job.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, png_failed, png_warned);
    job.info = job.png != NULL ? png_create_info_struct(job.png) : NULL;
    int rc = job.info != NULL ? png_write(&job, page) : error_memory(e, NULL);
    png_destroy_write_struct(&job.png, &job.info);
    return rc;
}

int page_file_append(struct bytes *out, const struct page *page, enum page_format format,
                     struct error *e) {
    static int (*const APPEND[FORMAT_COUNT])(struct bytes *, const struct page *,
                                             struct error *) = {
        [FORMAT_PGM] = append_pgm, [FORMAT_PPM] = append_ppm, [FORMAT_PNG] = append_png};
    size_t before = out->size;
    int rc = APPEND[format](out, page, e);
    if (rc < 0 && out->data != NULL) {
        out->size = before;
        out->data[before] = 0;
    }
    return rc;
}
