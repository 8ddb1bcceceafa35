/* perplexity_test.c - losses of windows: those of transformers. */
#define _DEFAULT_SOURCE
#include "store/file.h"
#include "tests/model_folder.h"
#include "tests/tested_device.h"
#include "train/perplexity/perplexity.h"

static struct decoder_folder folder;
static struct device *device;
static struct decoder *decoder;
static struct token_list tokens;

/* The first 3,000 characters of a text. */
static void open_text(void) {
    struct tokenizer_state *state = NULL;
    struct bytes text;
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(file_read(TEST_FOLDER "/golden/texts/en.txt", &text, NULL), 0);
    CHECK_NUMBER(tokenizer_state_open(&state, folder.tokenizer, NULL), 0);
    size_t size = text.size < 3000 ? text.size : 3000;
    CHECK_NUMBER(
        tokenizer_encode(state, bytes_text(&text), size, TOKENIZER_ORDINARY, &tokens, NULL), 0);
    tokenizer_state_close(state);
    bytes_close(&text);
}

static void open_model(void) {
    struct error e = {0};
    device = tested_device_open(DTYPE_F32);
    if (decoder_folder_open(&folder, SMALL_MODEL, &e) < 0 ||
        decoder_open(&decoder, &folder, DECODER_F32, device, &e) < 0) {
        printf("Bail out! %s\n", e.text);
        exit(1);
    }
    open_text();
}

static struct perplexity_options options_of(int64_t window) {
    return (struct perplexity_options){
        .config = &folder.config, .parts = decoder_parts(decoder), .window = window, .begin = -1};
}

static void losses_are_those_of_transformers(void) {
    json_t *cases = json_load_file(TEST_FOLDER "/golden/perplexity/perplexity.json", 0, NULL), *one;
    size_t i;
    CHECK(json_array_size(cases) > 4);
    json_array_foreach(cases, i, one) {
        struct perplexity_options o =
            options_of(json_integer_value(json_object_get(one, "window")));
        struct perplexity_result r = {0};
        if (json_object_get(one, "adapter") != NULL) { /* t0621-perplexity.sh */
            continue;
        }
        double loss = json_real_value(json_object_get(one, "loss"));
        if (json_is_integer(json_object_get(one, "begin"))) {
            o.begin = (int32_t)json_integer_value(json_object_get(one, "begin"));
        }
        CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, (int64_t)tokens.count, &r, NULL),
                     0);
        CHECK_NUMBER(r.tokens, json_integer_value(json_object_get(one, "tokens")));
        CHECK_NUMBER(r.foreseen, json_integer_value(json_object_get(one, "foreseen")));
        /* Sums of F32: off by 4e-8 of it; one token in a wrong window by 1e-4. */
        CHECK_NEAR(r.loss, loss, 1e-6 * loss);
    }
    json_decref(cases);
}

static void texts_add_up(void) {
    struct perplexity_options o = options_of(32);
    struct perplexity_result whole = {0}, parts = {0};
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, 320, &whole, NULL), 0);
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, 64, &parts, NULL), 0);
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids + 64, 256, &parts, NULL), 0);
    CHECK(parts.tokens == whole.tokens && parts.foreseen == whole.foreseen);
    CHECK_NEAR(parts.loss, whole.loss, 1e-6 * whole.loss);
    CHECK_NUMBER(perplexity_measure(&o, device, NULL, 0, &parts, NULL), 0);
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, 1, &parts, NULL), 0);
    CHECK(parts.tokens == whole.tokens + 1 && parts.foreseen == whole.foreseen);
}

static void what_cannot_be_is_refused(void) {
    struct perplexity_options o = options_of(1);
    struct perplexity_result r = {0};
    struct error e = {0};
    const int32_t strange[] = {5, 300, 6}, negative[] = {-1};
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, 9, &r, &e), ERR_USAGE);
    o.window = 129;
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, 9, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "2 to 128 tokens") != NULL);
    o.window = 128;
    CHECK_NUMBER(perplexity_measure(&o, device, strange, 3, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "300 is not a token") != NULL);
    CHECK_NUMBER(perplexity_measure(&o, device, negative, 1, &r, &e), ERR_USAGE);
    volatile sig_atomic_t cancel = 1;
    o.cancel = &cancel;
    CHECK_NUMBER(perplexity_measure(&o, device, tokens.ids, 500, &r, &e), ERR_CANCELLED);
    CHECK(r.tokens == 0 && r.foreseen == 0 && r.loss == 0);
}

int main(void) {
    open_model();
    RUN(losses_are_those_of_transformers);
    RUN(texts_add_up);
    RUN(what_cannot_be_is_refused);
    token_list_close(&tokens);
    decoder_close(decoder);
    device_close(device);
    decoder_folder_close(&folder);
    return test_finish();
}
