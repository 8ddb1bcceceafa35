/* safetensors_test.c - files of named tensors: those of others, our own, and hostile ones. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "store/file.h"
#include "store/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>

#include "compress/model.h"
#include "tests/store_folder.h"

static char folder[64];

static const char *in_folder(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const void *data, size_t size) {
    FILE *file = fopen(in_folder(name), "wb");
    if (!CHECK(file != NULL) || !CHECK(fwrite(data, 1, size, file) == size)) {
        exit(1);
    }
    fclose(file);
}

/* A file of a header and `size` bytes of data after it. */
static void write_header(const char *name, const char *header, size_t size) {
    unsigned char bytes[8192] = {0};
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(length >> 8 * i);
    }
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < size; i++) {
        bytes[8 + length + i] = (unsigned char)i;
    }
    write_bytes(name, bytes, 8 + length + size);
}

static void expect_fault(const char *header, size_t size, int code, const char *want) {
    struct safetensors *s;
    struct error e = {0};
    write_header("bad", header, size);
    CHECK_NUMBER(safetensors_open(&s, in_folder("bad"), &e), code);
    if (!CHECK(strstr(e.text, want) != NULL)) {
        printf("# %s: %s\n", header, e.text);
    }
}

/* ---- Files of others -------------------------------------------------------------------- */

static void a_file_of_the_official_writer_is_read(void) {
    struct safetensors *s;
    float first;
    if (!CHECK_NUMBER(
            safetensors_open(&s, TEST_FOLDER "/golden/encoder/golden_small.safetensors", NULL),
            0)) {
        return;
    }
    const struct safetensor *tokens = safetensors_find(s, "tokens");
    CHECK(tokens != NULL && tokens->type == DTYPE_F32 && tokens->rank == 2);
    CHECK(tokens != NULL && tokens->shape[0] == 4 && tokens->shape[1] == 80);
    CHECK(tokens != NULL && tokens->bytes == 4 * 80 * 4);
    memcpy(&first, tokens->data, sizeof first);
    CHECK(isfinite(first) && first != 0);
    CHECK_TEXT(safetensors_metadata(s, "case"), "small");
    CHECK(safetensors_metadata(s, "nothing") == NULL);
    CHECK(safetensors_find(s, "nothing") == NULL);
    for (size_t i = 1; i < safetensors_count(s); i++) {
        const char *before = safetensors_get(s, i - 1)->data;
        CHECK(before < (const char *)safetensors_get(s, i)->data);
    }
    safetensors_close(s);
}

/* ---- Our own ---------------------------------------------------------------------------- */

static const int8_t SMALL[] = {-1, 2, 3};
static const float WIDE[] = {1, -2.5f, 3e-40f, INFINITY};
static const uint16_t HALF[] = {0x3C00, 0x0001, 0x7BFF};

static void what_is_written_comes_back_the_same_each_time(void) {
    const struct safetensor tensors[] = {
        {.name = "small", .type = DTYPE_I8, .rank = 1, .shape = {3}, .data = SMALL, .bytes = 3},
        {.name = "wide", .type = DTYPE_F32, .rank = 2, .shape = {2, 2}, .data = WIDE, .bytes = 16},
        {.name = "half", .type = DTYPE_F16, .rank = 1, .shape = {3}, .data = HALF, .bytes = 6},
        {.name = "empty", .type = DTYPE_F32, .rank = 2, .shape = {0, 4}, .data = "", .bytes = 0},
        {.name = "scalar", .type = DTYPE_F32, .rank = 0, .data = WIDE, .bytes = 4}};
    const struct safetensor turned[] = {tensors[4], tensors[3], tensors[2], tensors[1], tensors[0]};
    struct safetensors *s;
    json_t *metadata = json_pack("{s:s}", "who", "we");
    CHECK_NUMBER(safetensors_write(in_folder("a"), tensors, 5, metadata, NULL), 0);
    CHECK_NUMBER(safetensors_write(in_folder("b"), turned, 5, metadata, NULL), 0);
    json_decref(metadata);
    CHECK_NUMBER(safetensors_open(&s, in_folder("a"), NULL), 0);
    CHECK_NUMBER(safetensors_count(s), 5);
    for (int i = 0; i < 5; i++) {
        const struct safetensor *t = safetensors_find(s, tensors[i].name);
        CHECK(t != NULL && t->type == tensors[i].type && t->rank == tensors[i].rank &&
              t->bytes == tensors[i].bytes && memcmp(t->data, tensors[i].data, t->bytes) == 0);
    }
    CHECK((uintptr_t)safetensors_find(s, "wide")->data % 4 == 0);
    CHECK_TEXT(safetensors_metadata(s, "who"), "we");
    safetensors_close(s);
    FILE *one = fopen(in_folder("a"), "rb"), *two = NULL;
    two = fopen(in_folder("b"), "rb");
    int byte = 0;
    while (one != NULL && two != NULL && byte != EOF) {
        byte = fgetc(one);
        CHECK_NUMBER(fgetc(two), byte);
    }
    fclose(one);
    fclose(two);
}

/* store F15: tensors that are put one by one, in any order, give the same file. */
static void tensors_put_one_by_one_give_the_same_file(void) {
    static const float VALUES[3][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
    struct safetensor tensors[] = {
        {.name = "b", .type = DTYPE_F32, .rank = 1, .shape = {4}, .data = VALUES[0], .bytes = 16},
        {.name = "half",
         .type = DTYPE_BF16,
         .rank = 1,
         .shape = {8},
         .data = VALUES[1],
         .bytes = 16},
        {.name = "a", .type = DTYPE_F32, .rank = 1, .shape = {3}, .data = VALUES[2], .bytes = 12}};
    struct safetensors_writer *w;
    struct bytes whole, parts;
    struct error e;
    bytes_init(&whole, 1 << 16);
    bytes_init(&parts, 1 << 16);
    CHECK_NUMBER(safetensors_write(in_folder("whole"), tensors, 3, NULL, NULL), 0);
    CHECK_NUMBER(safetensors_writer_open(&w, in_folder("parts"), tensors, 3, NULL, NULL), 0);
    for (size_t i = 3; i-- > 0;) {
        CHECK_NUMBER(safetensors_writer_put(w, i, VALUES[i], NULL, NULL), 0);
    }
    CHECK_NUMBER(file_read(in_folder("parts"), &parts, NULL),
                 ERR_IO); /* not before it is complete */
    CHECK_NUMBER(safetensors_writer_commit(w, NULL), 0);
    CHECK_NUMBER(file_read(in_folder("whole"), &whole, NULL), 0);
    CHECK_NUMBER(file_read(in_folder("parts"), &parts, NULL), 0);
    CHECK(whole.size == parts.size && memcmp(whole.data, parts.data, whole.size) == 0);
    CHECK_NUMBER(safetensors_writer_open(&w, in_folder("none"), tensors, 3, NULL, NULL), 0);
    safetensors_writer_close(w); /* given up */
    CHECK_NUMBER(file_read(in_folder("none"), &parts, NULL), ERR_IO);
    tensors[2].name = "b";
    CHECK_NUMBER(safetensors_writer_open(&w, in_folder("none"), tensors, 3, NULL, &e), ERR_USAGE);
    CHECK_TEXT(e.text, "b: appears twice");
    bytes_close(&whole);
    bytes_close(&parts);
}

static void a_file_cut_anywhere_is_refused(void) {
    const struct safetensor t = {
        .name = "wide", .type = DTYPE_F32, .rank = 2, .shape = {2, 2}, .data = WIDE, .bytes = 16};
    unsigned char bytes[4096];
    struct safetensors *s;
    CHECK_NUMBER(safetensors_write(in_folder("a"), &t, 1, NULL, NULL), 0);
    FILE *file = fopen(in_folder("a"), "rb");
    size_t size = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    fclose(file);
    for (size_t cut = 0; cut < size; cut++) {
        write_bytes("cut", bytes, cut);
        CHECK(safetensors_open(&s, in_folder("cut"), NULL) < 0);
    }
}

/* ---- Shards and folders -------------------------------------------------------------------- */

static void shards_and_folders_are_opened_as_one(void) {
    static const char INDEX[] =
        "{\"weight_map\": {\"x\": \"1.safetensors\", \"y\": \"2.safetensors\"}}";
    struct safetensors *s;
    struct error e;
    write_header("1.safetensors", "{\"x\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                 2);
    write_header("2.safetensors", "{\"y\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
                 3);
    CHECK_NUMBER(safetensors_open(&s, folder, &e), ERR_FORMAT); /* which of them? */
    write_bytes("model.safetensors.index.json", INDEX, sizeof INDEX - 1);
    CHECK_NUMBER(safetensors_open(&s, folder, &e), 0);
    CHECK(safetensors_find(s, "x") != NULL && safetensors_find(s, "y")->bytes == 3);
    safetensors_close(s);
    static const char *const BAD[][2] = {
        {"{\"weight_map\": {\"x\": \"../1.safetensors\"}}", "is not next to the index"},
        {"{\"weight_map\": {\"z\": \"1.safetensors\"}}", "z is not in 1.safetensors"},
        {"{\"weight_map\": {\"x\": \"3.safetensors\"}}", "3.safetensors: No such file"},
        {"{}", "no weight_map"},
        {"[", "not an index"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        write_bytes("model.safetensors.index.json", BAD[i][0], strlen(BAD[i][0]));
        CHECK(safetensors_open(&s, folder, &e) < 0);
        if (!CHECK(strstr(e.text, BAD[i][1]) != NULL)) {
            printf("# %s\n", e.text);
        }
    }
    unlink(in_folder("model.safetensors.index.json"));
    unlink(in_folder("1.safetensors"));
    CHECK_NUMBER(safetensors_open(&s, folder, &e), 0); /* the only one left */
    CHECK(safetensors_find(s, "y") != NULL);
    safetensors_close(s);
}

/* ---- Hostile headers ----------------------------------------------------------------------- */

#define ENTRY(shape, offsets)                                                                      \
    "{\"t\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void hostile_headers_are_refused(void) {
    static const unsigned char LONG[16] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    struct safetensors *s;
    write_bytes("bad", LONG, sizeof LONG);
    CHECK_NUMBER(safetensors_open(&s, in_folder("bad"), NULL), ERR_LIMIT);
    expect_fault("[]", 0, ERR_FORMAT, "not a JSON object");
    expect_fault("{", 0, ERR_FORMAT, "not a JSON object");
    expect_fault(ENTRY("[2]", "[0,8]"), 7, ERR_FORMAT, "past the end of the file");
    expect_fault(ENTRY("[2]", "[0,8]"), 9, ERR_FORMAT, "bytes after the last tensor");
    expect_fault(ENTRY("[2]", "[4,12]"), 12, ERR_FORMAT, "has a hole before it");
    expect_fault(ENTRY("[2]", "[8,0]"), 8, ERR_FORMAT, "not a pair of offsets");
    expect_fault(ENTRY("[2]", "[-4,4]"), 8, ERR_FORMAT, "not a pair of offsets");
    expect_fault(ENTRY("[2]", "[0]"), 8, ERR_FORMAT, "not a pair of offsets");
    expect_fault(ENTRY("[3]", "[0,8]"), 8, ERR_FORMAT, "do not fit its shape");
    expect_fault(ENTRY("[4611686018427387904,4]", "[0,0]"), 0, ERR_FORMAT, "other than sizes");
    expect_fault(ENTRY("[-1,-8]", "[0,32]"), 32, ERR_FORMAT, "other than sizes");
    expect_fault(ENTRY("[2.0]", "[0,8]"), 8, ERR_FORMAT, "other than sizes");
    expect_fault(ENTRY("[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8, ERR_FORMAT, "at most 8 sizes");
    expect_fault(ENTRY("\"2\"", "[0,8]"), 8, ERR_FORMAT, "at most 8 sizes");
    expect_fault("{\"t\":{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, ERR_FORMAT,
                 "dtype is unknown");
    expect_fault("{\"t\":7}", 0, ERR_FORMAT, "dtype is unknown");
    expect_fault("{\"t\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                 "\"u\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
                 6, ERR_FORMAT, "overlaps another");
    expect_fault("{\"t\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"t\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                 2, ERR_FORMAT, "not a JSON object");
}

static void types_that_we_lack_are_listed(void) {
    struct safetensors *s;
    write_header("f64", "{\"t\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}}", 16);
    CHECK_NUMBER(safetensors_open(&s, in_folder("f64"), NULL), 0);
    CHECK(safetensors_find(s, "t")->type == DTYPE_COUNT && safetensors_find(s, "t")->bytes == 16);
    safetensors_close(s);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static void every_half_comes_back(void) {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits, back;
        float value;
        dtype_to_float(&value, &half, DTYPE_F16, 1);
        dtype_from_float(&back, DTYPE_F16, &value, 1);
        bool is_nan = (bits & 0x7C00) == 0x7C00 && (bits & 0x3FF) != 0;
        CHECK(is_nan ? isnan(value) && (back & 0x7C00) == 0x7C00 && (back & 0x3FF) != 0
                     : back == half);
        dtype_to_float(&value, &half, DTYPE_BF16, 1);
        dtype_from_float(&back, DTYPE_BF16, &value, 1);
        CHECK(isnan(value) ? (back & 0x7F80) == 0x7F80 && (back & 0x7F) != 0 : back == half);
    }
    static const struct {
        float value;
        uint16_t half;
    } ROUNDED[] = {
        {1.0f + 0x1p-11f, 0x3C00}, /* half way: to even */
        {1.0f + 3 * 0x1p-11f, 0x3C02}, {65519.0f, 0x7BFF}, {65520.0f, 0x7C00}, {0x1p-25f, 0x0000},
        {0x1.8p-25f, 0x0001},          {-0x1p-24f, 0x8001}};
    for (size_t i = 0; i < sizeof ROUNDED / sizeof *ROUNDED; i++) {
        uint16_t half;
        dtype_from_float(&half, DTYPE_F16, &ROUNDED[i].value, 1);
        CHECK_NUMBER(half, ROUNDED[i].half);
    }
}

/* store F16: tensors of types that we do not compute with do not cost us those beside them. F4 and
 * F6 count bits. */
static void all_types_of_the_format_are_passed_over(void) {
    static const struct {
        const char *type;
        int elements, bytes;
    } TYPES[] = {{"F4", 4, 2},          {"F6_E2M3", 4, 3}, {"F6_E3M2", 8, 6}, {"F8_E4M3", 2, 2},
                 {"F8_E5M2", 2, 2},     {"F8_E8M0", 2, 2}, {"C64", 1, 8},     {"F8_E4M3FNUZ", 3, 3},
                 {"F8_E5M2FNUZ", 3, 3}, {"BOOL", 1, 1},    {"U64", 1, 8},     {"F4", 0, 0}};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        char header[512];
        struct safetensors *s;
        snprintf(header, sizeof header,
                 "{\"other\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%d]},"
                 "\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[%d,%d]}}",
                 TYPES[i].type, TYPES[i].elements, TYPES[i].bytes, TYPES[i].bytes,
                 TYPES[i].bytes + 2);
        write_header("types", header, (size_t)TYPES[i].bytes + 2);
        if (!CHECK_NUMBER(safetensors_open(&s, in_folder("types"), NULL), 0)) {
            printf("# %s\n", TYPES[i].type);
            continue;
        }
        CHECK(safetensors_find(s, "other")->type == DTYPE_COUNT);
        CHECK_NUMBER(safetensors_find(s, "other")->bytes, TYPES[i].bytes);
        CHECK(memcmp(safetensors_find(s, "t")->data,
                     (const unsigned char *)safetensors_find(s, "other")->data + TYPES[i].bytes,
                     2) == 0);
        safetensors_close(s);
    }
    expect_fault("{\"t\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, ERR_FORMAT,
                 "within a byte");
    expect_fault("{\"t\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, ERR_FORMAT,
                 "do not fit");
    expect_fault("{\"t\":{\"dtype\":\"F6_E2M3\",\"shape\":[4611686018427387904],"
                 "\"data_offsets\":[0,0]}}",
                 0, ERR_FORMAT, "other than sizes");
}

/* ---- Encoders -------------------------------------------------------------------------------- */

/* store F17: what encoder_open would refuse is not described as an encoder. */
static void only_whole_encoders_are_described(void) {
    static const struct {
        const char *header;
        int size;
        const char *want;
    } FILES[] = {
        {"{\"model.embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, "holds no encoder"},
        {"{}", 0, "holds no encoder"},
        {"{\"model.image_newline\":{\"dtype\":\"F32\",\"shape\":[1280],\"data_offsets\":[0,5120]}}",
         5120, "474 tensors are missing"},
        {"{\"model.image_newline\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "model.image_newline is 1, should be 1280"},
    };
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        struct model_info info;
        struct error e = {0};
        write_header("other", FILES[i].header, (size_t)FILES[i].size);
        CHECK_NUMBER(model_info(&info, in_folder("other"), &e), ERR_FORMAT);
        if (!CHECK(strstr(e.text, FILES[i].want) != NULL)) {
            printf("# %s\n", e.text);
        }
    }
}

static void new_encoders_are_those_of_their_seed(void) {
    struct encoder_config config;
    struct model_info info;
    struct safetensors *a, *b, *c;
    CHECK_NUMBER(config_named(&config, "nano", NULL), 0);
    CHECK_NUMBER(model_init(in_folder("m1"), &config, 1, DTYPE_BF16, NULL), 0);
    CHECK_NUMBER(model_init(in_folder("m2"), &config, 1, DTYPE_BF16, NULL), 0);
    CHECK_NUMBER(model_init(in_folder("m3"), &config, 2, DTYPE_F32, NULL), 0);
    CHECK_NUMBER(model_info(&info, in_folder("m1"), NULL), 0);
    CHECK(info.has_config && info.others == 0 && info.config.token_norm);
    CHECK(memcmp(&info.config, &config, sizeof config) == 0);
    CHECK_NUMBER(info.bytes[DTYPE_BF16], 2 * info.parameters);
    CHECK(safetensors_open(&a, in_folder("m1"), NULL) == 0 &&
          safetensors_open(&b, in_folder("m2"), NULL) == 0 &&
          safetensors_open(&c, in_folder("m3"), NULL) == 0);
    const char *name = "model.sam_model.blocks.0.attn.qkv.weight";
    const struct safetensor *x = safetensors_find(a, name), *y = safetensors_find(b, name);
    const struct safetensor *z = safetensors_find(c, name);
    CHECK(memcmp(x->data, y->data, x->bytes) == 0 && z->bytes == 2 * x->bytes);
    double squares = 0;
    for (size_t i = 0; i < z->bytes / 4; i++) {
        float value;
        memcpy(&value, (const char *)z->data + 4 * i, sizeof value);
        squares += (double)value * (double)value;
    }
    CHECK_NEAR(squares / (double)(z->bytes / 4) * (double)config.dim, 1, 0.02);
    safetensors_close(a);
    safetensors_close(b);
    safetensors_close(c);
}

static void the_published_configuration_has_the_published_tensors(void) {
    struct encoder_config config;
    struct error e;
    CHECK_NUMBER(config_named(&config, "deepencoder", NULL), 0);
    CHECK_NUMBER(config_named(&config, "huge", &e), ERR_USAGE);
    json_t *json = config_json(&config);
    char *text = json_dumps(json, 0);
    struct encoder_config back;
    CHECK(text != NULL && config_parse(&back, text, NULL) == 0);
    CHECK(memcmp(&back, &config, sizeof config) == 0);
    free(text);
    json_decref(json);
}

static int add_up(void *context, const struct tensor_spec *t, struct error *e) {
    int64_t *sums = context, elements = 1;
    (void)e;
    for (int i = 0; i < t->rank; i++) {
        elements *= t->shape[i];
    }
    sums[0]++;
    sums[1] += elements;
    return 0;
}

static void there_are_476_tensors_of_401_million_parameters(void) {
    struct encoder_config config;
    int64_t sums[2] = {0};
    CHECK_NUMBER(config_named(&config, "deepencoder", NULL), 0);
    CHECK_NUMBER(config_tensors(&config, add_up, sums, NULL), 0);
    CHECK_NUMBER(sums[0], 476);
    CHECK_NUMBER(sums[1], 401372160);
}

int main(void) {
    snprintf(folder, sizeof folder, "/tmp/occ-tensors-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    RUN(a_file_of_the_official_writer_is_read);
    RUN(what_is_written_comes_back_the_same_each_time);
    RUN(tensors_put_one_by_one_give_the_same_file);
    RUN(a_file_cut_anywhere_is_refused);
    RUN(shards_and_folders_are_opened_as_one);
    RUN(hostile_headers_are_refused);
    RUN(types_that_we_lack_are_listed);
    RUN(all_types_of_the_format_are_passed_over);
    RUN(every_half_comes_back);
    RUN(only_whole_encoders_are_described);
    RUN(new_encoders_are_those_of_their_seed);
    RUN(the_published_configuration_has_the_published_tensors);
    RUN(there_are_476_tensors_of_401_million_parameters);
    folder_remove(folder);
    return test_finish();
}
