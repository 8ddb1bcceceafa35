/* image_test.c - pictures as the published preprocessing (Pillow) makes them: golden/preprocess. */
#include "compress/image.h"

#include <jansson.h>

#include "compress/image_exif.h"
#include "compress/ops.h"
#include "store/file.h"
#include "tests/cpu_backend.h"
#include "tests/sha256.h"
#include "tests/test.h"

#define GOLDEN TEST_FOLDER "/golden/preprocess/"

static struct image decode_file(const char *name) {
    char path[1024];
    struct bytes data;
    struct image image;
    struct error e = {0};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    bytes_init(&data, 1 << 24);
    if (!CHECK(file_read(path, &data, &e) == 0) ||
        !CHECK(image_decode(&image, data.data, data.size, &e) == 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    bytes_close(&data);
    return image;
}

static json_t *golden(void) {
    json_t *root = json_load_file(GOLDEN "golden.json", 0, NULL);
    if (!CHECK(root != NULL)) {
        exit(1);
    }
    return root;
}

static bool has_hash(const struct image *i, const char *want) {
    char text[65];
    size_t count = (size_t)i->width * (size_t)i->height * 3;
    uint8_t *rgb = malloc(count);
    if (rgb == NULL) {
        exit(1);
    }
    for (size_t k = 0; k < count; k++) {
        rgb[k] = i->pixels[i->channels == 3 ? k : k / 3];
    }
    sha256_text(text, rgb, count);
    free(rgb);
    return CHECK_TEXT(text, want);
}

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static int number_of(const json_t *object, const char *key) {
    return (int)json_integer_value(json_object_get(object, key));
}

static void decoded_pngs_have_the_published_pixels(void) {
    json_t *root = golden(), *entry;
    const char *name;
    json_object_foreach(json_object_get(root, "images"), name, entry) {
        struct image i = decode_file(text_of(entry, "file"));
        has_hash(&i, text_of(entry, "sha256"));
        image_close(&i);
    }
    json_decref(root);
}

static void each_mode_gives_the_published_pixels(void) {
    json_t *root = golden(), *entry, *mode;
    const char *name, *mode_name;
    int modes = 0;
    json_object_foreach(json_object_get(root, "images"), name, entry) {
        struct image in = decode_file(text_of(entry, "file"));
        json_object_foreach(json_object_get(entry, "modes"), mode_name, mode) {
            struct image out;
            CHECK_NUMBER(image_fit(&out, &in, number_of(mode, "width"), NULL), 0);
            if (!has_hash(&out, text_of(mode, "sha256"))) {
                printf("# %s at %s\n", name, mode_name);
            }
            image_close(&out);
            modes++;
        }
        image_close(&in);
    }
    CHECK_NUMBER(modes, 12);
    json_decref(root);
}

static void check_tiles(const struct image *in, const json_t *gundam, int most) {
    enum { SIDE = 640 };
    struct image tiles[9];
    int columns, rows;
    image_grid(in->width, in->height, SIDE, most, &columns, &rows);
    CHECK_NUMBER(columns, number_of(gundam, "cols"));
    CHECK_NUMBER(rows, number_of(gundam, "rows"));
    const json_t *hashes = json_object_get(gundam, "tiles_sha256");
    if (columns * rows == 1) {
        CHECK_NUMBER(json_array_size(hashes), 0);
        return;
    }
    CHECK_NUMBER(json_array_size(hashes), columns * rows);
    CHECK_NUMBER(image_tiles(tiles, in, SIDE, columns, rows, NULL), 0);
    for (int i = 0; i < columns * rows; i++) {
        has_hash(&tiles[i], json_string_value(json_array_get(hashes, (size_t)i)));
        image_close(&tiles[i]);
    }
}

static void tiles_are_the_published_ones(void) {
    json_t *root = golden(), *entry;
    const char *name;
    json_object_foreach(json_object_get(root, "images"), name, entry) {
        struct image in = decode_file(text_of(entry, "file"));
        const json_t *gundam = json_object_get(entry, "gundam");
        check_tiles(&in, json_object_get(gundam, "max6"), 6);
        check_tiles(&in, json_object_get(gundam, "max9"), 9);
        image_close(&in);
    }
    json_decref(root);
}

static void grids_of_tiles_are_the_published_ones(void) {
    json_t *root = golden(), *grid;
    size_t i;
    json_array_foreach(json_object_get(root, "grids"), i, grid) {
        for (int most = 6; most <= 9; most += 3) {
            const json_t *want = json_object_get(grid, most == 6 ? "max6" : "max9");
            int columns, rows;
            image_grid(number_of(grid, "width"), number_of(grid, "height"), 640, most, &columns,
                       &rows);
            CHECK_NUMBER(columns, json_integer_value(json_array_get(want, 0)));
            CHECK_NUMBER(rows, json_integer_value(json_array_get(want, 1)));
        }
    }
    CHECK_NUMBER(i, 18);
    json_decref(root);
}

/* On the device, of one channel and of three. */
static void values_are_normalised_as_published(void) {
    static const float MEAN[3] = {IMAGE_MEAN, IMAGE_MEAN, IMAGE_MEAN};
    static const float DEVIATION[3] = {IMAGE_DEVIATION, IMAGE_DEVIATION, IMAGE_DEVIATION};
    json_t *root = golden();
    const json_t *want = json_object_get(root, "normalised");
    struct device *d = NULL;
    uint8_t bytes[256 * 3];
    float values[256 * 3];
    CHECK_NUMBER(device_open(&d, cpu_backend(), DTYPE_F32, NULL), 0);
    for (int channels = 1; channels <= 3; channels += 2) {
        for (int v = 0; v < 256 * channels; v++) {
            bytes[v] = (uint8_t)(v / channels);
        }
        struct tensor from = tensor_of(bytes, DTYPE_U8, d, TENSOR_SHAPE(1, 1, 256, channels));
        struct tensor to = tensor_of(values, DTYPE_F32, d, TENSOR_SHAPE(1, 1, 256, channels));
        CHECK_NUMBER(d->ops->normalize_pixels(d, &to, &from, MEAN, DEVIATION, NULL), 0);
        for (int v = 0; v < 256 * channels; v++) {
            CHECK((double)values[v] ==
                  json_real_value(json_array_get(want, (size_t)(v / channels))));
        }
    }
    device_close(d);
    json_decref(root);
}

/* As canvas.c makes grey pages; white, grey and black stay what they are. */
static void grey_is_the_renderer_s_luma(void) {
    uint8_t pixels[] = {255, 255, 255, 127, 127, 127, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255};
    static const uint8_t WANTED[] = {255, 127, 0, 77, 149, 29};
    struct image i = {.width = 3, .height = 2, .channels = 3, .pixels = pixels};
    image_grey(&i);
    CHECK_NUMBER(i.channels, 1);
    for (int k = 0; k < 6; k++) {
        CHECK_NUMBER(pixels[k], WANTED[k]);
    }
}

static void a_page_of_the_size_passes_untouched(void) {
    struct image in = {.width = 1024,
                       .height = 1024,
                       .channels = 3,
                       .pixels = malloc(1024 * 1024 * 3)},
                 out;
    if (!CHECK(in.pixels != NULL)) {
        exit(1);
    }
    for (size_t i = 0; i < 1024 * 1024 * 3; i++) {
        in.pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    CHECK_NUMBER(image_fit(&out, &in, 1024, NULL), 0);
    CHECK(memcmp(in.pixels, out.pixels, 1024 * 1024 * 3) == 0);
    image_close(&in);
    image_close(&out);
}

/* ---- Decoding ---------------------------------------------------------------------------- */

static int decode_text(struct image *out, const char *text, size_t size) {
    /* A copy of exactly that size, so that the sanitizer sees what is read past it. */
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        exit(1);
    }
    memcpy(copy, text, size);
    int rc = image_decode(out, copy, size, NULL);
    free(copy);
    return rc;
}

#define DECODE(out, text) decode_text(out, text, sizeof(text) - 1)

static void pnm_is_read_with_comments(void) {
    struct image i;
    CHECK_NUMBER(DECODE(&i, "P5 # grey\n#\n 2\t1 # size\n255\nAB"), 0);
    CHECK_NUMBER(i.width, 2);
    CHECK_NUMBER(i.channels, 1);
    CHECK(memcmp(i.pixels, "AB", 2) == 0);
    image_close(&i);
    CHECK_NUMBER(DECODE(&i, "P6 1 2 255\nRGBrgb"), 0);
    CHECK_NUMBER(i.height, 2);
    CHECK_NUMBER(i.channels, 3);
    CHECK(memcmp(i.pixels, "RGBrgb", 6) == 0);
    image_close(&i);
}

static void damaged_pnm_is_refused(void) {
    struct image i;
    CHECK_NUMBER(DECODE(&i, "P5 2 2 255\nABC"), ERR_TRUNCATED);
    CHECK_NUMBER(DECODE(&i, "P5 2 2 65535\nABCDEFGH"), ERR_UNSUPPORTED);
    CHECK_NUMBER(DECODE(&i, "P5 0 2 255\nAB"), ERR_FORMAT);
    CHECK_NUMBER(DECODE(&i, "P5 -1 2 255\nAB"), ERR_FORMAT);
    CHECK_NUMBER(DECODE(&i, "P5 2 1 255"), ERR_TRUNCATED);
    CHECK_NUMBER(DECODE(&i, "P5 2"), ERR_TRUNCATED);
    CHECK_NUMBER(DECODE(&i, "P6 100000 100000 255\nAB"), ERR_LIMIT);
    CHECK_NUMBER(DECODE(&i, "P6 4294967297 1 255\nABC"), ERR_LIMIT);
    CHECK_NUMBER(DECODE(&i, "P4 1 1\nA"), ERR_FORMAT);
    CHECK_NUMBER(DECODE(&i, ""), ERR_FORMAT);
    CHECK(i.pixels == NULL);
}

static void a_png_cut_anywhere_is_an_error(void) {
    struct bytes data;
    struct image i;
    bytes_init(&data, 1 << 24);
    CHECK_NUMBER(file_read(GOLDEN "64x900.png", &data, NULL), 0);
    for (size_t size = 0; size < data.size; size += size < 200 ? 1 : 97) {
        CHECK(decode_text(&i, (const char *)data.data, size) < 0);
        CHECK(i.pixels == NULL);
    }
    bytes_close(&data);
}

/* ---- Orientation -------------------------------------------------------------------------- */

/* A picture of 3 x 2 whose pixels are numbered, turned as a camera with this orientation
 * shows it. */
static void each_orientation_is_turned_upright(void) {
    static const char *const UPRIGHT[9] = {NULL,     "012345", "210543", "543210", "345012",
                                           "031425", "304152", "524130", "251403"};
    for (int k = 0; k < 16; k++) {
        int orientation = k / 2 + 1, channels = k % 2 == 0 ? 1 : 3;
        struct image i;
        char got[7] = "";
        CHECK_NUMBER(image_new(&i, 3, 2, channels, NULL), 0);
        for (int p = 0; p < 6 * channels; p++) {
            i.pixels[p] = (uint8_t)('0' + p / channels);
        }
        CHECK_NUMBER(exif_apply(&i, orientation, NULL), 0);
        CHECK_NUMBER(i.width, orientation < 5 ? 3 : 2);
        for (int p = 0; p < 6; p++) {
            got[p] = (char)i.pixels[channels * p];
        }
        CHECK_TEXT(got, UPRIGHT[orientation]);
        image_close(&i);
    }
}

#define ENTRY_LITTLE "\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
#define ENTRY_BIG "\x01\x12\0\x03\0\0\0\x01\0\x08\0\0"

static int orientation_of(const char *text, size_t size) {
    unsigned char *copy = malloc(size + 1); /* of exactly that size, for the sanitizer */
    if (copy == NULL) {
        exit(1);
    }
    memcpy(copy, text, size);
    int orientation = exif_orientation(copy, size);
    free(copy);
    return orientation;
}

static void orientations_are_found_in_tiff_structures(void) {
    static const char LITTLE[] = "II*\0\x08\0\0\0\x01\0" ENTRY_LITTLE;
    static const char BIG[] = "MM\0*\0\0\0\x08\0\x01" ENTRY_BIG;
    static const char FAR[] = "II*\0\xFF\xFF\xFF\x7F\x01\0" ENTRY_LITTLE;
    CHECK_NUMBER(orientation_of(LITTLE, sizeof LITTLE - 1), 6);
    CHECK_NUMBER(orientation_of(BIG, sizeof BIG - 1), 8);
    CHECK_NUMBER(orientation_of(FAR, sizeof FAR - 1), 0);
    for (size_t size = 0; size < sizeof LITTLE - 1; size++) {
        int orientation = orientation_of(LITTLE, size);
        CHECK(orientation == 0 || orientation == 1 || orientation == 6);
    }
}

static void a_jpeg_tells_its_orientation_before_its_pixels(void) {
    static const uint8_t JPEG[] = "\xFF\xD8\xFF\xE0\0\x04xx\xFF\xE1\0\x1E"
                                  "Exif\0\0II*\0\x08\0\0\0\x01\0" ENTRY_LITTLE "\xFF\xDA";
    CHECK_NUMBER(exif_jpeg_orientation(JPEG, sizeof JPEG - 1), 6);
    for (size_t size = 0; size < sizeof JPEG - 3; size++) {
        uint8_t *copy = malloc(size + 1); /* of exactly that size, for the sanitizer */
        if (copy == NULL) {
            exit(1);
        }
        memcpy(copy, JPEG, size);
        CHECK_NUMBER(exif_jpeg_orientation(copy, size), 0);
        free(copy);
    }
    CHECK_NUMBER(exif_jpeg_orientation((const uint8_t *)"\xFF\xD8\xFF\xE1\0\0", 6), 0);
}

static void damaged_texts_say_nothing_of_orientation(void) {
    static const char *const PROFILES[] = {"", "\n\n", "\nexif\n 26\n", "\nexif\n 26\n4",
                                           "\nexif\n 1\n49492A00"};
    static const char *const PACKETS[] = {"", "tiff:Orientation", "tiff:Orientation=\"",
                                          "tiff:Orientation=\"x\"", "ttiff:Orientatio>6<"};
    for (int i = 0; i < 5; i++) {
        CHECK_NUMBER(exif_profile_orientation(PROFILES[i], strlen(PROFILES[i])), 0);
        CHECK_NUMBER(exif_xmp_orientation(PACKETS[i], strlen(PACKETS[i])), 0);
    }
    CHECK_NUMBER(exif_xmp_orientation("ttiff:Orientation>6<", 20), 6);
    CHECK_NUMBER(exif_xmp_orientation("tiff:Orientation=\"9\"", 20), 1);
}

/* Pictures with SHA-256 of the pixels that Pillow 12.0 makes of them:
 * ImageOps.exif_transpose(Image.open(FILE)).convert("RGB").tobytes().
 * store F19: orientation after fill bytes, of each type, in ImageMagick's PNG text and in XMP.
 * store F20: samplings that TurboJPEG has no name for. */
static const struct {
    const char *file;
    int width, height;
    const char *sha256;
} PICTURES[] = {
    {"exif3_xmp6.jpg", 50, 34, "d1d217c9100b6ed37fa411973010124129b61d87c5595591118c844c11e6d310"},
    {"exif6_fill.jpg", 60, 90, "2dbae8e903dc0c6859cfcd4b32a60d02e910a41d97933339ce1bb937b9c46fe8"},
    {"exif6_sbyte.jpg", 34, 50, "dde80db1a2c2bbdb91e9a8956b66705383072e716863a4c0e57597b994d6de28"},
    {"exif6_type1.jpg", 90, 60, "326a94d2f05ea5a61cfb45c45d67284e378df193ae79faa5a62c8d45d1ede949"},
    {"exif6_type4_be.jpg", 60, 90,
     "2dbae8e903dc0c6859cfcd4b32a60d02e910a41d97933339ce1bb937b9c46fe8"},
    {"png_raw_profile6.png", 16, 24,
     "7d3bb2b56ba453d621ca9c22c6c63667a8fa9ffdf0a012b48e6f0cb4358d11e1"},
    {"samp_1x1_2x2_2x2.jpg", 50, 34,
     "92e021d61a0053bc384a9ec3359304d2fcea1c87c712e41070c3bb12d34e5c33"},
    {"samp_1x3.jpg", 50, 34, "02c832f6a6c07f7b5050c41878e746fdf7df0f594cb23fa0e454dd598b2c4307"},
    {"samp_1x4.jpg", 90, 60, "c23bec8303269c0eaba6a044629c9ba30373c57191ab37f5186415f2ff2f91f5"},
    {"samp_2x2_1x1_2x2.jpg", 90, 60,
     "c79424b95fc23776d61baf964b54ab93ee8f3605f6807695e1dfb4cedecc73cd"},
    {"samp_2x4.jpg", 90, 60, "91235c02ac0fcb9907d524c1208edeeb337b1f06b520983933a18634b8e6307a"},
    {"samp_3x1.jpg", 90, 60, "098b28fccd2e761b275c37b6d6b239512bf22d9d3472363e4b386c0967fb6f85"},
    {"samp_4x2.jpg", 90, 60, "e96807dd877a56a9742cb8a0b6f2cc192ad93ca120e663de27e1c1a559ecb134"},
    {"xmp5.png", 34, 50, "a027372e5828b5f04f3c21aaf49785f05bc9be9c82c9d44a0a4954ff9ac9bef6"},
    {"xmp8.jpg", 34, 50, "452a574d9b34228e9e9c02d201bfc9c5a2966357ada59f24020678680fd5368e"},
};

static void pictures_have_the_pixels_of_pillow(void) {
    for (size_t p = 0; p < sizeof PICTURES / sizeof *PICTURES; p++) {
        char path[128];
        snprintf(path, sizeof path, "../pictures/%s", PICTURES[p].file);
        struct image i = decode_file(path);
        bool right = CHECK_NUMBER(i.width, PICTURES[p].width) &&
                     CHECK_NUMBER(i.height, PICTURES[p].height) && has_hash(&i, PICTURES[p].sha256);
        if (!right) {
            printf("# %s\n", PICTURES[p].file);
        }
        image_close(&i);
    }
}

int main(void) {
    RUN(pictures_have_the_pixels_of_pillow);

    RUN(decoded_pngs_have_the_published_pixels);
    RUN(each_mode_gives_the_published_pixels);
    RUN(tiles_are_the_published_ones);
    RUN(grids_of_tiles_are_the_published_ones);
    RUN(values_are_normalised_as_published);
    RUN(grey_is_the_renderer_s_luma);
    RUN(a_page_of_the_size_passes_untouched);
    RUN(pnm_is_read_with_comments);
    RUN(damaged_pnm_is_refused);
    RUN(a_png_cut_anywhere_is_an_error);
    RUN(each_orientation_is_turned_upright);
    RUN(orientations_are_found_in_tiff_structures);
    RUN(a_jpeg_tells_its_orientation_before_its_pixels);
    RUN(damaged_texts_say_nothing_of_orientation);
    return test_finish();
}
