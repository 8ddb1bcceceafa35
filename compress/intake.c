/* intake.c - see intake.h. */
#include "compress/intake.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/json.h"

enum { DAY = 24 * 3600 };

static json_t *pack_json(const struct encode_job *job) {
    return stream_is_pack(job->key) ? json_loadb(job->json, job->json_size, 0, NULL) : NULL;
}

int intake_is_folded(struct store *s, const struct encode_job *job, struct error *e) {
    json_t *json = pack_json(job);
    int64_t shown, folded;
    int rc = store_count_folded(s, job->key, json, &shown, &folded, e);
    json_decref(json);
    return rc < 0 ? rc : shown == folded;
}

int intake_date(struct store *s, struct encode_job *job, struct error *e) {
    json_t *json = pack_json(job);
    const json_t *samples = store_pack_samples(job->key, json), *name;
    int64_t newest = 0, created;
    bool dated = true;
    size_t i;
    int rc = 0;
    json_array_foreach(samples, i, name) {
        if (rc >= 0 && json_is_string(name)) {
            rc = store_get_created(s, json_string_value(name), &created, e);
            created = rc == 0 ? job->created : created; /* a stream without its samples */
            dated = dated && created > STORE_UNDATED;
            newest = created > newest ? created : newest;
        }
    }
    if (rc >= 0 && samples != NULL) {
        job->created = dated ? newest : STORE_UNDATED;
    }
    json_decref(json);
    return rc < 0 ? rc : 0;
}

/* ---- What a person should know ------------------------------------------------------------- */

static void note(struct compress_named *n, const char *key) {
    size_t used = strlen(n->first);
    if (n->count < COMPRESS_NAMED) {
        snprintf(n->first + used, sizeof n->first - used, "%s%s", used > 0 ? ", " : "", key);
    }
    n->count++;
}

void intake_count(struct compress_result *result, const struct encode_job *job) {
    if (stream_is_pack(job->key)) {
        return;
    }
    if (job->date == DATE_NONE) {
        note(&result->undated, job->key);
    } else if (job->date == DATE_LEFT_OUT) {
        result->undated_pictures++;
    } else if (job->created - DAY > (int64_t)time(NULL)) {
        note(&result->future, job->key);
    }
    if (job->date == DATE_SCALED) {
        note(&result->scaled, job->key);
    }
}
