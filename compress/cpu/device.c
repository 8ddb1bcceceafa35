/* device.c - see device.h. */
#include "compress/cpu/device.h"

#include <stdlib.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/product.h"
#include "compress/cpu/team.h"
#include "store/cpu_count.h"

static int probe(int number, struct error *e) {
    (void)number;
    return level_choose(e) != NULL ? 0 : ERR_UNSUPPORTED;
}

static bool has_bf16(void) {
    const struct level *level = level_choose(NULL);
    return level != NULL && level->has_bf16;
}

static int batch(void) {
    return 1;
}

static void close_device(struct device *device) {
    if (device == NULL) {
        return;
    }
    struct cpu_device *d = cpu_device(device);
    team_close(d->team);
    for (int i = 0; i < SCRATCH_COUNT; i++) {
        buffer_free(&d->scratch[i]);
    }
    products_close(d->products);
    free(d);
}

int cpu_device_open(struct cpu_device **out, const struct ops *ops, enum dtype compute,
                    struct error *e) {
    *out = NULL;
    const struct level *level = level_choose(e);
    if (level == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (compute == DTYPE_BF16 && !level->has_bf16) {
        return error_set(e, ERR_UNSUPPORTED, "no bf16 products at level %s of this processor",
                         level->name);
    }
    struct cpu_device *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    d->head = (struct device){.backend = &CPU_BACKEND, .ops = ops, .compute = compute};
    d->level = level;
    int rc = products_open(&d->products, level->name, e);
    if (rc < 0) {
        close_device(&d->head);
        return rc;
    }
    *out = d;
    return 0;
}

static int open_device(struct device **out, const struct backend *b, enum dtype compute,
                       struct error *e) {
    (void)b;
    struct cpu_device *d = NULL;
    int rc = cpu_device_open(&d, &CPU_OPS, compute, e);
    *out = rc == 0 ? &d->head : NULL;
    return rc;
}

static int open_team(struct device **out, enum dtype compute, int threads, struct error *e) {
    struct cpu_device *d = NULL;
    int rc = cpu_device_open(&d, &TEAM_OPS, compute, e);
    if (rc == 0) {
        rc = team_open(&d->team, threads > 0 ? threads : cpu_count(), compute, e);
    }
    if (rc < 0) {
        close_device(d != NULL ? &d->head : NULL);
        d = NULL;
    }
    *out = d != NULL ? &d->head : NULL;
    return rc;
}

void cpu_count_bytes(struct device *d, int64_t bytes) {
    d->bytes += (size_t)bytes;
    d->peak_bytes = d->bytes > d->peak_bytes ? d->bytes : d->peak_bytes;
}

int cpu_scratch(void **out, struct device *device, enum scratch which, size_t size,
                struct error *e) {
    struct buffer *b = &cpu_device(device)->scratch[which];
    int64_t before = (int64_t)b->size;
    int rc = buffer_reserve(b, size, 1, e);
    cpu_count_bytes(device, (int64_t)b->size - before);
    *out = b->data;
    return rc;
}

const struct backend CPU_BACKEND = {.name = "cpu",
                                    .probe = probe,
                                    .has_bf16 = has_bf16,
                                    .workers = cpu_count,
                                    .batch = batch,
                                    .host_memory = true,
                                    .device_open = open_device,
                                    .team_open = open_team,
                                    .device_close = close_device};
