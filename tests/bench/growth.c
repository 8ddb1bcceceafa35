/* growth.c - how a store grows that forgets: ten years of daily posts.
 *
 *     bench-growth STORE [ACCOUNTS [YEARS]]       (50, 10)
 *
 * Every account posts a page of 16 x 16 synthetic tokens a day (normal numbers, 512 per token,
 * bf16; a few different ones by turns), with 600 bytes of JSON and text that do not compress. `occ
 * forget` runs every four weeks with its defaults. Prints a line a year: history in days, log2(1 +
 * days / 7), pages, tokens, bytes of tokens, of LMDB's pages in use and of the file, and a bar of
 * the bytes in use. STORE must not be there; best on a tmpfs, because every account is a commit of
 * its own. */
#define _DEFAULT_SOURCE
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/forget.h"

enum { DIM = 512, SIDE = 16, PAGES = 7, PASS = 28 /* days */, YEAR = 365, BAR = 40 };
#define DAY ((int64_t)24 * 3600)

static void must(int rc, const struct error *e) {
    if (rc < 0) {
        fprintf(stderr, "bench-growth: %s\n", e->text);
        exit(1);
    }
}

static float normal(uint64_t *state) {
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *state = *state * 6364136223846793005 + 1442695040888963407;
        sum += (float)(*state >> 40) * 0x1p-24f - 0.5f;
    }
    return sum * 1.7f;
}

struct simulation {
    struct store *s;
    struct codec_state *codec;
    struct bytes packed[PAGES];
    uint64_t random;
    float tokens[SIDE * SIDE * DIM];
    char text[600];
};

static void make_pages(struct simulation *m) {
    struct error e;
    for (int page = 0; page < PAGES; page++) {
        for (int i = 0; i < SIDE * SIDE * DIM; i++) {
            m->tokens[i] = normal(&m->random);
        }
        bytes_init(&m->packed[page], 1 << 24);
        must(codec_pack(m->codec, &m->packed[page], CODEC_BF16, m->tokens, SIDE * SIDE, DIM, NULL,
                        &e),
             &e);
    }
}

static void post(struct simulation *m, int account, int day) {
    char key[64];
    struct error e;
    const struct bytes *packed = &m->packed[(account + day) % PAGES];
    for (size_t i = 0; i < sizeof m->text; i++) {
        m->random = m->random * 6364136223846793005 + 1442695040888963407;
        m->text[i] = (char)(m->random >> 40);
    }
    snprintf(key, sizeof key, "account%02d/%d", account, day);
    const struct store_page page = {.rows = SIDE,
                                    .columns = SIDE,
                                    .characters = 600,
                                    .payload = packed->data,
                                    .size = packed->size};
    const struct store_sample sample = {.key = key,
                                        .created = day * DAY,
                                        .json = m->text,
                                        .json_size = 300,
                                        .text = m->text + 300,
                                        .text_size = 300,
                                        .pages = &page,
                                        .page_count = 1,
                                        .input = "0123456789abcdef",
                                        .options = "codec=bf16"};
    must(store_put(m->s, &sample, &e), &e);
    if (store_pending(m->s) >= STORE_BATCH) {
        must(store_commit(m->s, &e), &e);
    }
}

static void age(struct simulation *m, int day) {
    struct forget_options options = FORGET_DEFAULTS;
    struct forget_result result;
    struct error e;
    options.tau = 7 * DAY;
    options.buckets = 7;
    options.now = day * DAY;
    must(store_commit(m->s, &e), &e);
    must(forget_run(m->s, &options, NULL, &result, &e), &e);
}

static int64_t print_year(struct simulation *m, int day, int64_t largest) {
    struct store_counts c;
    struct error e;
    must(store_count(m->s, &c, &e), &e);
    printf("%5d %6.2f %8" PRId64 " %9" PRId64 " %8.1f %8.1f %8.1f ", day, log2(1 + (double)day / 7),
           c.pages, c.tokens, (double)c.payload_bytes[CODEC_BF16] * 1e-6,
           (double)c.used_bytes * 1e-6, (double)c.file_bytes * 1e-6);
    int bar = largest > 0 ? (int)(c.used_bytes * BAR / largest) : BAR / 2;
    for (int i = 0; i < bar; i++) {
        putchar('#');
    }
    putchar('\n');
    fflush(stdout);
    return c.used_bytes;
}

int main(int argc, char **argv) {
    static struct simulation m = {.random = 1};
    struct error e;
    const struct store_encoder encoder = {.name = "synthetic", .dim = DIM};
    int accounts = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 50;
    int years = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 10;
    int64_t used[101] = {0};
    if (argc < 2 || accounts < 1 || accounts > 99 || years < 1 || years > 100) {
        fprintf(stderr, "usage: bench-growth STORE [ACCOUNTS [YEARS]]\n");
        return 2;
    }
    must(store_open_write(&m.s, argv[1], &encoder, &e), &e);
    must(codec_open(&m.codec, &e), &e);
    make_pages(&m);
    printf(" days   log2    pages    tokens   tokens      use     file  (MB)\n");
    for (int day = 1; day <= years * YEAR; day++) {
        for (int account = 0; account < accounts; account++) {
            post(&m, account, day);
        }
        if (day % PASS == 0 || day % YEAR == 0) {
            age(&m, day);
        }
        if (day % YEAR == 0) {
            used[day / YEAR] = print_year(&m, day, 2 * used[1]);
        }
    }
    if (years >= 10) {
        printf("year 10 / year 5: %.2f\n", (double)used[10] / (double)used[5]);
    }
    codec_close(m.codec);
    store_close(m.s);
    for (int i = 0; i < PAGES; i++) {
        bytes_close(&m.packed[i]);
    }
    return 0;
}
