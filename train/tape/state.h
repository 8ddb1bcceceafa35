/* state.h - what the files of the tape share. */
#ifndef OCC_TRAIN_TAPE_STATE_H
#define OCC_TRAIN_TAPE_STATE_H

#include "store/arena.h"
#include "train/tape/tape.h"

/* ---- Memory ---------------------------------------------------------------------------------- */

struct memory_block;
struct free_range;

struct tape_memory {
    struct device *device;
    struct memory_block *blocks;
    size_t touched;           /* of them, by this step: the first ones */
    size_t used, peak;        /* bytes of tensors */
    struct free_range *spare; /* to be used again */
    struct arena *arena;      /* of the host */
};

void memory_open(struct tape_memory *m, struct device *device, struct arena *arena);
void memory_close(struct tape_memory *m);
/* All tensors end. To be called before the arena is reset. */
void memory_reset(struct tape_memory *m);
/* Fills in data, stride and home of a tensor whose shape and type are set; ERR_MEMORY. */
int memory_take(struct tape_memory *m, struct tensor *x, struct error *e);
void memory_give(struct tape_memory *m, struct tensor *x); /* data NULL is allowed; becomes NULL */

/* ---- The tape -------------------------------------------------------------------------------- */

/* The gradient of a node, or of several nodes while none of them adds to it. */
struct gradient {
    struct tensor value; /* F32, dense */
    int nodes;
    bool owned; /* memory of the tape */
};

/* A parameter between its first use and its gradient's end. */
struct parameter_use {
    struct parameter_use *next; /* in a bucket of the table of keys */
    struct node node;
    const void *key;
    int64_t pending; /* recorded operations that read it and were not gone back over */
    bool lent;       /* its gradient is the tape's memory, until the sink has seen it */
};

/* A recorded operation; the first member of the struct of its own that an operation may have. */
enum { RECORD_INPUTS = 5 };
struct record {
    struct record *earlier;
    /* dy: the gradient of y, dense. NULL: nothing to do. */
    void (*backward)(struct tape *t, struct record *r, const struct tensor *dy);
    struct node *y;                /* NULL: a loss */
    struct node *x[RECORD_INPUTS]; /* NULL where there is none */
};
#define INPUTS(...) ((struct node *const[RECORD_INPUTS]){__VA_ARGS__})

enum { KEY_BUCKETS = 256 };
struct tape {
    struct device *device;
    const struct ops *ops;
    struct tape_options options;
    enum dtype compute;
    int64_t batch; /* of the backend: times the rows that one thread is given at a time */
    struct arena *arena;
    struct tape_memory memory;
    struct index_table *tables;
    struct parameter_use *parameters[KEY_BUCKETS];
    struct tensor **kept; /* tensors that end with the next tape_begin, or with their block */
    size_t kept_count, kept_capacity;
    struct record *last;
    bool
        discarding; /* a block runs that will run again in the backward pass: nothing is recorded */
    bool repeating; /* it does so now */
    int64_t first_row; /* of the whole that rows belong to which run by themselves: see tape_tail */
    tape_sink *sink;
    void *sink_context;
    int rc;
    struct error failure, error; /* the first one; that of the last call */
};

/* Keeps the first failure, which is in t->error. */
void tape_check(struct tape *t, int rc);
/* Calls an entry of the table, unless the tape has failed. */
#define CALL(t, entry, ...)                                                                        \
    tape_check(t, (t)->rc < 0 ? 0 : (t)->ops->entry((t)->device, __VA_ARGS__, &(t)->error))

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* The node whose memory x shows. */
struct node *tape_root(struct node *x);
/* The part of what is like the root's value that x shows. */
struct tensor tape_shown(const struct node *x, const struct tensor *root);
/* A new node whose value is not filled, which needs a gradient where one of the inputs does; NULL:
 * failed. */
struct node *tape_node(struct tape *t, enum dtype type, const int64_t shape[TENSOR_RANK],
                       struct node *const inputs[RECORD_INPUTS]);
/* The same as a matrix. */
struct node *tape_rows(struct tape *t, enum dtype type, int64_t rows, int64_t width,
                       struct node *const inputs[RECORD_INPUTS]);
/* A node without value or memory. */
struct node *tape_empty(struct tape *t);
/* A zeroed record, where y needs a gradient and is not computed only for later; else NULL. */
void *tape_record(struct tape *t, size_t size,
                  void (*backward)(struct tape *, struct record *, const struct tensor *dy),
                  struct node *y, struct node *const inputs[RECORD_INPUTS]);

static inline bool tape_ready(const struct tape *t, const struct node *x) {
    return x != NULL && t->rc == 0;
}
static inline struct node *tape_done(const struct tape *t, struct node *y) {
    return t->rc == 0 ? y : NULL;
}

/* Memory for x's shape and type until the next tape_begin, or until the block ends that runs;
 * *x stays where it is. */
void tape_keep(struct tape *t, struct tensor *x);
/* Memory until it is given back. */
struct tensor tape_scratch(struct tape *t, enum dtype type, const int64_t shape[TENSOR_RANK]);
void tape_scratch_end(struct tape *t, struct tensor *x);
/* Keeps of what was kept since `mark` the memory of y alone (NULL: nothing). */
void tape_forget(struct tape *t, size_t mark, struct node *y);

/* The value in the type that products read, made where it was not, and then kept. */
struct tensor tape_operand(struct tape *t, struct node *x);
/* x in another type: itself, or a copy in scratch memory. */
struct tensor tape_converted(struct tape *t, const struct tensor *x, enum dtype type);
void tape_converted_end(struct tape *t, struct tensor *converted, const struct tensor *x);

/* ---- Gradients ------------------------------------------------------------------------------- */

/* Where the gradient of x is added to; NULL: not needed, or failed. */
const struct tensor *tape_gradient(struct tape *t, struct node *x);
/* The same, and whether it holds something: where not, it may hold anything. */
const struct tensor *tape_gradient_to_set(struct tape *t, struct node *x, bool *holds);
/* Adds the gradient that has arrived at y to that of x, of the same shape. */
void tape_pass_on(struct tape *t, struct node *x, struct node *y);
/* Adds scratch memory to the gradient of x, of the same shape, and ends it. */
void tape_hand_over(struct tape *t, struct node *x, struct tensor *gradient);
/* The gradient of x is read no more. */
void tape_gradient_end(struct tape *t, struct node *x);
/* Goes back over records, the last one first. */
void tape_go_back(struct tape *t, struct record *last);

/* The gradient of y begins with what has arrived at these rows of a larger node. */
void tape_begin_with(struct tape *t, struct node *y, const struct tensor *dy);

/* ---- Parts of a product: linear.c ---------------------------------------------------------- */

/* y = x W^T + bias, of what products read; bias NULL: none. */
void tape_product(struct tape *t, struct node *y, const struct tensor *x,
                  const struct tensor *weight, const struct node *bias);
void tape_bias_backward(struct tape *t, struct node *bias, const struct tensor *dy);
/* dW += dy^T x, of what products read. */
void tape_weight_backward(struct tape *t, struct node *weight, const struct tensor *dy,
                          const struct tensor *input);

/* ---- Rows of a frozen matrix that are trained: chosen.c ------------------------------------ */

/* Where gradients of `rows` and `whole` are added to; NULL: not wanted. */
struct chosen_gradients {
    const struct tensor *rows, *whole;
};
void tape_chosen_check(const struct tape_adapter *o, const struct packed *w);
/* The chosen columns of y += x D^T. */
void tape_chosen_forward(struct tape *t, const struct tape_adapter *o, const struct tensor *y,
                         const struct tensor *x);
struct chosen_gradients tape_chosen_gradients(struct tape *t, const struct tape_adapter *o);
/* Of some rows of dy, as products read them, and x: adds to the gradients and dx (NULL: not
 * wanted). */
void tape_chosen_backward(struct tape *t, const struct tape_adapter *o,
                          const struct chosen_gradients *g, const struct tensor *dx,
                          const struct tensor *dy, const struct tensor *x);

/* For the sink: the backward pass does nothing here, but the inputs' uses end. */
void tape_record_loss(struct tape *t, struct node *const inputs[RECORD_INPUTS]);

/* ---- Losses: loss.c -------------------------------------------------------------------------- */

/* Memory for the device to classify in: most of a step's is free when losses are taken. */
struct tensor tape_lend(struct tape *t, int64_t rows, int64_t inputs, int64_t outputs);
void tape_lend_end(struct tape *t, struct tensor *lent);

/* ---- Parts ----------------------------------------------------------------------------------- */

void tape_tables_close(struct tape *t);

#endif
