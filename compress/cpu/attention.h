/* attention.h - what attention.c hands to the kernels of a level (attention_body.h,
 * attention_backward_body.h).
 *
 * A group is one key head of one sequence, or of one window, and the query heads that read it. */
#ifndef OCC_COMPRESS_CPU_ATTENTION_H
#define OCC_COMPRESS_CPU_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/dtype.h"

/* The tokens of one or more heads. data NULL: not wanted. */
struct attention_rows {
    void *data; /* F32 or BF16: of the first token and head */
    enum dtype type;
    int64_t step, head; /* elements from token to token, and from head to head */
    const float *pad;   /* (heads, head_dim): stands where `place` is negative */
};

enum { ATTENTION_FEW = 8 };

/* What the groups of a call share. */
struct attention_call {
    int64_t dim;           /* of a head */
    int64_t queries, keys; /* of the longest sequence */
    bool few;              /* queries of a group, ATTENTION_FEW at most; neither bias nor places */
    bool backward;
    float scale;
    bool causal;
    int64_t span;
    int64_t height, width; /* of the grid; 0: no bias */
    struct attention_rows rel_h, rel_w, drel_h, drel_w;
};

struct attention_group {
    int64_t heads, queries, keys;
    int64_t start;        /* of the first query among the keys */
    const int64_t *place; /* of each token in its rows; NULL: in order */
    struct attention_rows q, k, v, out;
    float *log_sum_exp; /* of the first head, or NULL */
    int64_t log_head;   /* numbers from head to head */
    struct attention_rows dout, dq, dk, dv;
};

/* One compute type at one level. A call is begin, any number of groups, end. */
struct attention_kernels {
    size_t (*scratch)(const struct attention_call *c); /* bytes, 64-byte aligned */
    void (*begin)(const struct attention_call *c, void *scratch);
    void (*forward)(const struct attention_call *c, const struct attention_group *g, void *scratch);
    void (*backward)(const struct attention_call *c, const struct attention_group *g,
                     void *scratch);
    void (*end)(const struct attention_call *c, void *scratch);
};

extern const struct attention_kernels ATTENTION_PORTABLE, ATTENTION_AVX2, ATTENTION_AVX512,
    ATTENTION_AVX512BF16, ATTENTION_AMX;

#endif
