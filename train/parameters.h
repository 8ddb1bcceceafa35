/* parameters.h - what a network computes with and what of it is trained: named tensors.
 *
 * Each has memory of its own on the device that it was opened with: the value, F32 where it is
 * trained, and a BF16 copy of what products multiply where the device computes in BF16. A frozen
 * one has no gradient, no moments and one copy: what products multiply is held in the device's
 * type, and where the device reads the host's memory it may lie in the file that it comes from. */
#ifndef OCC_TRAIN_PARAMETERS_H
#define OCC_TRAIN_PARAMETERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/device.h"
#include "compress/tensor.h"
#include "compress/tensor_spec.h"
#include "store/safetensors.h"
#include "train/tape/source.h"

struct parameter {
    struct tensor_spec spec;
    struct tensor value; /* (spec.rows, width): F32, or BF16 where it is frozen */
    struct tensor bf16;  /* the same in BF16; data NULL: not needed */
    bool mapped;         /* value lies in a file */
};

struct parameters; /* opaque */

/* `device` outlives them, and belongs to the calling thread. */
int parameters_open(struct parameters **out, struct device *device, struct error *e);
void parameters_close(struct parameters *p); /* NULL is allowed */

/* Before parameters_allocate. ERR_FORMAT for a name given twice. */
int parameters_add(struct parameters *p, const struct tensor_spec *spec, struct error *e);
/* For lists of tensors, `context` the parameters: adds what is not optional. */
tensor_spec_take parameters_take;
tensor_spec_take parameters_take_frozen; /* likewise: adds all, none of them trainable */

/* Before parameters_allocate: a frozen parameter lies at `value`, of the device, which must outlive
 * it. */
void parameters_place(struct parameters *p, size_t index, const struct tensor *value);
/* The same for all frozen parameters that `file` has where, and in the type in which, the device
 * can read them; the others are left to parameters_load_some. */
void parameters_map(struct parameters *p, const struct safetensors *file);
/* Memory for the others, zeroed. */
int parameters_allocate(struct parameters *p, struct error *e);

size_t parameters_count(const struct parameters *p);
const struct parameter *parameters_get(const struct parameters *p, size_t index);
const struct parameter *parameters_find(const struct parameters *p, const char *name); /* or NULL */
size_t parameters_index(const struct parameters *p, const struct parameter *one);
struct device *parameters_device(const struct parameters *p);
/* Bytes of the values that are not mapped, with their copies: also before they are allocated. */
size_t parameters_bytes(const struct parameters *p);

/* ---- Values -------------------------------------------------------------------------------- */

/* The values of a parameter from and to `count` numbers of the host; the copy in BF16 follows. */
int parameters_set(struct parameters *p, size_t index, const float *values, struct error *e);
int parameters_read(const struct parameters *p, size_t index, float *values, struct error *e);
/* The first values of all that are not mapped, each from a stream of its own of `seed`. */
int parameters_fill(struct parameters *p, uint64_t seed, struct error *e);
/* The values of all: `read` gives them by name. */
typedef int parameters_named_reader(void *context, const char *name, float *values,
                                    struct error *e);
int parameters_fill_from(struct parameters *p, parameters_named_reader *read, void *context,
                         struct error *e);
/* The values of all parameters from a file; tensors of it that are not parameters are passed over.
 * ERR_FORMAT names what is missing or of another shape. */
int parameters_load(struct parameters *p, const char *path, struct error *e);
/* As parameters_load, but what is missing or of another shape keeps the values that it has;
 * *missing: how many these are. */
int parameters_load_some(struct parameters *p, const struct safetensors *file, const char *path,
                         size_t *missing, struct error *e);

/* Writes a file of F32 tensors, one after the other: `read` gives the numbers of specs[i]. */
typedef int parameters_reader(void *context, size_t i, float *values, struct error *e);
int parameters_write(const char *path, const struct tensor_spec *specs, size_t count,
                     parameters_reader *read, void *context, const json_t *metadata,
                     struct error *e);

/* Tensors that are listed to be written. {0} is an empty list; `specs` is free's. */
struct tensor_list {
    struct tensor_spec *specs;
    size_t count, capacity;
};
tensor_spec_take tensor_list_take; /* adds to the list, its `context` */
/* As parameters_write, in F32, F16 or BF16: `read` gives the numbers by name. */
int tensor_list_write(const char *path, const struct tensor_list *l, enum dtype type,
                      parameters_named_reader *read, void *context, const json_t *metadata,
                      struct error *e);

/* ---- Gradients ------------------------------------------------------------------------------ */

/* A thread's own: of each trainable parameter (rows, width) in F32 on the thread's device, zeros
 * at first, and whether something was added to it. */
struct gradients {
    const struct parameters *parameters;
    struct device *device;
    struct tensor *list; /* data NULL: frozen */
    bool *reached;
};
int gradients_open(struct gradients *g, const struct parameters *p, struct device *device,
                   struct error *e);
void gradients_close(struct gradients *g);
size_t gradients_bytes(const struct parameters *p); /* of one thread's */

/* ---- On a tape ------------------------------------------------------------------------------ */

/* Parameters by name, for networks: those of gradients are learned, those alone only read. What is
 * pointed to outlives the source. A name that was not added fails the tape. */
struct tape_source gradients_source(const struct gradients *g);
struct tape_source parameters_source(const struct parameters *p);
/* A tape_sink, `context` the gradients: notes that a parameter's gradient has reached. */
int gradients_sink(void *context, const void *key, const struct tensor *gradient, struct error *e);
/* None has reached. */
void gradients_forget(struct gradients *g);

#endif
