/* An encoder that learns along: its tokens are those of the store, its gradients those of
 * differences through bridge and decoder, a stopped run goes on, what is shipped fits a store that
 * is made with it, and pages that are not the store's are refused. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <fcntl.h>

#include "compress/compress.h"
#include "compress/model.h"
#include "store/stream.h"
#include "tests/cpu_backend.h"
#include "tests/tape_device.h"
#include "tests/tune_store.h"
#include "train/tune/task.h"

enum { DIM = 16, WIDTH = 512, HEIGHT = 64, PAGE_CELLS = WIDTH / HEIGHT };

static const struct encoder_config SMALL = {.name = "small",
                                            .patch = 16,
                                            .grid = 32,
                                            .dim = 16,
                                            .depth = 1,
                                            .heads = 1,
                                            .mlp = 16,
                                            .window = 8,
                                            .neck = 16,
                                            .net_2 = 16,
                                            .net_3 = 16,
                                            .clip_dim = 16,
                                            .clip_depth = 1,
                                            .clip_heads = 1,
                                            .clip_mlp = 16,
                                            .clip_grid = 8,
                                            .token_dim = DIM,
                                            .token_norm = true};

/* ---- Pages and the store of them ------------------------------------------------------------- */

/* Grey, and something else in each cell. */
static void draw(struct bytes *out, int page) {
    uint64_t random = random_stream(5, (uint64_t)page);
    CHECK_NUMBER(bytes_printf(out, NULL, "P5\n%d %d\n255\n", WIDTH, HEIGHT), 0);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        const unsigned char pixel = (unsigned char)random_below(&random, 256);
        CHECK_NUMBER(bytes_append(out, &pixel, 1, NULL), 0);
    }
}

/* A post of an account, as `occ render` would leave it. */
static void write_post(struct stream_writer *w, int account, int post) {
    static const char *const WORDS[] = {"a monkey ", "opens ", "the box ", "and a cat ",
                                        "jumps ",    "in ",    "from ",    "the end"};
    char key[16];
    struct cell cells[PAGE_CELLS];
    struct bytes text, page, encoded;
    bytes_init(&text, 1 << 20);
    bytes_init(&page, 1 << 20);
    bytes_init(&encoded, 1 << 20);
    snprintf(key, sizeof key, "%c/%02d", 'a' + account, post);
    for (int i = 0; i < PAGE_CELLS; i++) {
        cells[i] = (struct cell){key, WORDS[(i * (account + 1) + post) % PAGE_CELLS]};
    }
    json_t *record = cell_record(cells, PAGE_CELLS, &text);
    json_t *first = json_array_get(json_object_get(record, "pages"), 0);
    json_object_set_new(record, "mode", json_string("tiny"));
    json_object_set_new(record, "profile", json_pack("{s:s}", "name", "cell10"));
    json_object_set_new(first, "member", json_string("page.000.pgm"));
    json_object_set_new(first, "characters", json_integer((json_int_t)text.size));
    json_t *sample =
        json_pack("{s:s, s:s%, s:I, s:s}", "id", key + 2, "account", key, (size_t)1, "created",
                  (json_int_t)FIRST_NIGHT + (json_int_t)(post * ACCOUNTS + account) * NIGHT,
                  "description", bytes_text(&text));
    char *json = json_dumps(sample, JSON_COMPACT), *pages = json_dumps(record, JSON_COMPACT);
    draw(&page, post * ACCOUNTS + account);
    const struct stream_member members[] = {{"json", json, strlen(json)},
                                            {"page.000.pgm", page.data, page.size},
                                            {"page.000.txt", bytes_text(&text), text.size},
                                            {"pages.json", pages, strlen(pages)}};
    CHECK_NUMBER(stream_encode(&encoded, key, members, sizeof members / sizeof *members, NULL), 0);
    CHECK_NUMBER(stream_write(w, encoded.data, encoded.size, NULL), 0);
    free(json);
    free(pages);
    json_decref(record);
    json_decref(sample);
    bytes_close(&text);
    bytes_close(&page);
    bytes_close(&encoded);
}

static void write_pages(const char *path, int posts) {
    struct stream_writer *w = NULL;
    const struct stream_counts counts = {.samples = (int64_t)posts * ACCOUNTS};
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    CHECK_NUMBER(stream_writer_open(&w, fd, "occ-render test", NULL, NULL, NULL), 0);
    for (int account = 0; account < ACCOUNTS; account++) {
        for (int i = 0; i < posts; i++) {
            write_post(w, account, i);
        }
    }
    CHECK_NUMBER(stream_writer_finish(w, &counts, NULL, NULL), 0);
    stream_writer_close(w);
    close(fd);
}

static char pages_path[] = "pages.tar";

static void compress_pages(const char *path, const char *model_path) {
    struct compress_options o = COMPRESS_DEFAULTS;
    char *paths[] = {pages_path};
    struct compress_input in = {.streams = NULL};
    struct compress_result result;
    struct encoder *encoder = NULL;
    struct store *s = NULL;
    struct error e = {0};
    o.threads = 1;
    folder_remove(path);
    must(encoder_open(&encoder, model_path, NULL, cpu_backend(), DTYPE_F32, &e), &e);
    const struct store_encoder name = {
        .fingerprint = encoder_fingerprint(encoder), .name = "small", .dim = DIM};
    must(store_open_write(&s, path, &name, &e), &e);
    must(stream_reader_open_files(&in.streams, paths, 1, NULL, &e), &e);
    must(compress_run(encoder, s, &in, &o, NULL, &result, &e), &e);
    put_nesting(s);
    must(store_commit(s, &e), &e);
    stream_reader_close(in.streams);
    store_close(s);
    encoder_close(encoder);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

struct pages {
    struct posts posts;
    struct page_images *images;
};

/* Those of a week ago halved, where `tau` is a day's seconds or so. */
static struct pages open_pages(const char *store, double tau) {
    struct pages p = {.images = NULL};
    char *paths[] = {pages_path};
    struct error e = {0};
    const struct layout_options o = {.model = &model,
                                     .kind = CONTEXT_VISUAL,
                                     .positions = 28,
                                     .row = 160,
                                     .expand = 1,
                                     .tau_seconds = tau,
                                     .held_out = 0.2,
                                     .seed = 3};
    must(history_open(&p.posts.history, store, NULL, NULL, &e), &e);
    must(layout_open(&p.posts.layout, &o, p.posts.history, NULL, &e), &e);
    must(page_images_open(&p.images, p.posts.history, false, paths, 1, NULL, &e), &e);
    p.posts.data = (struct tune_data){
        .layout = p.posts.layout, .history = p.posts.history, .images = p.images};
    return p;
}

static void close_pages(struct pages *p) {
    page_images_close(p->images);
    close_posts(&p->posts);
}

static struct tune_options encoder_options(void) {
    struct tune_options o = context_options(TUNE_LORA);
    o.adapter = NULL;
    o.bridge.encoder = "small.safetensors";
    o.bridge.options = (struct bridge_options){.kind = BRIDGE_LINEAR, .expand = 1, .buckets = 3};
    o.encoder_rate = 1;
    return o;
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* A task and a thread of it, without a trainer. */
struct bench {
    struct tune_task k;
    struct tape *tape;
    struct parameters *parameters;
    struct gradients gradients;
    struct tensor frequency, loss;
    struct tune_space space;
    struct tune_encoded *encoded;
    struct context_row row;
};

static void open_bench(struct bench *b, const struct tune_options *o, const struct pages *p,
                       int64_t row) {
    struct error e = {0};
    *b = (struct bench){.tape = open_tape(NULL, DTYPE_F32, NULL)};
    b->k = (struct tune_task){.options = o,
                              .config = &model.config,
                              .model = &model,
                              .data = p->posts.data,
                              .device = tape_device(b->tape)};
    must(tune_start_open(&b->k, &e), &e);
    must(tune_open_decoder(&b->k, &b->k.base, &e), &e);
    must(tune_start_bridge(&b->k, &e), &e);
    must(parameters_open(&b->parameters, b->k.device, &e), &e);
    must(tune_task_list(&b->k, b->parameters, &e), &e);
    must(parameters_allocate(b->parameters, &e), &e);
    must(tune_task_fill(&b->k, b->parameters, &e), &e);
    must(gradients_open(&b->gradients, b->parameters, b->k.device, &e), &e);
    must(tune_pass_tensors(b->k.device, b->k.config, &b->frequency, &b->loss, &e), &e);
    must(tune_space_open(&b->space, &b->k.data, &e), &e);
    must(tune_encoded_open(&b->encoded, &b->k, b->space.layout, &e), &e);
    must(tune_row(&b->k.data, &b->space, CORPUS_TRAINING, 0, row, &b->row, &e), &e);
}

static void close_bench(struct bench *b) {
    struct device *d = b->k.device;
    tune_encoded_close(b->encoded);
    tune_space_close(&b->space);
    d->ops->release(d, &b->frequency);
    d->ops->release(d, &b->loss);
    gradients_close(&b->gradients);
    parameters_close(b->parameters);
    decoder_close(b->k.base);
    tune_start_close(&b->k);
    close_tape(b->tape);
}

/* The row's loss, made from pages or as stored; with gradients where `back`. */
static double pass(struct bench *b, bool from_pages, bool back) {
    struct error e = {0};
    float loss = 0;
    struct device *d = b->k.device;
    const struct tape_source source =
        back ? gradients_source(&b->gradients) : parameters_source(b->parameters);
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    const struct tune_pass p = {.task = &b->k,
                                .source = &source,
                                .frequency = &b->frequency,
                                .loss = &b->loss,
                                .scale = back ? 1 : 0,
                                .encoded = from_pages ? b->encoded : NULL};
    must(d->ops->fill(d, &b->loss, 0, &e), &e);
    must(tune_pass_row(&p, &b->row, b->tape, &e), &e);
    must(d->ops->download(d, &host, &b->loss, &e), &e);
    return (double)loss;
}

/* The row of the most visual tokens. */
static int64_t row_of_most(const struct pages *p) {
    struct tune_space space;
    struct context_row row;
    struct error e = {0};
    int64_t best = 0, most = -1;
    must(tune_space_open(&space, &p->posts.data, &e), &e);
    for (int64_t i = 0; i < layout_counts(p->posts.layout, CORPUS_TRAINING).rows; i++) {
        must(tune_row(&p->posts.data, &space, CORPUS_TRAINING, 0, i, &row, &e), &e);
        int64_t groups = row.visual_count * 1000;
        for (int64_t k = 0; k < row.visual_count; k++) {
            groups += row.visual[k].count;
        }
        best = groups > most ? i : best;
        most = groups > most ? groups : most;
    }
    tune_space_close(&space);
    return best;
}

/* Along a parameter's own gradient the loss must change as fast as that is long. */
static void check_slope(struct bench *b, const char *name) {
    struct error e = {0};
    const struct parameter *one = parameters_find(b->parameters, name);
    if (!CHECK(one != NULL)) {
        return;
    }
    const size_t index = parameters_index(b->parameters, one);
    const size_t count = (size_t)tensor_spec_count(&one->spec);
    float *values = malloc(count * sizeof *values), *moved = malloc(count * sizeof *moved);
    float *gradient = malloc(count * sizeof *gradient);
    double norm = 0, sides[2];
    must(parameters_read(b->parameters, index, values, &e), &e);
    download_floats(b->tape, gradient, &b->gradients.list[index]);
    for (size_t i = 0; i < count; i++) {
        norm += (double)gradient[i] * (double)gradient[i];
    }
    norm = sqrt(norm);
    CHECK(norm > 1e-4);
    const double step = fmin(0.02, 0.05 / norm);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++) {
            moved[i] = values[i] + (float)((side == 0 ? -step : step) * (double)gradient[i] / norm);
        }
        must(parameters_set(b->parameters, index, moved, &e), &e);
        sides[side] = pass(b, true, false);
    }
    must(parameters_set(b->parameters, index, values, &e), &e);
    if (!CHECK_NEAR((sides[1] - sides[0]) / (2 * step) / norm, 1, 0.03)) {
        printf("# %s: |gradient| %g\n", name, norm);
    }
    free(values);
    free(moved);
    free(gradient);
}

static void check_row(double tau, int64_t groups) {
    static const char *const NAMES[] = {CONFIG_PATCH_WEIGHT,
                                        CONFIG_PATCH_BIAS,
                                        "model.sam_model.pos_embed",
                                        "model.sam_model.blocks.0.attn.qkv.weight",
                                        "model.sam_model.net_3.weight",
                                        "model.vision_model.transformer.layers.0.mlp.fc1.weight",
                                        "model.projector.layers.weight",
                                        "model.token_norm.weight"};
    struct pages p = open_pages("store", tau);
    const struct tune_options o = encoder_options();
    struct bench b;
    open_bench(&b, &o, &p, row_of_most(&p));
    CHECK_NUMBER(b.row.visual_count, groups);
    const double stored = pass(&b, false, false), made = pass(&b, true, false);
    CHECK(stored > 1);
    CHECK_NEAR(made / stored, 1, 1e-3); /* the store's are rounded to BF16 */
    CHECK_NEAR(pass(&b, true, true), made, 1e-4);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        check_slope(&b, NAMES[i]);
    }
    close_bench(&b);
    close_pages(&p);
}

static void tokens_and_gradients_are_right(void) {
    check_row(0, 1);
}

static void so_they_are_of_halved_tokens(void) {
    check_row(5 * NIGHT, 2);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void check_same_run(const char *a, const char *b) {
    static const char *const FILES[] = {"checkpoint.safetensors", "metrics.ndjson", SHIPPED,
                                        "adapter/" BRIDGE_FILE, "adapter/" TUNE_ENCODER};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char x[64], y[64];
        snprintf(x, sizeof x, "%s/%s", a, FILES[i]);
        snprintf(y, sizeof y, "%s/%s", b, FILES[i]);
        if (!CHECK(same_file(x, y))) {
            printf("# %s\n", FILES[i]);
        }
    }
}

static void the_device_is_no_matter(void) {
    struct pages p = open_pages("store", 5 * NIGHT);
    struct tune_options o = encoder_options();
    struct tune_result r;
    o.trainer.schedule.steps = 2;
    if (!tested_is_cpu()) {
        o.trainer.folder = "tested";
        tune_all_posts(&o, &p.posts, &r);
        o.trainer.folder = "cpu";
        o.trainer.device = "cpu";
        tune_all_posts(&o, &p.posts, &r);
        check_runs("cpu", "tested", "encoder");
        folder_remove("tested");
        folder_remove("cpu");
    }
    close_pages(&p);
}

static void a_stopped_run_ends_with_the_same_bytes(void) {
    struct pages p = open_pages("store", 0);
    struct tune_options o = encoder_options();
    struct tune_result r;
    struct error e = {0};
    o.trainer.schedule.steps = 6;
    tune_all_posts(&o, &p.posts, &r);
    CHECK(r.best < r.before);
    CHECK(!tested_is_foreseen() ||
          ledger_total(r.run.ledger.measured) * 10 <= ledger_total(r.run.ledger.predicted) * 11);
    o.trainer.folder = "stopped";
    for (int64_t stop = 2; stop < 6; stop += 2) {
        o.trainer.stop_at = stop;
        CHECK_NUMBER(tune_posts(&o, &p.posts, NULL, &r, &e), ERR_CANCELLED);
    }
    o.trainer.stop_at = 0;
    tune_all_posts(&o, &p.posts, &r);
    check_same_run("run", "stopped");
    close_pages(&p);
    folder_remove("stopped");
}

/* The bridge asks for tokens of the encoder beside it, which has learned. */
static void what_is_shipped_fits_a_store_of_its_own(void) {
    struct bridge_folder bridge = {.path = NULL};
    struct model_info before, after;
    struct error e = {0};
    must(bridge_folder_open(&bridge, "run/adapter", &e), &e);
    must(model_info(&before, "small.safetensors", &e), &e);
    must(model_info(&after, "run/adapter/" TUNE_ENCODER, &e), &e);
    CHECK(after.fingerprint == bridge.options.encoder && after.fingerprint != before.fingerprint);
    CHECK_NUMBER(after.parameters, before.parameters);
    compress_pages("another", "run/adapter/" TUNE_ENCODER);
    struct pages p = open_pages("another", 0);
    struct tune_options o = encoder_options();
    struct tune_result r;
    o.adapter = "run/adapter";
    o.bridge.encoder = "run/adapter/" TUNE_ENCODER;
    o.trainer.folder = "further";
    o.trainer.schedule.steps = 1;
    tune_all_posts(&o, &p.posts, &r);
    close_pages(&p);
    p = open_pages("store", 0); /* tokens of what it was */
    o.trainer.folder = "other";
    CHECK_NUMBER(tune_posts(&o, &p.posts, NULL, &r, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "reads another's") != NULL);
    close_pages(&p);
    bridge_folder_close(&bridge);
}

/* ---- Other pages ----------------------------------------------------------------------------- */

static void refuse(int rc, const char *because) {
    struct history *h = NULL;
    struct page_images *images = NULL;
    char *paths[] = {pages_path};
    struct error e = {0};
    must(history_open(&h, "store", NULL, NULL, &e), &e);
    CHECK_NUMBER(page_images_open(&images, h, false, paths, 1, NULL, &e), rc);
    CHECK(images == NULL);
    if (!CHECK(strstr(e.text, because) != NULL)) {
        printf("# %s\n", e.text);
    }
    history_close(h);
}

static void pages_that_are_not_the_stores_are_refused(void) {
    write_pages(pages_path, POSTS - 1);
    refuse(ERR_FORMAT, "is in no stream");
    CHECK_NUMBER(truncate(pages_path, 100000), 0);
    refuse(ERR_TRUNCATED, "pages.tar");
    write_pages(pages_path, POSTS);
}

int main(void) {
    struct error e = {0};
    tune_begin("tune_encoder_test");
    must(model_init("small.safetensors", &SMALL, 3, DTYPE_F32, &e), &e);
    write_pages(pages_path, POSTS);
    compress_pages("store", "small.safetensors");
    RUN(tokens_and_gradients_are_right);
    RUN(so_they_are_of_halved_tokens);
    RUN(the_device_is_no_matter);
    RUN(a_stopped_run_ends_with_the_same_bytes);
    RUN(what_is_shipped_fits_a_store_of_its_own);
    RUN(pages_that_are_not_the_stores_are_refused);
    tune_end();
    return test_finish();
}
