/* task.h - what the files of the task share; private to train/tune/. */
#ifndef OCC_TRAIN_TUNE_TASK_H
#define OCC_TRAIN_TUNE_TASK_H

#include "train/tune/tune.h"

/* What was found on rows. */
struct tune_sums {
    double loss; /* of all targets */
    int64_t targets, tokens, rows;
    double seconds; /* that a thread took for them */
};

/* The adapter that a run begins with: what of it is there is open. See start.c. */
struct tune_start {
    struct lora_folder lora;
    struct bridge_folder bridge;
    struct gspf_folder rows;
    bool has_lora, has_bridge, has_rows;
    uint64_t hash;
};

struct tune_task {
    /* Set up before the run. */
    const struct tune_options *options;
    const struct decoder_config *config;
    const struct decoder_folder *model; /* NULL: a forecast of a configuration alone */
    struct tune_data data;              /* empty: a forecast */
    bool dry;                           /* a forecast: what is open has no numbers */
    struct device *device;              /* of what is frozen, for all threads */
    struct decoder *base;               /* the frozen weights; NULL in full */
    struct lora *below;                 /* frozen, below rows that are trained; NULL: none */
    size_t below_bytes;
    struct tune_start start;
    struct lora_options lora;
    struct bridge_options bridge;
    struct bridge_names *names;  /* of BRIDGE_NAMED */
    bool reader;                 /* the reading head is the bridge's own */
    struct safetensors *encoder; /* for a reading head that is not, or to be trained; NULL: not
                                    needed */
    struct encoder_config encoder_config; /* of one that is trained */
    struct mask mask;                     /* of rows that are trained */
    struct gspf_freeze *freeze;           /* which of them do not learn now; NULL: there are none */
    struct tune_shape shape;              /* of a row that takes as much memory as any */
    int64_t batch;                        /* rows of a step */
    int64_t training_rows, held_rows, measured_rows;
    int64_t trained; /* parameters */
    double started;  /* seconds */

    /* Between the phases of a step. */
    int64_t step, threads;
    struct tune_sums learned, held_out; /* since the last line; in the measurement at hand */
    int64_t tokens;                     /* of this run */
    double begun, learning;             /* the step, and what whole steps took: seconds */
    double measuring;                   /* seconds of it that were spent on held-out rows */

    /* Of held-out rows, in checkpoints: see tune.h. */
    double before, best, last;
    int64_t best_step, worse;
    int64_t measured; /* in this run, after a step */
    bool is_news;     /* `last` is in no line of the metrics yet */

    /* Of experts: see routing.c. NULL: there are none. */
    struct bridge_routing routed;          /* since the last line of the metrics */
    struct bridge_routing *rows;           /* of the held-out rows in the measurement at hand */
    double *routing_numbers, *row_numbers; /* in which these are */
    json_t *routing;                       /* of the best weights; NULL: nothing was measured */
};

/* start.c: opens what --from has, and settles with it what is trained; refuses what does not fit
 * together. */
int tune_start_open(struct tune_task *k, struct error *e);
/* Once the base is open: the bridge's options, and the file of a reading head that is not its own.
 */
int tune_start_bridge(struct tune_task *k, struct error *e);
void tune_start_close(struct tune_task *k);

/* rows.c: rows of text or of a layout, in one form. */
struct tune_counts {
    int64_t rows, held_rows;
};
struct tune_counts tune_rows_count(const struct tune_data *d);
uint64_t tune_rows_hash(const struct tune_data *d);
size_t tune_rows_bytes(const struct tune_data *d);
/* Of a row that takes as much memory as any. */
struct tune_shape tune_rows_largest(const struct tune_data *d);
/* A thread's memory for a row. */
struct tune_space {
    struct layout_space *layout; /* NULL for text */
};
int tune_space_open(struct tune_space *s, const struct tune_data *d, struct error *e);
void tune_space_close(struct tune_space *s);
/* Valid until the next one. */
int tune_row(const struct tune_data *d, struct tune_space *s, enum corpus_set set, int64_t epoch,
             int64_t index, struct context_row *row, struct error *e);
int64_t tune_row_targets(const struct tune_data *d, int64_t epoch, int64_t index);

/* encoder.c: a thread's memory for visual tokens that are made from pages. */
struct tune_encoded; /* opaque */
int tune_encoded_open(struct tune_encoded **out, const struct tune_task *k,
                      const struct layout_space *space, struct error *e);
void tune_encoded_close(struct tune_encoded *m); /* NULL is allowed */
static inline bool tune_encodes(const struct tune_options *o) {
    return o->bridge.used && o->encoder_rate > 0;
}

/* pass.c: a row through the network. */
struct tune_pass {
    const struct tune_task *task;
    const struct tape_source *source;
    const struct tensor *frequency, *loss; /* of the device; what is added to */
    uint64_t number;                       /* of the row, for dropout */
    float scale, balance;           /* of the loss, of the experts' term; 0, 0: forward alone */
    struct bridge_routing *routing; /* NULL: not wanted */
    struct gspf_scores *scores;     /* phase A: who looks at gradients; NULL: training */
    struct tune_encoded *encoded;   /* visual tokens are made from pages; NULL: as stored */
};
int tune_pass_row(const struct tune_pass *p, const struct context_row *row, struct tape *t,
                  struct error *e);
/* The same of a row of that shape, on a device that computes nothing. */
int tune_pass_shape(const struct tune_pass *p, const struct tune_shape *shape, struct tape *t,
                    struct error *e);
/* encoder.c: before a row's pass, makes its visual tokens; in it, puts them and what else the row
 * has onto the tape (`back`: the row goes back to them); after it, goes back through their pages.
 */
int tune_encoded_make(struct tune_encoded *m, const struct tune_pass *p,
                      const struct context_row *row, struct tape *t, struct error *e);
struct node *tune_encoded_embed(struct tune_encoded *m, const struct context_network *n,
                                const struct decoder_parts *parts, struct tape *t,
                                const struct context_row *row, bool back);
int tune_encoded_teach(struct tune_encoded *m, const struct tune_pass *p,
                       const struct context_row *row, struct tape *t, struct error *e);
/* Both passes of a page, on a device that computes nothing. */
int tune_encoded_rehearse(struct tune_encoded *m, const struct tune_pass *p,
                          const struct page_image *image, struct tape *t, struct error *e);

/* encoder_file.c: what of the encoder is trained, its first values, and its file. */
int tune_encoder_list(const struct tune_task *k, tensor_spec_take *take, void *context,
                      struct error *e);
int tune_encoder_first(const struct tune_task *k, const struct tensor_spec *spec, float *values,
                       struct error *e);
/* As TUNE_ENCODER in the folder; *fingerprint: of what was written. */
int tune_encoder_ship(const struct tune_task *k, const struct optimizer *o, const char *folder,
                      uint64_t *fingerprint, struct error *e);

/* Of the device; the caller releases both, after a failure, too. */
int tune_pass_tensors(struct device *d, const struct decoder_config *c, struct tensor *frequency,
                      struct tensor *loss, struct error *e);

/* choose.c: phases A and B of GSPF; to mask.txt in the run's folder, or from there. */
int tune_choose(struct tune_task *k, const struct trainer_options *trainer,
                const volatile sig_atomic_t *cancel, struct error *e);
/* Rows of as many bytes, by chance: also for a forecast. */
int tune_choose_any(struct tune_task *k, struct error *e);
int tune_copy_mask(struct mask *to, const struct mask *from, struct error *e);
void tune_mask_comment(const struct tune_task *k, char out[256]);

/* tune.c: a device to compute with; the frozen decoder on the task's device; the memory of the task
 * as it is. */
int tune_open_device(const struct tune_task *k, struct device **out, struct error *e);
int tune_open_decoder(const struct tune_task *k, struct decoder **out, struct error *e);
int tune_task_forecast(struct tune_task *k, struct ledger *ledger, struct error *e);

/* weights.c */
int tune_task_list(void *context, struct parameters *p, struct error *e);
int tune_task_fill(void *context, struct parameters *p, struct error *e);
int tune_task_ship(void *context, const struct optimizer *o, const char *path, struct error *e);
/* The bridge alone, frozen; tune_task_fill fills it, too. */
int tune_bridge_list(const struct tune_task *k, struct parameters *p, struct error *e);
int64_t tune_trained(const struct tune_task *k); /* parameters */

/* step.c */
int tune_task_open(void *context, void **worker, struct device *device, struct error *e);
void tune_task_close(void *worker);
int tune_task_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e);
int64_t tune_task_learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                        struct error *e);
int tune_task_measure(void *worker, int64_t index, const struct trainer_pass *pass,
                      struct error *e);
int tune_task_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                       struct error *e);
int tune_task_collect(void *context, void *worker, struct error *e);
void tune_task_discard(void *worker);

/* held_out.c */
int64_t tune_measured_row(const struct tune_task *k, int64_t index);
int64_t tune_task_held_out(void *context, int64_t step, bool last);
int tune_task_judge(void *context, int64_t step, struct trainer_verdict *verdict, struct error *e);
json_t *tune_task_state(void *context);
int tune_task_restore(void *context, const json_t *state, struct error *e);

/* routing.c: what the router does with each account's tokens. Memory for `count` sums is the
 * caller's to free; NULL: there is none. */
double *tune_routing_numbers(struct bridge_routing *list, int64_t experts, int64_t count);
void tune_routing_clear(struct bridge_routing *r, int64_t experts);
void tune_routing_move(struct bridge_routing *to, struct bridge_routing *from, int64_t experts);
int tune_routing_open(struct tune_task *k, struct error *e);
void tune_routing_close(struct tune_task *k);
/* Of the rows since the last line of the metrics: a new reference. */
json_t *tune_routing_line(const struct tune_task *k);
/* Of the held-out rows that were measured: a new reference; NULL: out of memory. */
json_t *tune_routing_report(const struct tune_task *k, int64_t step);
/* To and from the task's state in a checkpoint. */
int tune_routing_save(const struct tune_task *k, json_t *state);
int tune_routing_restore(struct tune_task *k, const json_t *state, struct error *e);
/* The report of the best weights as "routing.json" in the run's folder. */
int tune_routing_write(const struct tune_task *k, struct error *e);

#endif
