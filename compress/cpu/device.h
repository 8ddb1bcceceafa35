/* device.h - the CPU as a device: a level of kernels, the products that its thread has met, and
 * scratch memory that grows to the largest that was asked for. One thread computes an operation:
 * devices run beside each other. */
#ifndef OCC_COMPRESS_CPU_DEVICE_H
#define OCC_COMPRESS_CPU_DEVICE_H

#include "compress/cpu/level.h"
#include "compress/ops.h"
#include "store/buffer.h"

struct products;
struct team;

/* Who holds which scratch memory while an operation runs. */
enum scratch {
    SCRATCH_WALK,   /* what walk.h converts */
    SCRATCH_INPUT,  /* what a product reads, in the type of its weights */
    SCRATCH_HIDDEN, /* a block between the two products of an mlp; patches of pictures */
    SCRATCH_RESULT, /* a product's result, of which BF16 is made */
    SCRATCH_HEAD,   /* an attention's kernel */
    SCRATCH_WINDOW, /* where the tokens of a window stand */
    SCRATCH_GEMM,   /* what a product packs; rows for products with a few */
    SCRATCH_CHUNK,  /* of the rows of a classification: inputs, logits and gradients */
    SCRATCH_COUNT
};

struct cpu_device {
    struct device head;
    const struct level *level;
    struct products *products;
    struct buffer scratch[SCRATCH_COUNT];
    struct team *team; /* that shares its operations (team.h); NULL: none */
    size_t team_bytes; /* of the threads' devices, that are counted in `head` */
};

static inline struct cpu_device *cpu_device(struct device *d) {
    return (struct cpu_device *)d;
}

extern const struct backend CPU_BACKEND;

/* A device without a team; `ops`: CPU_OPS, or those of a team. */
int cpu_device_open(struct cpu_device **out, const struct ops *ops, enum dtype compute,
                    struct error *e);

enum { CPU_ALIGNMENT = BUFFER_ALIGNMENT };

/* `size` bytes, 64-byte aligned, whose contents are not kept from one call to the next. */
int cpu_scratch(void **out, struct device *d, enum scratch which, size_t size, struct error *e);
/* Counts memory that is taken, or, less than 0, given back. */
void cpu_count_bytes(struct device *d, int64_t bytes);

#endif
