/* device.h - what computes: the processor or a GPU; which there are and how they are opened.
 *
 * A device is opened by the thread that uses it and belongs to that thread; packed weights and
 * memory may be read by all devices of one backend. Of several GPUs each is a backend, and a
 * process uses one. */
#ifndef OCC_COMPRESS_DEVICE_H
#define OCC_COMPRESS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/dtype.h"
#include "store/error.h"

struct backend;
struct ops;

/* The head of what each backend calls its device. */
struct device {
    const struct backend *backend;
    const struct ops *ops;
    enum dtype compute; /* what products multiply: F32, or BF16 with F32 sums */
    /* Of its memory, scratch included and packed weights not: taken now, and the most at a time. */
    size_t bytes, peak_bytes;
    /* Memory of the device that its operations may use while they run, lent by who does not need
     * it meanwhile; NULL: none. */
    void *lent;
    size_t lent_bytes;
};

struct backend {
    const char *name;
    int number;  /* 1 in "cuda:1" */
    int numbers; /* so many of the name stand in a row, beginning with 0; 0: it takes no number */
    /* 0, or ERR_UNSUPPORTED with what is missing: not built, no driver, no such processor. */
    int (*probe)(int number, struct error *e);
    bool (*has_bf16)(void);
    /* How many devices should be open at a time (a thread each), and how many pages of 1024 x 1024
     * each should be given at once: of other work that can be cut, so many times what a core is. */
    int (*workers)(void);
    int (*batch)(void);
    bool host_memory; /* its memory is the host's: it reads what lies there */
    /* Bytes of its memory that nobody has taken; NULL where that is the host's. */
    int (*memory_left)(int number, size_t *out, struct error *e);
    /* Memory of the host to and from which a device copies without a detour, for threads that have
     * one open; what is sent from there must not change before the next download or `synchronize`.
     * NULL: no memory is better than other. */
    void *(*host_alloc)(size_t size);
    void (*host_free)(void *data);
    int (*device_open)(struct device **out, const struct backend *b, enum dtype compute,
                       struct error *e);
    /* See device_open_team; NULL: a device is as fast as all of them. */
    int (*team_open)(struct device **out, enum dtype compute, int threads, struct error *e);
    void (*device_close)(struct device *d); /* NULL is allowed */
};

/* "cpu", "cuda" (the first GPU), "cuda:1" (the second), or "auto": the fastest that is there.
 * ERR_USAGE for another name, ERR_UNSUPPORTED with the reason where a backend was not built or
 * finds no device. */
int backend_open(const struct backend **out, const char *name, struct error *e);
/* "auto", "cpu", "cuda", NULL: for the completion of command lines. */
extern const char *const BACKEND_NAMES[];

/* The type that `name` stands for: "bf16", "f32", or "auto": BF16 where the backend has it.
 * ERR_UNSUPPORTED where it has not. */
int backend_compute(const struct backend *b, const char *name, enum dtype *out, struct error *e);

int device_open(struct device **out, const struct backend *b, enum dtype compute, struct error *e);
/* One device whose operations are shared by `threads` threads (0: as many as the backend has
 * workers): for one sample at a time, which is then done sooner and takes memory once. It belongs
 * to the thread that opened it like any other. The results of an operation depend on the number of
 * threads by rounding alone, and are the same from call to call. */
int device_open_team(struct device **out, const struct backend *b, enum dtype compute, int threads,
                     struct error *e);
void device_close(struct device *d); /* NULL is allowed */

#endif
