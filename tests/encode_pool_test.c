/* encode_pool_test.c - pages through the pool: on a processor, and on one that passes for a GPU,
 * whose memory has an end and is not the host's. */
#define _DEFAULT_SOURCE /* usleep, mkstemp */
#include "compress/encode_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "compress/cpu/ops.h"
#include "compress/model.h"
#include "store/clock.h"
#include "tests/cpu_backend.h"

enum { SIDE = 512, MOST_PAGES = 3, MEGABYTE = 1 << 20 };

/* ---- A processor that passes for a GPU ------------------------------------------------------- */

static struct backend gpu;
static struct ops gpu_ops;
static struct {
    pthread_mutex_t lock;
    size_t taken, capacity, told; /* told: as what is left; 0: the truth */
    int64_t asked, fails;         /* allocations; the one that fails */
    int64_t refused, most_pages;  /* allocations; pages that went together */
    int64_t host;                 /* memory of the host that is held */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void gpu_begin(size_t capacity) {
    pthread_mutex_lock(&state.lock);
    state.taken = state.told = 0;
    state.asked = state.fails = state.refused = state.most_pages = 0;
    state.capacity = capacity;
    pthread_mutex_unlock(&state.lock);
}

static int gpu_alloc(struct device *d, struct tensor *out, struct error *e) {
    const size_t bytes = tensor_bytes(out);
    pthread_mutex_lock(&state.lock);
    const bool fits = ++state.asked != state.fails && state.taken + bytes <= state.capacity;
    state.taken += fits ? bytes : 0;
    state.refused += !fits;
    pthread_mutex_unlock(&state.lock);
    out->data = NULL;
    return fits ? cpu_alloc(d, out, e) : error_set(e, ERR_MEMORY, "out of GPU memory");
}

static void gpu_release(struct device *d, struct tensor *t) {
    if (t->data != NULL) {
        pthread_mutex_lock(&state.lock);
        state.taken -= tensor_bytes(t);
        pthread_mutex_unlock(&state.lock);
    }
    cpu_release(d, t);
}

static int gpu_pixels(struct device *d, const struct tensor *out, const struct tensor *x,
                      const float mean[3], const float deviation[3], struct error *e) {
    pthread_mutex_lock(&state.lock);
    state.most_pages = x->shape[0] > state.most_pages ? x->shape[0] : state.most_pages;
    pthread_mutex_unlock(&state.lock);
    return cpu_normalize_pixels(d, out, x, mean, deviation, e);
}

static int gpu_open(struct device **out, const struct backend *b, enum dtype compute,
                    struct error *e) {
    int rc = device_open(out, cpu_backend(), compute, e);
    if (rc == 0) {
        (*out)->backend = b;
        (*out)->ops = &gpu_ops;
    }
    return rc;
}

static int gpu_left(int number, size_t *out, struct error *e) {
    (void)number;
    (void)e;
    pthread_mutex_lock(&state.lock);
    *out = state.told > 0 ? state.told : state.capacity - state.taken;
    pthread_mutex_unlock(&state.lock);
    return 0;
}

static void *gpu_host_alloc(size_t size) {
    pthread_mutex_lock(&state.lock);
    state.host++;
    pthread_mutex_unlock(&state.lock);
    return malloc(size);
}

static void gpu_host_free(void *data) {
    pthread_mutex_lock(&state.lock);
    state.host--;
    pthread_mutex_unlock(&state.lock);
    free(data);
}

static int sixteen(void) {
    return 16;
}

static void gpu_make(void) {
    gpu_ops = CPU_OPS;
    gpu_ops.alloc = gpu_alloc;
    gpu_ops.release = gpu_release;
    gpu_ops.normalize_pixels = gpu_pixels;
    gpu = *cpu_backend();
    gpu.name = "gpu";
    gpu.batch = sixteen;
    gpu.host_memory = false;
    gpu.memory_left = gpu_left;
    gpu.host_alloc = gpu_host_alloc;
    gpu.host_free = gpu_host_free;
    gpu.device_open = gpu_open;
}

/* ---- Samples --------------------------------------------------------------------------------- */

static char model[] = "/tmp/occ-pool-XXXXXX";

static void model_make(void) {
    const struct encoder_config config = {.name = "small",
                                          .patch = 16,
                                          .grid = 32,
                                          .dim = 32,
                                          .depth = 3,
                                          .heads = 2,
                                          .mlp = 32,
                                          .window = 14,
                                          .global = {false, true},
                                          .neck = 16,
                                          .net_2 = 16,
                                          .net_3 = 32,
                                          .clip_dim = 32,
                                          .clip_depth = 1,
                                          .clip_heads = 1,
                                          .clip_mlp = 32,
                                          .clip_grid = 8,
                                          .token_dim = 64,
                                          .token_norm = true};
    struct error e;
    const int file = mkstemp(model);
    if (!CHECK(file >= 0) || !CHECK(model_init(model, &config, 1, DTYPE_F32, &e) == 0)) {
        exit(1);
    }
    close(file);
}

static struct encoder *open_encoder(const struct backend *b) {
    struct encoder *encoder = NULL;
    struct error e = {0};
    if (!CHECK(encoder_open(&encoder, model, NULL, b, DTYPE_F32, &e) == 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return encoder;
}

/* Grey pictures with something on them; they stay. */
static const unsigned char *picture(int height, int seed, size_t *size) {
    static unsigned char *made[64][9];
    unsigned char **at = &made[seed % 64][height / 64];
    char head[32];
    const int length = snprintf(head, sizeof head, "P5\n%d %d\n255\n", SIDE, height);
    *size = (size_t)length + (size_t)SIDE * (size_t)height;
    if (*at == NULL) {
        *at = malloc(*size);
        memcpy(*at, head, (size_t)length);
        for (size_t i = (size_t)length; i < *size; i++) {
            (*at)[i] = (unsigned char)(i * i / 977 * (size_t)(seed % 64 + 1) % 251);
        }
    }
    return *at;
}

/* A sample of one to three pages in cells, of several heights; number % 10 == 7: with one that is
 * no picture. */
static struct encode_job *sample(int number, int height) {
    struct kept {
        struct encode_job job;
        struct encoded_page pages[MOST_PAGES];
        uint32_t characters[MOST_PAGES];
    } *k = calloc(1, sizeof *k);
    struct encode_job *job = &k->job;
    snprintf(job->key, sizeof job->key, "kiwi/%d", number);
    job->json = job->text = "";
    job->pages = k->pages;
    job->characters = k->characters;
    job->page_count = number % MOST_PAGES + 1;
    job->bytes = MEGABYTE;
    for (int i = 0; i < job->page_count; i++) {
        const int high = height > 0 ? height : 64 * (1 + (number + i) % 3);
        struct encoded_page *page = &job->pages[i];
        *page = (struct encoded_page){.mode = MODE_TINY, .exact = true, .cells = true};
        page->data = picture(high, number + i, &page->size);
        if (height == 0 && number % 10 == 7 && i == 0) {
            page->size = 5;
        }
    }
    return job;
}

/* What came of `count` samples. */
struct outcome {
    struct bytes packed;
    int count, done, failed, out_of_order;
    struct error error; /* of the last that failed */
};

static void take(struct outcome *o, struct encode_job *job) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "kiwi/%d", o->count++);
    o->out_of_order += strcmp(wanted, job->key) != 0;
    o->done += job->rc == 0;
    o->failed += job->rc < 0;
    if (job->rc == 0) {
        CHECK_NUMBER(job->stored_count, job->page_count);
        CHECK_NUMBER(bytes_append(&o->packed, job->packed.data, job->packed.size, NULL), 0);
    } else {
        o->error = job->error;
    }
    encode_job_free(job);
}

/* height: of all pages; 0: of several, and some that are damaged. */
static struct outcome run(struct encoder *encoder, struct encode_options options, int count,
                          int height) {
    struct outcome o = {.count = 0};
    struct encode_pool *pool = NULL;
    bytes_init(&o.packed, (size_t)64 * MEGABYTE);
    options.encoder = encoder;
    if (!CHECK_NUMBER(encode_pool_open(&pool, &options, &o.error), 0)) {
        printf("# %s\n", o.error.text);
        return o;
    }
    for (int i = 0; i < count; i++) {
        CHECK_NUMBER(encode_pool_push(pool, sample(i, height), NULL), 0);
    }
    for (struct encode_job *job = encode_pool_pop(pool, true); job != NULL;
         job = encode_pool_pop(pool, true)) {
        take(&o, job);
    }
    encode_pool_close(pool);
    return o;
}

static bool same_bytes(const struct outcome *a, const struct outcome *b) {
    return a->packed.size == b->packed.size &&
           memcmp(a->packed.data, b->packed.data, a->packed.size) == 0;
}

/* Root mean square of the difference, as a share of that of the numbers themselves, which were
 * packed as bytes. */
static double difference(const struct outcome *a, const struct outcome *b) {
    enum { ROW = 4 + 64 };
    double squares = 0, all = 0;
    if (!CHECK_NUMBER(a->packed.size, b->packed.size) || !CHECK(a->packed.size % ROW == 0)) {
        return 1;
    }
    for (size_t row = 0; row < a->packed.size; row += ROW) {
        float scales[2];
        memcpy(&scales[0], a->packed.data + row, sizeof *scales);
        memcpy(&scales[1], b->packed.data + row, sizeof *scales);
        for (size_t i = row + sizeof *scales; i < row + ROW; i++) {
            const double x = (double)scales[0] * (int8_t)a->packed.data[i];
            const double y = (double)scales[1] * (int8_t)b->packed.data[i];
            squares += (x - y) * (x - y);
            all += x * x;
        }
    }
    return sqrt(squares / all);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void samples_come_out_in_order_and_damaged_pages_fail_alone(void) {
    enum { SAMPLES = 40, DAMAGED = 4 };
    struct encoder *encoder = open_encoder(cpu_backend());
    struct outcome one = run(encoder, (struct encode_options){.threads = 1}, SAMPLES, 0);
    struct outcome many = run(encoder, (struct encode_options){.threads = 5}, SAMPLES, 0);
    CHECK_NUMBER(one.count, SAMPLES);
    CHECK_NUMBER(one.failed, DAMAGED);
    CHECK_NUMBER(one.out_of_order + many.out_of_order, 0);
    CHECK_NUMBER(one.error.code, ERR_TRUNCATED);
    CHECK(strncmp(one.error.text, "page 0: ", 8) == 0);
    CHECK(same_bytes(&one, &many));
    bytes_close(&one.packed);
    bytes_close(&many.packed);
    encoder_close(encoder);
}

static void a_gpu_gives_the_same_tokens(void) {
    enum { SAMPLES = 40 };
    const struct encode_options options = {.threads = 3, .codec = CODEC_INT8};
    gpu_begin((size_t)4096 * MEGABYTE);
    struct encoder *cpu_encoder = open_encoder(cpu_backend()), *encoder = open_encoder(&gpu);
    struct outcome cpu = run(cpu_encoder, options, SAMPLES, 0);
    struct outcome first = run(encoder, options, SAMPLES, 0);
    struct outcome again =
        run(encoder, (struct encode_options){.threads = 1, .codec = CODEC_INT8}, SAMPLES, 0);
    CHECK_NUMBER(first.done, cpu.done);
    CHECK_NUMBER(first.out_of_order, 0);
    CHECK_NEAR(difference(&cpu, &first), 0, 1e-3); /* a step of the codec is 5e-3 */
    CHECK(same_bytes(&first, &again));
    CHECK(state.most_pages >= 16); /* of 64 that a batch holds, the third of a size */
    CHECK_NUMBER(state.refused, 0);
    CHECK_NUMBER(state.host, 0);
    bytes_close(&cpu.packed);
    bytes_close(&first.packed);
    bytes_close(&again.packed);
    encoder_close(encoder);
    encoder_close(cpu_encoder);
    CHECK_NUMBER(state.taken, 0);
}

static size_t bytes_for(const struct encoder *encoder, int pages, int height) {
    const struct encoder_shape shape = {pages, height, SIDE, 1};
    return encoder_run_bytes(encoder, &shape, 1);
}

static void the_memory_decides_how_many_go_together(void) {
    enum { SAMPLES = 12, SOME = 5 };
    gpu_begin((size_t)4096 * MEGABYTE);
    struct encoder *encoder = open_encoder(&gpu);
    struct encode_options options = {.threads = 2};
    options.memory =
        (int64_t)(encoder_weight_bytes(encoder) + bytes_for(encoder, SOME, 256) + 1000);
    struct outcome o = run(encoder, options, SAMPLES, 256);
    CHECK_NUMBER(o.done, SAMPLES);
    CHECK_NUMBER(state.most_pages, SOME);
    bytes_close(&o.packed);
    options.batch = SOME - 2;
    gpu_begin((size_t)4096 * MEGABYTE);
    o = run(encoder, options, SAMPLES, 256);
    CHECK_NUMBER(o.done, SAMPLES);
    CHECK_NUMBER(state.most_pages, SOME - 2);
    bytes_close(&o.packed);
    encoder_close(encoder);
}

static void memory_that_is_gone_makes_it_fewer(void) {
    enum { SAMPLES = 24 };
    gpu_begin((size_t)4096 * MEGABYTE);
    struct encoder *encoder = open_encoder(&gpu);
    const size_t weights = state.taken;
    gpu_begin(weights + bytes_for(encoder, 9, 256) - bytes_for(encoder, 1, 256));
    state.taken = weights;
    state.told = (size_t)4096 * MEGABYTE;
    struct outcome o = run(encoder, (struct encode_options){.threads = 2}, SAMPLES, 256);
    CHECK_NUMBER(o.done, SAMPLES);
    CHECK(state.refused > 0);
    bytes_close(&o.packed);
    state.capacity = (size_t)4096 * MEGABYTE;
    state.told = 0;
    for (int64_t i = 1; i <= 12; i++) { /* one allocation after another fails, and nothing else */
        state.asked = 0;
        state.fails = i;
        o = run(encoder, (struct encode_options){.threads = 1}, 3, 0);
        CHECK_NUMBER(o.done, 3);
        bytes_close(&o.packed);
    }
    encoder_close(encoder);
}

static void a_page_without_room_fails_alone(void) {
    gpu_begin((size_t)4096 * MEGABYTE);
    struct encoder *encoder = open_encoder(&gpu);
    struct encode_options options = {.threads = 1, .encoder = encoder};
    struct encode_pool *pool = NULL;
    struct error e;
    options.memory = (int64_t)(encoder_weight_bytes(encoder) + bytes_for(encoder, 1, 256) - 1000);
    CHECK_NUMBER(encode_pool_open(&pool, &options, &e), 0);
    for (int i = 0; i < 3; i++) {
        encode_pool_push(pool, sample(i * MOST_PAGES, i == 1 ? 256 : 64), NULL);
    }
    for (int i = 0; i < 3; i++) {
        struct encode_job *job = encode_pool_pop(pool, true);
        CHECK_NUMBER(job->rc, i == 1 ? ERR_LIMIT : 0);
        if (i == 1) {
            CHECK(strncmp(job->error.text, "page 0: a picture of 512 x 256 pixels needs ", 44) ==
                  0);
        }
        encode_job_free(job);
    }
    encode_pool_close(pool);
    options.memory = (int64_t)encoder_weight_bytes(encoder);
    CHECK_NUMBER(encode_pool_open(&pool, &options, &e), ERR_LIMIT);
    CHECK(pool == NULL && strstr(e.text, "the weights take ") == e.text);
    encoder_close(encoder);
}

static void a_batch_does_not_wait_for_ever(void) {
    gpu_begin((size_t)4096 * MEGABYTE);
    struct encoder *encoder = open_encoder(&gpu);
    const struct encode_options options = {.threads = 1, .encoder = encoder};
    struct encode_pool *pool = NULL;
    struct encode_job *job = NULL;
    CHECK_NUMBER(encode_pool_open(&pool, &options, NULL), 0);
    encode_pool_push(pool, sample(0, 64), NULL);
    const double begin = clock_seconds();
    while (job == NULL && clock_seconds() < begin + 60) {
        usleep(10000);
        job = encode_pool_pop(pool, false);
    }
    CHECK(job != NULL && job->rc == 0);
    encode_job_free(job);
    encode_pool_push(pool, sample(1, 64), NULL); /* is given up, in an open batch */
    encode_pool_close(pool);
    encoder_close(encoder);
}

int main(void) {
    gpu_make();
    model_make();
    RUN(samples_come_out_in_order_and_damaged_pages_fail_alone);
    RUN(a_gpu_gives_the_same_tokens);
    RUN(the_memory_decides_how_many_go_together);
    RUN(memory_that_is_gone_makes_it_fewer);
    RUN(a_page_without_room_fails_alone);
    RUN(a_batch_does_not_wait_for_ever);
    unlink(model);
    return test_finish();
}
