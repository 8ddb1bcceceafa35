/* durations.c - see durations.h. */
#include "ingest/archive/durations.h"

#include <string.h>

#include "ingest/media/file.h"

static int worker_begin(void *context, struct error *e) {
    (void)context;
    (void)e;
    media_silence();
    return 0;
}

static int worker_measure(void *context, size_t index, const struct pool_failure *before,
                          struct heartbeat *heartbeat, struct bytes *result, struct error *e) {
    const struct media_duration *items = context;
    struct media_file file;
    int64_t duration_ms = -1;
    if (before == NULL && media_file_open(&file, items[index].path, heartbeat, NULL) == 0) {
        bool known = file.format->duration > 0 &&
                     file.format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
        duration_ms = known ? file.format->duration / 1000 : 0;
        media_file_close(&file);
    }
    return bytes_append(result, &duration_ms, sizeof duration_ms, e);
}

static int parent_note(void *context, size_t index, const struct bytes *result,
                       const struct pool_failure *failure, struct error *e) {
    struct media_duration *item = (struct media_duration *)context + index;
    (void)e;
    item->duration_ms = -1;
    if (failure == NULL && result != NULL && result->size == sizeof item->duration_ms) {
        memcpy(&item->duration_ms, result->data, sizeof item->duration_ms);
    }
    return 0;
}

int durations_read(struct media_duration *items, size_t count, const struct pool_options *pool,
                   const volatile sig_atomic_t *cancel, struct error *e) {
    struct pool_calls calls = {
        .context = items, .begin = worker_begin, .task = worker_measure, .done = parent_note};
    return count ? pool_run(0, count, pool, &calls, cancel, NULL, e) : 0;
}
