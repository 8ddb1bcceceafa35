/* team_split.h - operations whose tensors are cut, each part computed like the whole by the CPU's
 * operation (cpu_NAME). */
#ifndef OCC_COMPRESS_CPU_TEAM_SPLIT_H
#define OCC_COMPRESS_CPU_TEAM_SPLIT_H

#include "compress/cpu/team.h"
#include "compress/tensor.h"

enum { SPLIT_TENSORS = 6 };

enum split_as {
    SPLIT_PART,   /* is cut */
    SPLIT_WHOLE,  /* all parts read it */
    SPLIT_NUMBERS /* dense, a number for each row: is cut with the rows */
};

/* A call of an operation: its tensors (NULL: not there), in the order that it takes them, and what
 * else it takes. The first that is not NULL gives the size of the axis that is cut. */
struct split {
    int count;
    const struct tensor *tensors[SPLIT_TENSORS];
    enum split_as as[SPLIT_TENSORS];
    int (*part)(struct device *d, const struct tensor *const t[], const void *rest,
                struct error *e);
    const void *rest;
    int64_t work; /* see cpu_pieces; 0: the elements of the first */
};

/* Of a piece; t NULL: none. */
static inline struct tensor split_row_range(const struct tensor *t, const struct share *rows) {
    return t != NULL ? tensor_row_range(t, rows->first, rows->count)
                     : (struct tensor){.data = NULL};
}

/* One axis, 0 to 3; tensors whose size there is 1 are repeated. */
int split_axis(struct device *d, const struct split *s, int axis, struct error *e);
/* All as matrices. */
int split_rows(struct device *d, const struct split *s, struct error *e);
int split_columns(struct device *d, const struct split *s, struct error *e);
/* By rows where all have the same and there are many, or else by columns. */
int split_elements(struct device *d, const struct split *s, struct error *e);

#endif
