/* compress.c - see compress.h. */
#include "compress/compress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/encode_pool.h"
#include "compress/intake.h"
#include "compress/reading.h"
#include "compress/sample.h"
#include "compress/store_notes.h"
#include "compress/trained.h"
#include "store/clock.h"
#include "store/json.h"
#include "store/key_set.h"
#include "store/log.h"
#include "store/table.h"

/* Bytes of samples in the queue; the reader then waits for the oldest. */
#define QUEUE_BYTES ((size_t)256 << 20)

struct compress {
    const struct encoder *encoder;
    struct store *store;
    const struct compress_options *options;
    const volatile sig_atomic_t *cancel;
    struct compress_result *result;
    struct encode_pool *pool;
    /* The options, for the journal. Geometry is part of how a picture was encoded. */
    char settings[64], picture_settings[128];
    struct trained trained;         /* profiles that the encoder knows */
    struct alphabet *alphabet;      /* of its reading head; NULL: it has none */
    struct key_set *seen;           /* keys of this run */
    struct table *accounts_changed; /* accounts that packs came of */
    int64_t read;
    double committed; /* when, seconds */
};

static bool is_cancelled(const struct compress *c) {
    return c->cancel != NULL && *c->cancel;
}

/* A head that is damaged is the reader's matter. */
static void read_alphabet(struct compress *c) {
    const char *text = encoder_metadata(c->encoder, READING_METADATA);
    json_t *root = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *list = json_object_get(root, "alphabet");
    if (list != NULL) {
        alphabet_parse(&c->alphabet, list, NULL);
    }
    json_decref(root);
}

/* ---- Putting into the store -------------------------------------------------------------- */

static void count_readback(struct compress_readback *r, const struct encode_job *job) {
    for (size_t i = 0; i < job->stored_count; i++) {
        double share = token_accuracy_share(job->stored[i].accuracy);
        if (share < 0) {
            continue;
        }
        if (r->pages == 0 || share < r->worst) {
            r->worst = share;
            r->worst_page = job->stored[i].page;
            memcpy(r->worst_key, job->key, sizeof r->worst_key);
        }
        r->pages++;
        r->accuracy += share;
    }
}

static void count(struct compress *c, const struct encode_job *job) {
    struct compress_result *r = c->result;
    r->samples++;
    intake_count(r, job);
    for (size_t i = 0; i < job->stored_count; i++) {
        r->pages++;
        r->tokens += (int64_t)job->stored[i].rows * job->stored[i].columns;
        r->characters += job->stored[i].characters;
        r->bytes += (int64_t)job->stored[i].size;
    }
    r->loss.squares += job->loss.squares;
    r->loss.signal += job->loss.signal;
    r->loss.largest = job->loss.largest > r->loss.largest ? job->loss.largest : r->loss.largest;
    count_readback(&r->readback, job);
    legibility_add(&r->legibility, &job->legibility);
    if (!trained_on(&c->trained, job->profile)) {
        if (r->unseen_pages == 0) {
            memcpy(r->unseen_profile, job->profile, sizeof r->unseen_profile);
        }
        r->unseen_more = r->unseen_more || strcmp(r->unseen_profile, job->profile) != 0;
        r->unseen_pages += (int64_t)job->stored_count;
        count_readback(&r->unseen, job);
    }
}

static int put(struct compress *c, struct encode_job *job, struct error *e) {
    struct compress_result *r = c->result;
    if (job->rc == ERR_MEMORY || job->rc == ERR_IO) { /* no sample's fault */
        *e = job->error;
        return job->rc;
    }
    if (job->rc < 0) {
        log_error("%s: %s", job->key, job->error.text);
        r->failed++;
        return 0;
    }
    int rc = intake_date(c->store, job, e);
    if (rc < 0) {
        return rc;
    }
    const struct store_sample sample = {.key = job->key,
                                        .created = job->created,
                                        .json = job->json,
                                        .json_size = job->json_size,
                                        .text = job->text,
                                        .text_size = job->text_size,
                                        .cells = job->cells,
                                        .cells_size = job->cells_size,
                                        .pages = job->stored,
                                        .page_count = job->stored_count,
                                        .profile = job->profile,
                                        .input = job->input,
                                        .options = job->settings};
    rc = store_put(c->store, &sample, e);
    log_debug("%s: %zu pages", job->key, job->stored_count);
    if (rc == 0 && (store_pending(c->store) >= (size_t)c->options->commit ||
                    clock_seconds() - c->committed >= COMPRESS_SECONDS)) {
        rc = store_commit(c->store, e);
        c->committed = clock_seconds();
    }
    count(c, job);
    return rc;
}

/* Puts what is done; waits while there is more in the queue than `limit`. */
static int drain(struct compress *c, size_t limit, struct error *e) {
    int rc = 0;
    while (rc == 0) {
        if (is_cancelled(c)) {
            return error_set(e, ERR_CANCELLED, "stopped by a signal");
        }
        struct encode_job *job = encode_pool_pop(c->pool, encode_pool_bytes(c->pool) > limit);
        if (job == NULL) {
            break;
        }
        rc = put(c, job, e);
        encode_job_free(job);
        progress_set((uint64_t)c->read);
    }
    return rc;
}

/* ---- Taking in --------------------------------------------------------------------------- */

static int remember(struct compress *c, const char *key, struct error *e) {
    char account[STREAM_KEY_BYTES];
    int rc = key_set_add(c->seen, key, e);
    if (rc >= 0 && stream_is_pack(key)) {
        stream_account(account, key);
        rc = table_add(c->accounts_changed, account, 0, NULL, e);
    }
    return rc < 0 ? rc : 0;
}

/* Takes the sample over. */
static int take(struct compress *c, struct encode_job *job, struct error *e) {
    int rc = remember(c, job->key, e);
    if (rc == 0) {
        rc = intake_is_folded(c->store, job, e);
        c->result->folded += rc > 0;
    }
    if (rc == 0) {
        rc = store_is_done(c->store, job->key, job->input, job->settings, e);
    }
    if (rc != 0) {
        c->result->skipped += rc > 0;
        log_debug("%s: nothing to do", job->key);
        encode_job_free(job);
        return rc < 0 ? rc : 0;
    }
    rc = encode_pool_push(c->pool, job, e);
    return rc == 0 ? drain(c, QUEUE_BYTES, e) : rc;
}

/* A sample that cannot be read fails alone. */
static int skip(struct compress *c, const struct error *why, struct error *e) {
    if (why->code == ERR_MEMORY) {
        *e = *why;
        return why->code;
    }
    log_error("%s", why->text);
    c->result->failed++;
    return 0;
}

static int take_sample(struct compress *c, struct stream_reader *reader,
                       const struct stream_sample *sample, bool repeated, struct error *e) {
    struct encode_job *job;
    struct error why;
    c->read++;
    if (repeated) {
        sample_report_repeated(reader, sample);
        c->result->repeated++;
        return 0;
    }
    if (sample_from_stream(&job, sample, &why) < 0) {
        return skip(c, &why, e);
    }
    job->settings = c->settings;
    return take(c, job, e);
}

/* All samples. When the input fails, what came before is done all the same: *input is that
 * failure, the function's is one of our own. */
static int read_streams(struct compress *c, struct stream_reader *reader, int *input,
                        struct error *input_error, struct error *e) {
    struct sample_pages pages = {.stream = 0};
    int rc = 0;
    *input = reader != NULL;
    while (rc == 0 && *input > 0) {
        struct stream_sample sample;
        *input = stream_next(reader, &sample, input_error);
        if (is_cancelled(c)) {
            return error_set(e, ERR_CANCELLED, "stopped by a signal");
        }
        if (*input >= 0 && sample_count_pages(&pages, reader, *input > 0 ? &sample : NULL) &&
            *input > 0) {
            rc = take_sample(c, reader, &sample, *input == STREAM_AGAIN, e);
        }
    }
    if (rc == 0 && reader != NULL && *input == 0 && pages.unrendered > 0) {
        *input = error_set(input_error, ERR_FORMAT, "%s", pages.error.text);
    }
    return rc;
}

static int read_pictures(struct compress *c, const struct compress_input *in, struct error *e) {
    int rc = 0;
    for (int i = 0; i < in->picture_count && rc == 0; i++) {
        struct encode_job *job;
        struct error why;
        c->read++;
        if (is_cancelled(c)) {
            return error_set(e, ERR_CANCELLED, "stopped by a signal");
        }
        if (sample_from_file(&job, in->pictures[i], (enum page_mode)c->options->mode,
                             c->options->date == COMPRESS_DATE_MTIME, &why) < 0) {
            rc = skip(c, &why, e);
        } else {
            job->settings = c->picture_settings;
            rc = take(c, job, e);
        }
    }
    return rc;
}

/* ---- Packs that were replaced --------------------------------------------------------------- */

struct superseded {
    struct compress *c;
    struct bytes json, keys; /* keys: of packs to be removed, each with its zero */
};

/* Whether all samples that the pack holds have come in this run, and so have newer packs; but where
 * all of them were folded, no newer pack was taken in. */
static bool is_replaced(struct superseded *s, const char *key) {
    int64_t shown = 0, folded = 0;
    bytes_clear(&s->json);
    if (store_get_json(s->c->store, key, &s->json, NULL) != 1) {
        return false;
    }
    json_t *root = json_loadb(bytes_text(&s->json), s->json.size, 0, NULL);
    const json_t *samples = json_object_get(root, "samples"), *sample;
    size_t i;
    bool all = json_array_size(samples) > 0;
    json_array_foreach(samples, i, sample) {
        const char *text = json_string_value(sample);
        all = all && text != NULL && key_set_has(s->c->seen, text);
    }
    all = all && store_count_folded(s->c->store, key, root, &shown, &folded, NULL) == 0;
    json_decref(root);
    return all && folded < shown;
}

static int find_superseded(void *context, const char *key, const char *journal, size_t size,
                           struct error *e) {
    struct superseded *s = context;
    char account[STREAM_KEY_BYTES];
    (void)journal;
    (void)size;
    stream_account(account, key);
    if (!stream_is_pack(key) || key_set_has(s->c->seen, key) ||
        !table_find(s->c->accounts_changed, account, NULL) || !is_replaced(s, key)) {
        return 0;
    }
    return bytes_append(&s->keys, key, strlen(key) + 1, e);
}

static int remove_superseded(struct compress *c, struct error *e) {
    struct superseded s = {.c = c};
    if (table_count(c->accounts_changed) == 0) {
        return 0;
    }
    bytes_init(&s.json, STREAM_MEMBER_LIMIT);
    bytes_init(&s.keys, STREAM_SAMPLE_LIMIT);
    int rc = store_each_sample(c->store, find_superseded, &s, e);
    const char *key = bytes_text(&s.keys), *end = key + s.keys.size;
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        rc = store_remove(c->store, key, e);
        c->result->removed += rc > 0;
        rc = rc < 0 ? rc : 0;
    }
    bytes_close(&s.json);
    bytes_close(&s.keys);
    return rc;
}

/* ---- A run --------------------------------------------------------------------------------- */

static int begin(struct compress *c, struct error *e) {
    const struct compress_options *o = c->options;
    c->committed = clock_seconds();
    snprintf(c->settings, sizeof c->settings, "codec=%s", CODEC_NAMES[o->codec]);
    snprintf(c->picture_settings, sizeof c->picture_settings, "%s mode=%s", c->settings,
             MODE_NAMES[o->mode]);
    int rc = key_set_open(&c->seen, e);
    if (rc == 0) {
        rc = table_open(&c->accounts_changed, e);
    }
    if (rc == 0) {
        rc = store_notes_put(c->encoder, c->store, e);
    }
    if (rc == 0) {
        trained_read(&c->trained, c->encoder);
        memcpy(c->result->trained_profiles, c->trained.list, sizeof c->trained.list);
        read_alphabet(c);
        const struct encode_options work = {.encoder = c->encoder,
                                            .reader = o->reader,
                                            .alphabet = c->alphabet,
                                            .codec = (enum codec)o->codec,
                                            .threads = o->threads,
                                            .batch = o->batch,
                                            .memory = o->gpu_memory};
        rc = encode_pool_open(&c->pool, &work, e);
    }
    return rc;
}

/* After a signal what is in the queue is given up; it is cheap to encode again. */
static int finish(struct compress *c, int rc, bool whole, struct error *e) {
    if (rc == 0) {
        rc = drain(c, 0, e);
    }
    if (rc == 0 && whole) {
        rc = remove_superseded(c, e);
    }
    if (rc == 0 || rc == ERR_CANCELLED) {
        struct error why;
        int code = store_commit(c->store, &why);
        if (code < 0) {
            *e = why;
            rc = code;
        }
    }
    encode_pool_close(c->pool);
    key_set_close(c->seen);
    table_close(c->accounts_changed);
    trained_close(&c->trained);
    alphabet_close(c->alphabet);
    return rc;
}

int compress_run(const struct encoder *encoder, struct store *s, const struct compress_input *in,
                 const struct compress_options *options, const volatile sig_atomic_t *cancel,
                 struct compress_result *result, struct error *e) {
    struct compress c = {
        .encoder = encoder, .store = s, .options = options, .cancel = cancel, .result = result};
    struct error input_error = {0};
    double start = clock_seconds();
    int input = 0;
    *result = (struct compress_result){.samples = 0};
    uint64_t total = in->streams == NULL ? (uint64_t)in->picture_count : 0;
    progress_begin("compress", total, options->progress);
    int rc = begin(&c, e);
    if (rc == 0) {
        rc = read_streams(&c, in->streams, &input, &input_error, e);
    }
    if (rc == 0) {
        rc = read_pictures(&c, in, e);
    }
    rc = finish(&c, rc, input == 0, e);
    progress_end();
    result->seconds = clock_seconds() - start;
    if (rc == 0 && input < 0) {
        *e = input_error;
        return input;
    }
    return rc;
}
