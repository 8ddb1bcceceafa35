/* render.c - the main thread of `occ render`: reads the samples, makes jobs of them, and writes the
 * two ends of the output stream. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "render/render.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "render/render_accounts.h"
#include "render/render_packs.h"
#include "render/text/face.h"
#include "store/cpu_count.h"
#include "store/log.h"

enum { PIPE_BYTES = 1 << 20 }; /* a page of mode base fits into the pipe */

const char *const RENDER_PACKS[] = {[PACK_SAMPLE] = "sample", [PACK_ACCOUNT] = "account", NULL};
const char *const RENDER_MARKS[] = {
    [MARKS_NONE] = "none", [MARKS_TIME] = "time", [MARKS_SPEAKER] = "speaker", NULL};

const struct render_options RENDER_DEFAULTS = {
    .mode = MODE_BASE,
    .profile = PROFILE_CELL10,
    .format = FORMAT_PGM,
    .pack = -1,
    .hold = INT64_C(256) << 20,
    .content = {.parts = {PART_THUMBS, PART_HEADER, PART_DESCRIPTION, PART_SCRIPT, PART_HASHTAGS,
                          PART_COMMENTS},
                .part_count = 6,
                .marks = MARKS_NONE,
                .comments = 100},
};

struct render {
    const struct render_options *options;
    int pack;
    const volatile sig_atomic_t *cancel;
    struct fonts *fonts;
    struct render_shared shared;
    struct stream_reader *reader;
    struct stream_writer *writer;
    struct jobs *jobs;
    struct accounts *accounts; /* whose samples wait for each other */
    struct pack_numbers *old_packs;
    int64_t samples; /* read so far */
};

/* ---- The ends of the stream ---------------------------------------------------------- */

/* The hash of the primary font's file, as the records of pages give it. */
static int font_hash(const struct render *r, char hash[24], struct error *e) {
    struct faces *faces;
    int rc = faces_open(&faces, r->fonts, &PROFILES[r->options->profile], e);
    if (rc < 0) {
        return rc;
    }
    const struct face *face = faces_get(faces, FONT_PRIMARY, e);
    if (face != NULL) {
        snprintf(hash, 24, "%016" PRIx64, face->hash);
    } else {
        rc = e != NULL ? e->code : ERR_IO;
    }
    faces_close(faces);
    return rc;
}

/* The options that shape the output; the number of threads does not. */
static json_t *header_of(const struct render *r, const char *hash) {
    const struct render_options *o = r->options;
    const struct profile *profile = &PROFILES[o->profile];
    json_t *parts = json_array();
    for (int i = 0; i < o->content.part_count; i++) {
        if (json_array_append_new(parts, json_string(PAGE_PARTS[o->content.parts[i]])) != 0) {
            json_decref(parts);
            return NULL;
        }
    }
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:s, s:s, s:I, s:o, s:s, s:I}", "mode",
                     MODE_NAMES[o->mode], "profile", "name", PROFILE_NAMES[o->profile], "font",
                     profile->family, "hash", hash, "format", PAGE_FORMATS[o->format], "pack",
                     RENDER_PACKS[r->pack], "hold", (json_int_t)o->hold, "parts", parts, "marks",
                     RENDER_MARKS[o->content.marks], "comments", (json_int_t)o->content.comments);
}

static int open_output(struct render *r, int out, const char *tool, struct error *e) {
    char hash[24] = "";
    int rc = font_hash(r, hash, e);
    json_t *header = rc == 0 ? header_of(r, hash) : NULL;
    if (rc == 0 && header == NULL) {
        rc = error_memory(e, NULL);
    }
    if (rc == 0) {
        (void)fcntl(out, F_SETPIPE_SZ, PIPE_BYTES); /* no pipe, or not allowed: it works anyway */
        rc = stream_writer_open(&r->writer, out, tool, header, NULL, e); /* see render_jobs.h */
    }
    json_decref(header);
    return rc;
}

static int64_t upstream_count(const json_t *end, const char *name) {
    int64_t count = json_get_integer(end, name, 0);
    return count > 0 && count < INT64_MAX / 2 ? count : 0;
}

static int finish_output(struct render *r, struct error *e) {
    struct render_result *result = &r->shared.result;
    int tokens = mode_tokens((enum page_mode)r->options->mode);
    int rows = mode_rows((enum page_mode)r->options->mode);
    const json_t *end = stream_reader_end(r->reader);
    int64_t cells = PROFILES[r->options->profile].cells ? tokens : (int64_t)rows * rows;
    result->counts.skipped = upstream_count(end, "skipped") + result->again;
    result->counts.failed = upstream_count(end, "failed");
    struct stream_counts counts = result->counts;
    counts.partial = upstream_count(end, "partial") + r->shared.newly_partial;
    json_t *extra = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pages", (json_int_t)result->pages, "characters",
        (json_int_t)result->characters, "tokens", (json_int_t)(result->cells * tokens / cells),
        "inked_tokens", (json_int_t)(result->inked * tokens / cells), "missing",
        (json_int_t)result->missing, "replaced", (json_int_t)result->replaced, "dropped",
        (json_int_t)result->dropped);
    int rc =
        extra != NULL ? stream_writer_finish(r->writer, &counts, extra, e) : error_memory(e, NULL);
    json_decref(extra);
    return rc;
}

/* ---- In a thread --------------------------------------------------------------------- */

static int work(void *context, void **state, void *job, struct job_output *out, struct error *e) {
    struct renderer *renderer = *state;
    if (renderer == NULL) {
        int rc = renderer_open(&renderer, context, e);
        if (rc < 0) {
            return rc;
        }
        *state = renderer;
    }
    return renderer_do(renderer, job, out, e);
}

static void end_thread(void *context, void *state) {
    (void)context;
    renderer_close(state);
}

/* One per core that this process may use. */
static int thread_count(int64_t wanted) {
    int64_t count = wanted > 0 ? wanted : cpu_count();
    return (int)(count > JOBS_THREADS ? JOBS_THREADS : count);
}

/* ---- In the main thread -------------------------------------------------------------- */

/* Takes over `samples`, on failure too. */
static int put_job(struct render *r, struct render_job job, struct error *e) {
    struct render_job *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        sample_copies_free(job.samples);
        return error_memory(e, NULL);
    }
    *copy = job;
    return jobs_put(r->jobs, copy, job.bytes, e);
}

static int put_sample(struct render *r, const struct stream_sample *sample, bool with_pages,
                      struct error *e) {
    struct sample_copy *copy =
        sample_copy_make(sample, with_pages ? copy_originals : copy_everything, NULL);
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    struct render_job job = {.kind = with_pages ? JOB_SAMPLE : JOB_PASS,
                             .samples = copy,
                             .count = 1,
                             .bytes = copy->bytes};
    return put_job(r, job, e);
}

static int put_pack(void *context, struct render_job job, struct error *e) {
    return put_job(context, job, e);
}

/* The account's pages get a copy of what they show. */
static int gather(struct render *r, const struct stream_sample *sample, struct error *e) {
    struct content_options content = r->options->content;
    struct sample_copy *copy = sample_copy_make(sample, copy_for_pack, &content);
    return copy != NULL ? accounts_add(r->accounts, copy, e) : error_memory(e, NULL);
}

static int take_sample(struct render *r, const struct stream_sample *sample, struct error *e) {
    if (strlen(sample->key) >= STREAM_KEY_BYTES ||
        stream_account_size(sample->key) > STREAM_KEY_PART) {
        const char *input = stream_reader_input(r->reader);
        int rc = error_set(e, ERR_FORMAT, "'%.80s...': the key is too long", sample->key);
        return input != NULL ? error_context(e, "%s", input) : rc;
    }
    bool is_pack = stream_is_numbered_pack(sample->key);
    if (r->pack == PACK_SAMPLE) {
        struct stream_sample passed = *sample;
        int rc = is_pack ? pack_numbers_apply(r->old_packs, &passed, e) : 0;
        return rc == 0 ? put_sample(r, &passed, !is_pack, e) : rc;
    }
    if (is_pack) {
        return 0; /* of an earlier render: new ones take its place */
    }
    int rc = put_sample(r, sample, false, e);
    return rc == 0 ? gather(r, sample, e) : rc;
}

static bool is_cancelled(const struct render *r) {
    return r->cancel != NULL && *r->cancel;
}

/* A sample whose key came before: the first one is on pages already. */
static void leave_out(struct render *r, const struct stream_sample *sample) {
    const char *input = stream_reader_input(r->reader);
    pthread_mutex_lock(&r->shared.lock);
    log_error("%s%s%.330s: skipped, its key came before", input != NULL ? input : "",
              input != NULL ? ": " : "", sample->key);
    r->shared.result.again++;
    pthread_mutex_unlock(&r->shared.lock);
}

/* All samples. When the input fails, what came before is done all the same: *input is that failure;
 * the function's is one of our own. */
static int read_all(struct render *r, int *input, struct error *input_error, struct error *e) {
    int rc = 0;
    *input = 1;
    while (rc == 0 && *input > 0) {
        struct stream_sample sample;
        *input = stream_next(r->reader, &sample, input_error);
        if (is_cancelled(r)) {
            rc = error_set(e, ERR_CANCELLED, "stopped by a signal");
        } else if (*input == STREAM_AGAIN) {
            leave_out(r, &sample);
        } else if (*input > 0) {
            rc = take_sample(r, &sample, e);
            r->samples++;
            pthread_mutex_lock(&r->shared.lock);
            log_debug("%s", sample.key);
            progress_set((uint64_t)r->samples);
            pthread_mutex_unlock(&r->shared.lock);
        }
    }
    return rc == 0 ? accounts_finish(r->accounts, e) : rc;
}

static int run_jobs(struct render *r, struct error *e) {
    const struct jobs_calls calls = {
        .context = &r->shared, .work = work, .end = end_thread, .discard = render_job_free};
    struct error input_error = {0};
    int input = 0;
    int rc =
        jobs_open(&r->jobs, thread_count(r->options->threads), &calls, r->writer, r->cancel, e);
    if (rc < 0) {
        return rc;
    }
    progress_begin("render", 0, r->options->progress);
    rc = read_all(r, &input, &input_error, e);
    if (rc == 0) {
        rc = jobs_finish(r->jobs, e);
    }
    jobs_close(r->jobs); /* the threads are gone now, and their sums are there */
    progress_end();
    if (rc == 0 && input < 0) {
        rc = input;
        if (e != NULL) {
            *e = input_error;
        }
    }
    return rc;
}

int render_run(struct stream_reader *in, int out, const struct render_options *options,
               const char *tool, const volatile sig_atomic_t *cancel, struct render_result *result,
               struct error *e) {
    struct render r = {.options = options,
                       .reader = in,
                       .cancel = cancel,
                       .pack = options->pack >= 0           ? options->pack
                               : options->mode == MODE_TINY ? PACK_SAMPLE
                                                            : PACK_ACCOUNT};
    *result = (struct render_result){0};
    pthread_mutex_init(&r.shared.lock, NULL); /* never fails on Linux */
    int rc = fonts_open(&r.fonts, PROFILES[options->profile].family, e);
    r.shared.options = options;
    r.shared.fonts = r.fonts;
    if (rc == 0) {
        rc = accounts_open(&r.accounts, (size_t)options->hold, put_pack, &r, e);
    }
    if (rc == 0) {
        rc = pack_numbers_open(&r.old_packs, e);
    }
    if (rc == 0) {
        rc = open_output(&r, out, tool, e);
    }
    if (rc == 0) {
        rc = run_jobs(&r, e);
    }
    if (rc == 0) {
        rc = finish_output(&r, e);
    }
    *result = r.shared.result;
    result->split = r.accounts != NULL ? accounts_split(r.accounts) : 0;
    stream_writer_close(r.writer);
    accounts_close(r.accounts);
    pack_numbers_close(r.old_packs);
    fonts_close(r.fonts);
    pthread_mutex_destroy(&r.shared.lock);
    return rc;
}
