/* The trainer with a task that has nothing to do with reading: a map learned from examples, through
 * a frozen one. */
#include "train/trainer.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store/random.h"
#include "store/safetensors.h"
#include "tests/trained.h"

enum { IN = 12, HIDDEN = 16, OUT = 5, ROWS = 3, SLOTS = 64, STEPS = 60 };

/* ---- The task -------------------------------------------------------------------------------- */

struct linear_task {
    int64_t samples; /* a step */
    bool adapter;    /* the first map is frozen */
    struct trainer_step step;
    float truth[OUT][IN];
    double loss; /* since the last line */
    int64_t count;
    int64_t last_slot; /* of a thread */
};

struct linear_worker {
    struct linear_task *task;
    uint64_t random[SLOTS];
    double loss;
    int64_t count, last_slot;
};

static int list(void *context, struct parameters *p, struct error *e) {
    const struct linear_task *task = context;
    struct tensor_spec first = tensor_spec_of(TENSOR_MATRIX, "body", TENSOR_SPEC_SHAPE(HIDDEN, IN));
    struct tensor_spec second =
        tensor_spec_of(TENSOR_MATRIX, "body", TENSOR_SPEC_SHAPE(OUT, HIDDEN));
    first.trainable = !task->adapter;
    snprintf(first.name, sizeof first.name, "first");
    snprintf(second.name, sizeof second.name, "second");
    int rc = parameters_add(p, &first, e);
    return rc == 0 ? parameters_add(p, &second, e) : rc;
}

static int fill(void *context, struct parameters *p, struct error *e) {
    (void)context;
    return parameters_fill(p, 11, e);
}

static json_t *options_of(void *context) {
    (void)context;
    return json_pack("{s:i}", "seed", 11);
}

static int read_shipped(void *context, size_t i, float *values, struct error *e) {
    return optimizer_read(context, i, values, e);
}

static int ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    struct tensor_spec specs[2];
    (void)context;
    for (size_t i = 0; i < 2; i++) {
        specs[i] = parameters_get(o->parameters, i)->spec;
    }
    return parameters_write(path, specs, 2, read_shipped, (void *)(uintptr_t)o, NULL, e);
}

static int64_t plan(void *context, const struct trainer_step *step) {
    struct linear_task *task = context;
    task->step = *step;
    return task->samples;
}

static int open_worker(void *context, void **worker, struct device *device, struct error *e) {
    struct linear_worker *w = calloc(1, sizeof *w);
    (void)device;
    *worker = w;
    if (w == NULL) {
        return error_memory(e, NULL);
    }
    w->task = context;
    return 0;
}

static int load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct linear_worker *w = worker;
    (void)e;
    w->random[slot] = random_stream(5, (uint64_t)(w->task->step.number * w->task->samples + index));
    *targets = ROWS;
    return 0;
}

/* Half of the squared difference from the truth, for each row. */
static int go(const struct linear_task *task, uint64_t random, const struct trainer_pass *pass,
              double *loss, struct error *e) {
    struct tape *t = pass->tape;
    tape_begin(t);
    float *x = tape_host(t, ROWS * IN, sizeof *x), *dy = tape_host(t, ROWS * OUT, sizeof *dy);
    for (int i = 0; x != NULL && i < ROWS * IN; i++) {
        x[i] = (float)(2 * random_unit(&random) - 1);
    }
    const struct tensor host = tensor_matrix(x, DTYPE_F32, NULL, ROWS, IN);
    const struct tensor input = tape_upload(t, &host);
    if (dy == NULL || input.data == NULL) {
        return tape_status(t, e);
    }
    struct node *y =
        tape_linear(t, tape_input(t, &input, NULL), tape_named(pass->parameters, t, "first"), NULL);
    y = tape_linear(t, y, tape_named(pass->parameters, t, "second"), NULL);
    if (y == NULL) {
        return tape_status(t, e);
    }
    const struct tensor result = tensor_matrix(dy, DTYPE_F32, NULL, ROWS, OUT);
    struct device *d = tape_device(t);
    int rc = d->ops->download(d, &result, &y->value, e);
    for (int i = 0; i < ROWS * OUT; i++) {
        for (int k = 0; k < IN; k++) {
            dy[i] -= task->truth[i % OUT][k] * x[i / OUT * IN + k];
        }
        *loss += 0.5 * (double)dy[i] * (double)dy[i];
        dy[i] = (float)((double)dy[i] / pass->targets);
    }
    const struct tensor gradient = tape_upload(t, &result);
    tape_backward_from(t, y, &gradient);
    return rc == 0 ? tape_backward(t, e) : rc;
}

/* One after the other, though several would be there. */
static int64_t learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                     struct error *e) {
    struct linear_worker *w = worker;
    (void)count;
    w->count += ROWS;
    w->last_slot = slot;
    int rc = go(w->task, w->random[slot], pass, &w->loss, e);
    return rc < 0 ? rc : 1;
}

static int rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                    struct error *e) {
    double loss = 0;
    (void)threads;
    return go(context, 1, pass, &loss, e);
}

static int collect(void *context, void *worker, struct error *e) {
    struct linear_task *task = context;
    struct linear_worker *w = worker;
    (void)e;
    task->loss += w->loss;
    task->count += w->count;
    task->last_slot = w->last_slot;
    w->loss = 0;
    w->count = 0;
    return 0;
}

static void report(void *context, json_t *line, double *loss) {
    struct linear_task *task = context;
    *loss = task->loss / (double)task->count;
    if (line != NULL) {
        json_object_set_new(line, "loss", json_real(*loss));
        task->loss = 0;
        task->count = 0;
    }
}

static struct task task_of(struct linear_task *context) {
    return (struct task){.context = context,
                         .samples = "examples",
                         .shipped = "map.safetensors",
                         .list = list,
                         .fill = fill,
                         .options = options_of,
                         .ship = ship,
                         .plan = plan,
                         .open = open_worker,
                         .close = free,
                         .load = load,
                         .learn = learn,
                         .rehearse = rehearse,
                         .collect = collect,
                         .report = report};
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static char folder[] = "trainer-XXXXXX";

static void remove_files(void) {
    unlink("checkpoint.safetensors");
    unlink("map.safetensors");
    unlink("metrics.ndjson");
}

/* Of the last line of the metrics. */
static json_t *last_line(void) {
    FILE *file = fopen("metrics.ndjson", "r");
    json_t *line = NULL;
    for (json_t *next = NULL; file != NULL; line = next) {
        next = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
        if (next == NULL) {
            fclose(file);
            break;
        }
        json_decref(line);
    }
    return line;
}

static void run_with(struct linear_task *context, int64_t threads, int64_t team, int64_t samples,
                     int64_t stop_at, int code) {
    struct trainer_options o = TRAINER_DEFAULTS;
    struct trainer_result result;
    struct error e = {0};
    const struct task task = task_of(context);
    uint64_t random = 3;
    for (int i = 0; i < OUT * IN; i++) {
        context->truth[i / IN][i % IN] = (float)(2 * random_unit(&random) - 1);
    }
    context->samples = samples;
    o.folder = ".";
    o.device = tested_device();
    o.threads = threads;
    o.team = team;
    o.stop_at = stop_at;
    o.schedule = (struct schedule){.rate = 0.05, .steps = STEPS, .warm_up = 5};
    CHECK_NUMBER(trainer_run(&o, &task, NULL, &result, &e), code);
    CHECK_TEXT(e.text, code == 0 ? "" : "stopped at step 23");
    CHECK_NUMBER(result.step, stop_at > 0 ? stop_at : STEPS);
    CHECK_NUMBER(result.samples, result.step * samples);
}

static void run(struct linear_task *context, int64_t threads, int64_t samples, int64_t stop_at,
                int code) {
    run_with(context, threads, 1, samples, stop_at, code);
}

static void read_map(float *values) {
    struct safetensors *file = NULL;
    CHECK_NUMBER(safetensors_open(&file, "map.safetensors", NULL), 0);
    memcpy(values, safetensors_find(file, "first")->data, HIDDEN * IN * sizeof *values);
    memcpy(values + HIDDEN * IN, safetensors_find(file, "second")->data,
           OUT * HIDDEN * sizeof *values);
    safetensors_close(file);
}

enum { NUMBERS = HIDDEN * IN + OUT * HIDDEN };

static void a_network_of_any_kind_is_trained(void) {
    struct linear_task context = {.adapter = false};
    run(&context, 1, 16, 0, 0);
    json_t *line = last_line();
    CHECK_NUMBER(json_integer_value(json_object_get(line, "step")), STEPS);
    CHECK_NUMBER(json_integer_value(json_object_get(line, "examples")), STEPS * 16);
    CHECK(json_real_value(json_object_get(line, "loss")) < 0.02);
    json_decref(line);
    remove_files();
}

/* A step of 16 samples is the same whether a thread has 16 of them or two have 8 each. */
static void accumulation_and_threads_make_the_same_step(void) {
    float one[NUMBERS], two[NUMBERS];
    struct linear_task context = {.adapter = false};
    run(&context, 1, 16, 0, 0);
    CHECK_NUMBER(context.last_slot, 15);
    read_map(one);
    remove_files();
    context = (struct linear_task){.adapter = false};
    run(&context, 2, 16, 0, 0);
    CHECK_NUMBER(context.last_slot, 7);
    read_map(two);
    remove_files();
    for (int i = 0; i < NUMBERS; i++) {
        CHECK_NEAR((double)one[i], (double)two[i], 0.02); /* sums in another order */
    }
}

static void a_team_makes_the_same_step_and_goes_on_as_one(void) {
    float one[NUMBERS], whole[NUMBERS], again[NUMBERS];
    struct linear_task context = {.adapter = false};
    run(&context, 1, 16, 0, 0);
    read_map(one);
    remove_files();
    run_with(&context, 0, 2, 16, 0, 0);
    CHECK_NUMBER(context.last_slot, 15); /* one thread learns all samples */
    read_map(whole);
    remove_files();
    run_with(&context, 0, 2, 16, 23, ERR_CANCELLED);
    run_with(&context, 0, 2, 16, 0, 0);
    read_map(again);
    CHECK(memcmp(whole, again, sizeof whole) == 0);
    remove_files();
    for (int i = 0; i < NUMBERS; i++) {
        CHECK_NEAR((double)one[i], (double)whole[i], 0.02);
    }
}

static void what_is_frozen_stays_and_is_in_no_checkpoint(void) {
    struct linear_task context = {.adapter = true};
    struct trained t;
    struct safetensors *file = NULL;
    float numbers[NUMBERS];
    run(&context, 2, 16, 0, 0);
    read_map(numbers);
    trained_begin(&t, DTYPE_F32);
    CHECK_NUMBER(list(&context, t.parameters, NULL), 0);
    CHECK_NUMBER(parameters_allocate(t.parameters, NULL), 0);
    CHECK_NUMBER(fill(&context, t.parameters, NULL), 0);
    for (int i = 0; i < HIDDEN * IN; i++) { /* where products are BF16, it is held so */
        CHECK_NEAR((double)numbers[i], (double)trained_value(&t, 0)[i], 0.01);
    }
    CHECK(memcmp(numbers + HIDDEN * IN, trained_value(&t, 1), OUT * HIDDEN * sizeof *numbers) != 0);
    CHECK_NUMBER(safetensors_open(&file, "checkpoint.safetensors", NULL), 0);
    CHECK_NUMBER(safetensors_count(file), 3);
    CHECK(safetensors_find(file, "value.second") != NULL);
    CHECK(safetensors_find(file, "v.second") != NULL);
    safetensors_close(file);
    parameters_close(t.parameters);
    device_close(t.device);
    remove_files();
}

static void a_stopped_run_ends_with_the_same_weights(void) {
    float whole[NUMBERS], again[NUMBERS];
    struct linear_task context = {.adapter = false};
    run(&context, 2, 16, 0, 0);
    read_map(whole);
    remove_files();
    run(&context, 2, 16, 23, ERR_CANCELLED);
    run(&context, 2, 16, 0, 0);
    read_map(again);
    CHECK(memcmp(whole, again, sizeof whole) == 0);
    remove_files();
}

int main(void) {
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        return 1;
    }
    RUN(a_network_of_any_kind_is_trained);
    RUN(accumulation_and_threads_make_the_same_step);
    RUN(a_team_makes_the_same_step_and_goes_on_as_one);
    RUN(what_is_frozen_stays_and_is_in_no_checkpoint);
    RUN(a_stopped_run_ends_with_the_same_weights);
    if (chdir("..") != 0 || rmdir(folder) != 0) {
        printf("# %s is left\n", folder);
    }
    return test_finish();
}
