/* render_pages.h - makes the pages of one sample, or of an account: what a thread of `occ render`
 * does with a job. */
#ifndef OCC_RENDER_RENDER_PAGES_H
#define OCC_RENDER_RENDER_PAGES_H

#include <pthread.h>

#include "render/page/page_record.h"
#include "render/render.h"
#include "render/render_jobs.h"
#include "render/render_packs.h"
#include "render/sample_copy.h"

/* Of one sample with its own pages; a clip of a few minutes has two or three, with a hundred boxes
 * each. Without limits hostile text would make a sample that the next stage refuses. */
enum { RENDER_SAMPLE_PAGES = 1000, RENDER_SAMPLE_BOXES = 400000 };
#define RENDER_SAMPLE_BYTES ((size_t)256 << 20)

/* What all threads share. */
struct render_shared {
    const struct render_options *options;
    const struct fonts *fonts;
    pthread_mutex_t lock;        /* for the log, the progress line and the sums: */
    struct render_result result; /* counts.partial: with something left out by this render */
    int64_t newly_partial;       /* of these, those that were whole before */
};

/* The packs of an account so far; an account may have several jobs (render_accounts.h). */
struct render_account {
    int64_t packs;
};

struct render_job {
    enum { JOB_PASS, JOB_SAMPLE, JOB_PACK } kind;
    struct sample_copy *samples; /* owned; one, but for JOB_PACK */
    size_t count, bytes;
    struct render_account *account; /* JOB_PACK */
    bool continues;                 /* JOB_PACK: the account had a job before */
};
void render_job_free(void *job);

struct renderer; /* of one thread; opaque */
int renderer_open(struct renderer **out, struct render_shared *shared, struct error *e);
void renderer_close(struct renderer *r); /* adds its counts to the sums */

int renderer_do(struct renderer *r, struct render_job *job, struct job_output *out,
                struct error *e);

#endif
