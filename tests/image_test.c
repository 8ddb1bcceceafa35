/* image_test.c - pictures as the published preprocessing (Pillow) makes them: golden/preprocess. */
#include "compress/image.h"

#include <jansson.h>

#include "compress/image_exif.h"
#include "store/file.h"
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
    sha256_text(text, i->rgb, (size_t)i->width * (size_t)i->height * 3);
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

static void values_are_normalised_as_published(void) {
    json_t *root = golden();
    const json_t *want = json_object_get(root, "normalised");
    struct image i = {.width = 256, .height = 1, .rgb = malloc(256 * 3)};
    float *values = malloc(256 * 3 * sizeof *values);
    if (!CHECK(i.rgb != NULL && values != NULL)) {
        exit(1);
    }
    for (int v = 0; v < 256 * 3; v++) {
        i.rgb[v] = (uint8_t)(v / 3);
    }
    image_normalize(values, &i);
    for (int v = 0; v < 256 * 3; v++) {
        CHECK((double)values[v] == json_real_value(json_array_get(want, (size_t)v / 3)));
    }
    free(values);
    image_close(&i);
    json_decref(root);
}

/* As canvas.c makes grey pages; white, grey and black stay what they are. */
static void grey_is_the_renderer_s_luma(void) {
    uint8_t pixels[] = {255, 255, 255, 127, 127, 127, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255};
    static const uint8_t WANTED[] = {255, 127, 0, 77, 149, 29};
    struct image i = {.width = 3, .height = 2, .rgb = pixels};
    image_grey(&i);
    for (int k = 0; k < 18; k++) {
        CHECK_NUMBER(pixels[k], WANTED[k / 3]);
    }
}

static void a_page_of_the_size_passes_untouched(void) {
    struct image in = {.width = 1024, .height = 1024, .rgb = malloc(1024 * 1024 * 3)}, out;
    if (!CHECK(in.rgb != NULL)) {
        exit(1);
    }
    for (size_t i = 0; i < 1024 * 1024 * 3; i++) {
        in.rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    CHECK_NUMBER(image_fit(&out, &in, 1024, NULL), 0);
    CHECK(memcmp(in.rgb, out.rgb, 1024 * 1024 * 3) == 0);
    image_close(&in);
    image_close(&out);
}

/* ---- Decoding ---------------------------------------------------------------------------- */

static int decode_text(struct image *out, const char *text, size_t size) {
    /* A copy of exactly that size, so that the sanitizer sees what is read behind it. */
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
    CHECK(memcmp(i.rgb, "AAABBB", 6) == 0);
    image_close(&i);
    CHECK_NUMBER(DECODE(&i, "P6 1 2 255\nRGBrgb"), 0);
    CHECK_NUMBER(i.height, 2);
    CHECK(memcmp(i.rgb, "RGBrgb", 6) == 0);
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
    CHECK(i.rgb == NULL);
}

static void a_png_cut_anywhere_is_an_error(void) {
    struct bytes data;
    struct image i;
    bytes_init(&data, 1 << 24);
    CHECK_NUMBER(file_read(GOLDEN "64x900.png", &data, NULL), 0);
    for (size_t size = 0; size < data.size; size += size < 200 ? 1 : 97) {
        CHECK(decode_text(&i, (const char *)data.data, size) < 0);
        CHECK(i.rgb == NULL);
    }
    bytes_close(&data);
}

/* ---- Orientation -------------------------------------------------------------------------- */

/* A picture of 3 x 2 whose pixels are numbered, turned as a camera with this orientation shows it.
 */
static void each_orientation_is_turned_upright(void) {
    static const char *const UPRIGHT[9] = {NULL,     "012345", "210543", "543210", "345012",
                                           "031425", "304152", "524130", "251403"};
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct image i = {.width = 3, .height = 2, .rgb = malloc(18)};
        char got[7] = "";
        if (i.rgb == NULL) {
            exit(1);
        }
        for (int p = 0; p < 18; p++) {
            i.rgb[p] = (uint8_t)('0' + p / 3);
        }
        CHECK_NUMBER(exif_apply(&i, orientation, NULL), 0);
        CHECK_NUMBER(i.width, orientation < 5 ? 3 : 2);
        for (int p = 0; p < 6; p++) {
            got[p] = (char)i.rgb[3 * p];
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
    CHECK_NUMBER(orientation_of(FAR, sizeof FAR - 1), 1);
    for (size_t size = 0; size < sizeof LITTLE - 1; size++) {
        int orientation = orientation_of(LITTLE, size);
        CHECK(orientation == 1 || orientation == 6);
    }
}

static void a_jpeg_tells_its_orientation_before_its_pixels(void) {
    static const uint8_t JPEG[] = "\xFF\xD8\xFF\xE0\0\x04xx\xFF\xE1\0\x1E"
                                  "Exif\0\0II*\0\x08\0\0\0\x01\0" ENTRY_LITTLE "\xFF\xDA";
    CHECK_NUMBER(exif_jpeg_orientation(JPEG, sizeof JPEG - 1), 6);
    CHECK_NUMBER(exif_jpeg_orientation(JPEG, 20), 1);
    CHECK_NUMBER(exif_jpeg_orientation((const uint8_t *)"\xFF\xD8\xFF\xE1\0\0", 6), 1);
}

int main(void) {
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
    return test_finish();
}
