/* train_read.c - `occ train read`. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "cli/mix.h"
#include "cli/number.h"
#include "cli/train_command.h"
#include "compress/encoder.h"
#include "compress/trained.h"
#include "store/log.h"

enum { STEPS = 20000 };
static const double RATE = 0.005;

int train_read_check(struct train_arguments *a, struct error *e) {
    struct read_options *o = &a->read.options;
    struct training_mix *mix = &a->read.mix;
    o->seed = mix->seed = (uint64_t)a->seed;
    o->from = a->from;
    o->batch = a->batch > 0 ? a->batch : o->batch;
    o->trainer.schedule.steps = STEPS;
    o->trainer.schedule.rate = RATE;
    o->trainer.threads = a->threads;
    int rc = train_common(a, &o->trainer, e);
    if (rc == 0) {
        rc = mix_parse(o->sizes, READ_SIZE_NAMES, "sizes", a->read.sizes, e);
    }
    if (rc == 0) {
        rc = mix_parse(mix->profiles, PROFILE_NAMES, "profiles", a->read.profiles, e);
    }
    if (rc == 0) {
        rc = number_parse(&mix->samples, "samples", a->read.samples, 0, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&mix->random, "random", a->read.random, 0, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&mix->pictures, "pictures", a->read.pictures, 0, 1, e);
    }
    if (rc == 0) {
        rc = number_parse(&mix->simple, "simple", a->read.simple, 0, 0.5, e);
    }
    if (rc == 0) {
        double *average = &o->trainer.optimizer.ema;
        rc = number_parse(average, "average", a->read.average, 0, 0.999999, e);
    }
    if (rc == 0) {
        rc = number_parse(&o->staged, "staged", a->read.staged, 0, 0.9, e);
    }
    return rc == 0 ? number_parse(&o->halving, "halving", a->read.halving, 0, 1, e) : rc;
}

/* For the file of weights: the profiles that it has seen, so that others can be warned of, and that
 * its pages were grey. */
static json_t *metadata_of(const struct training_mix *mix) {
    json_t *profiles = json_array();
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (mix->profiles[i] > 0) {
            json_array_append_new(profiles, json_string(PROFILE_NAMES[i]));
        }
    }
    char *text = profiles != NULL ? json_dumps(profiles, JSON_COMPACT) : NULL;
    json_t *metadata = text != NULL
                           ? json_pack("{s:s, s:s}", TRAINED_PROFILES, text, ENCODER_PAGES, "grey")
                           : NULL;
    json_decref(profiles);
    free(text);
    return metadata;
}

int train_read_run(struct train_arguments *a, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e) {
    struct read_options *o = &a->read.options;
    struct alphabet *alphabet = NULL;
    struct training_pages *pages = NULL;
    struct trainer_result result = {0};
    int rc = alphabet_open(&alphabet, e);
    if (rc == 0) {
        rc = config_named(&o->encoder, "nano", e);
    }
    if (rc == 0) {
        rc = training_pages_open(&pages, &a->read.mix, alphabet, files, count, e);
    }
    if (rc == 0) {
        rc = train_make_folder(a->output, e);
    }
    if (rc == 0) {
        const struct read_source source = training_pages_source(pages);
        o->reading.classes = alphabet_count(alphabet);
        json_t *metadata = metadata_of(&a->read.mix);
        rc = read_train(o, alphabet, &source, metadata, cancel, &result, e);
        json_decref(metadata);
        log_info("%" PRId64 " steps, %" PRId64 " pages, %.1f pages/s, %" PRId64 " steps skipped",
                 result.step, result.samples, result.samples_per_second, result.skipped);
    }
    training_pages_close(pages);
    alphabet_close(alphabet);
    return rc;
}
