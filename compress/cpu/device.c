/* device.c - see device.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "compress/cpu/device.h"

#include <sched.h>
#include <stdlib.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/product.h"

static int probe(struct error *e) {
    return level_choose(e) != NULL ? 0 : ERR_UNSUPPORTED;
}

static bool has_bf16(void) {
    const struct level *level = level_choose(NULL);
    return level != NULL && level->has_bf16;
}

/* One for each core that the process may use. */
static int workers(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int batch(void) {
    return 1;
}

static void close_device(struct device *device) {
    if (device == NULL) {
        return;
    }
    struct cpu_device *d = cpu_device(device);
    for (int i = 0; i < SCRATCH_COUNT; i++) {
        free(d->scratch[i].data);
    }
    products_close(d->products);
    free(d);
}

static int open_device(struct device **out, enum dtype compute, struct error *e) {
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
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    d->head = (struct device){.backend = &CPU_BACKEND, .ops = &CPU_OPS, .compute = compute};
    d->level = level;
    int rc = products_open(&d->products, level->name, e);
    if (rc < 0) {
        close_device(&d->head);
        return rc;
    }
    *out = &d->head;
    return 0;
}

void cpu_count_bytes(struct device *d, int64_t bytes) {
    d->bytes += (size_t)bytes;
    d->peak_bytes = d->bytes > d->peak_bytes ? d->bytes : d->peak_bytes;
}

int cpu_scratch(void **out, struct device *device, enum scratch which, size_t size,
                struct error *e) {
    struct cpu_device *d = cpu_device(device);
    void **data = &d->scratch[which].data;
    if (size > d->scratch[which].size) {
        size = (size + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT;
        free(*data);
        cpu_count_bytes(device, -(int64_t)d->scratch[which].size);
        d->scratch[which].size = 0;
        *data = aligned_alloc(CPU_ALIGNMENT, size);
        if (*data == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory");
        }
        d->scratch[which].size = size;
        cpu_count_bytes(device, (int64_t)size);
    }
    *out = *data;
    return 0;
}

const struct backend CPU_BACKEND = {.name = "cpu",
                                    .probe = probe,
                                    .has_bf16 = has_bf16,
                                    .workers = workers,
                                    .batch = batch,
                                    .host_memory = true,
                                    .device_open = open_device,
                                    .device_close = close_device};
