/* streams.cc - streams and events of a GPU that is emulated: see emulator.h.
 *
 * A stream is a queue. Nothing of it is done before the host waits for something, and then as much
 * as it takes, of streams that take turns by chance: who relies on another stream without an event
 * finds it done at one time and not at another. To ThreadSanitizer a stream is a thread, so that it
 * reports what two streams do to one place without an event between, in any order. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/kernels/emulator.h"
#include "tests/kernels/sanitizers.h"

struct work {
    struct work *next;
    void (*run)(void *state);
    struct gpu_event *event; /* to wait for before; NULL: none */
    uint64_t version;
    void *state;
};

struct gpu_event {
    struct gpu_event *next;    /* of all */
    struct gpu_stream *stream; /* of the last record */
    uint64_t recorded, reached;
    int device, users; /* in queues, and the program */
    bool open;
    struct clock clock; /* of the last record */
};

static struct {
    struct gpu_stream *streams, *own[MOST_DEVICES];
    struct gpu_event *events;
    uint64_t slots;                 /* taken */
    uint64_t numbers[MOST_STREAMS]; /* where streams of a slot left off */
    struct clock host;
    void *home_tsan;
    bool runs;
} all;

static bool eager(void) {
    const char *asked = getenv("OCC_GPU_STREAMS");
    return asked != NULL && strcmp(asked, "eager") == 0;
}

static void clock_join(struct clock *to, const struct clock *from) {
    for (int i = 0; i < MOST_STREAMS; i++) {
        to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
    }
}

const struct clock *host_clock(void) {
    return &all.host;
}

/* ---- Streams ------------------------------------------------------------------------- */

/* Forgets those that were closed and have done all they were asked. */
static void reap(void) {
    for (struct gpu_stream **at = &all.streams; *at != NULL;) {
        struct gpu_stream *s = *at;
        if (s->open || s->first != NULL) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        all.slots &= ~((uint64_t)1 << s->slot);
        all.numbers[s->slot] = s->asked;
        tsan_destroy(s->tsan);
        free(s);
    }
}

static struct gpu_stream *stream_new(int device) {
    reap();
    struct gpu_stream *s = (struct gpu_stream *)calloc(1, sizeof *s);
    while (s->slot < MOST_STREAMS && (all.slots >> s->slot & 1) != 0) {
        s->slot++;
    }
    if (s->slot == MOST_STREAMS) {
        gpu_refuse("cudaStreamCreateWithFlags", "more streams than the emulator has");
    }
    all.slots |= (uint64_t)1 << s->slot;
    s->asked = s->done = all.numbers[s->slot];
    s->last = &s->first;
    s->device = device;
    s->open = true;
    s->tsan = tsan_create();
    s->next = all.streams;
    all.streams = s;
    return s;
}

struct gpu_stream *stream_of(cudaStream_t stream, const char *call) {
    struct gpu_stream *s = all.streams;
    if (stream == NULL) {
        struct gpu_stream **own = &all.own[gpu_device()];
        s = *own = *own != NULL ? *own : stream_new(gpu_device());
    }
    while (stream != NULL && s != NULL && s != stream) {
        s = s->next;
    }
    if (s == NULL || !s->open) {
        gpu_refuse(call, "a stream that is not open");
    }
    if (all.runs) {
        gpu_refuse(call, "called while a stream runs");
    }
    s->clock.at[s->slot] = s->asked;
    clock_join(&s->clock, &all.host);
    return s;
}

/* ---- Turns --------------------------------------------------------------------------- */

static bool ready(const struct gpu_stream *s) {
    return s->first != NULL &&
           (s->first->event == NULL || s->first->event->reached >= s->first->version);
}

static void event_release(struct gpu_event *e) {
    struct gpu_event **at = &all.events;
    if (--e->users > 0) {
        return;
    }
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    free(e);
}

static void run_first(struct gpu_stream *s) {
    struct work *w = s->first;
    all.home_tsan = tsan_self();
    tsan_become(s->tsan);
    tsan_acquire(w);
    if (w->event != NULL) {
        tsan_acquire(w->event);
    }
    w->run(w->state);
    s->first = w->next;
    s->last = s->first == NULL ? &s->first : s->last;
    s->done++;
    if (w->event != NULL) {
        event_release(w->event);
    }
    free(w);
    tsan_release(s);
    tsan_become(all.home_tsan);
}

/* One of the streams that can go on, `own` aside; NULL: there is none. Streams are listed from the
 * newest to the oldest. */
static struct gpu_stream *another(const struct gpu_stream *own) {
    struct gpu_stream *chosen = NULL;
    uint64_t count = 0;
    for (struct gpu_stream *s = all.streams; s != NULL; s = s->next) {
        if (s == own || !ready(s)) {
            continue;
        }
        count++;
        if (gpu_order() == RANDOM ? gpu_random(count) == 0
                                  : chosen == NULL || gpu_order() == FORWARD) {
            chosen = s;
        }
    }
    return chosen;
}

/* Until *counter is `wanted`, which `own` comes to. Others run as seldom as can be, first, or now
 * and then. */
static void run_until(const uint64_t *counter, uint64_t wanted, struct gpu_stream *own) {
    const uint64_t favour = gpu_order() == RANDOM ? gpu_random(3) : gpu_order() == FORWARD ? 2 : 0;
    if (*counter >= wanted) {
        return;
    }
    all.runs = true;
    memory_show();
    while (*counter < wanted) {
        const bool able = own != NULL && ready(own);
        const bool first = favour == 0 || (favour == 1 && gpu_random(2) == 0);
        struct gpu_stream *other = able && first ? NULL : another(own);
        if (other == NULL && !able) {
            gpu_refuse("a wait", "what it waits for was never asked");
        }
        run_first(other != NULL ? other : own);
    }
    memory_hide();
    all.runs = false;
}

void stream_wait(struct gpu_stream *s) {
    run_until(&s->done, s->asked, s);
    tsan_acquire(s);
    all.host.at[s->slot] = s->asked;
    clock_join(&all.host, &s->clock);
    memory_settle(s->device);
}

void streams_wait(int device) {
    for (struct gpu_stream *s = all.streams; s != NULL; s = s->next) {
        if (s->device == device) {
            stream_wait(s);
        }
    }
}

static void ask(struct gpu_stream *s, void (*run)(void *), const void *state, size_t bytes,
                struct gpu_event *event) {
    struct work *w = (struct work *)malloc(sizeof *w + 16 + bytes);
    w->next = NULL;
    w->run = run;
    w->event = event;
    w->version = event != NULL ? event->recorded : 0;
    w->state = (char *)w + (sizeof *w + 15) / 16 * 16;
    if (bytes > 0) {
        memcpy(w->state, state, bytes);
    }
    *s->last = w;
    s->last = &w->next;
    s->asked++;
    tsan_release(w);
    if (eager()) {
        run_until(&s->done, s->asked, s);
    }
}

void stream_ask(struct gpu_stream *s, void (*run)(void *state), const void *state, size_t bytes) {
    ask(s, run, state, bytes, NULL);
}

int streams_left(void) {
    int left = 0;
    for (const struct gpu_stream *s = all.streams; s != NULL; s = s->next) {
        left += s->open;
    }
    for (int i = 0; i < MOST_DEVICES; i++) {
        left -= all.own[i] != NULL;
    }
    for (const struct gpu_event *e = all.events; e != NULL; e = e->next) {
        left += e->open;
    }
    return left;
}

/* ---- Calls: streams ------------------------------------------------------------------ */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    struct locked l;
    (void)flags; /* none waits for the device's own */
    *out = stream_new(gpu_device());
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, "cudaStreamDestroy");
    s->open = false;
    reap();
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    struct locked l;
    stream_wait(stream_of(stream, "cudaStreamSynchronize"));
    return cudaSuccess;
}

/* ---- Calls: events ------------------------------------------------------------------- */

static struct gpu_event *event_of(struct gpu_event *event, const char *call) {
    struct gpu_event *e = all.events;
    while (e != NULL && e != event) {
        e = e->next;
    }
    if (e == NULL || !e->open) {
        gpu_refuse(call, "an event that is not open");
    }
    return e;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags) {
    struct locked l;
    (void)flags;
    struct gpu_event *e = (struct gpu_event *)calloc(1, sizeof *e);
    e->open = true;
    e->users = 1;
    e->device = gpu_device();
    e->next = all.events;
    all.events = *out = e;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    struct locked l;
    struct gpu_event *e = event_of(event, "cudaEventDestroy");
    e->open = false;
    event_release(e);
    return cudaSuccess;
}

static void reach(void *state) {
    struct gpu_event *e = *(struct gpu_event **)state;
    tsan_release(e);
    e->reached++;
    event_release(e);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, "cudaEventRecord");
    struct gpu_event *e = event_of(event, "cudaEventRecord");
    if (e->device != s->device) {
        gpu_refuse("cudaEventRecord", "an event and a stream of two GPUs");
    }
    e->stream = s;
    e->recorded++;
    e->users++;
    stream_ask(s, reach, &e, sizeof e);
    e->clock = s->clock;
    e->clock.at[s->slot] = s->asked;
    return cudaSuccess;
}

static void nothing(void *) {
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, "cudaStreamWaitEvent");
    struct gpu_event *e = event_of(event, "cudaStreamWaitEvent");
    (void)flags;
    if (e->recorded > 0) { /* else it is as if it had been reached */
        e->users++;
        clock_join(&s->clock, &e->clock);
        ask(s, nothing, NULL, 0, e);
    }
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    struct locked l;
    struct gpu_event *e = event_of(event, "cudaEventSynchronize");
    if (e->recorded > 0) {
        run_until(&e->reached, e->recorded, e->reached < e->recorded ? e->stream : NULL);
        tsan_acquire(e);
        clock_join(&all.host, &e->clock);
    }
    return cudaSuccess;
}

/* ---- Calls: copies ------------------------------------------------------------------- */

struct copy {
    void *to;
    const void *from; /* NULL: what lies after this */
    size_t size;
    int value;   /* where all bytes are to be one */
    bool hidden; /* `to` is the host's, who may not look yet */
};

static void copy_run(void *state) {
    const struct copy *c = (const struct copy *)state;
    if (c->hidden) {
        asan_show(c->to, c->size);
    }
    memcpy(c->to, c->from != NULL ? c->from : c + 1, c->size);
}

static void set_run(void *state) {
    const struct copy *c = (const struct copy *)state;
    memset(c->to, c->value, c->size);
}

/* All of it within memory of a GPU, or else of the host. */
static struct memory *range(const void *at, size_t size, bool device, const struct gpu_stream *s,
                            const char *call) {
    struct memory *m = memory_of(at);
    if ((m != NULL && m->device >= 0) != device) {
        gpu_refuse(call, device ? "an address that is not in memory of a GPU"
                                : "an address of the host that is one of a GPU's memory");
    }
    if (m != NULL && size > m->size - (size_t)((const char *)at - m->data)) {
        gpu_refuse(call, "more than the memory holds");
    }
    if (m != NULL) {
        memory_use(m, s, call);
    }
    return m;
}

/* From memory of the host that is not pinned: it has been read when the call returns. */
static void copy_staged(struct gpu_stream *s, struct copy c) {
    struct copy *staged = (struct copy *)malloc(sizeof c + c.size);
    *staged = c;
    staged->from = NULL;
    memcpy(staged + 1, c.from, c.size);
    stream_ask(s, copy_run, staged, sizeof c + c.size);
    free(staged);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    static const char *const CALL = "cudaMemcpyAsync";
    struct locked l;
    struct gpu_stream *s = stream_of(stream, CALL);
    if (size == 0) {
        return cudaSuccess;
    }
    const struct memory *target = range(to, size, kind != cudaMemcpyDeviceToHost, s, CALL);
    const struct memory *source = range(from, size, kind != cudaMemcpyHostToDevice, s, CALL);
    struct copy c = {to, from, size, 0, kind == cudaMemcpyDeviceToHost && target != NULL};
    if (source == NULL) {
        copy_staged(s, c);
    } else {
        stream_ask(s, copy_run, &c, sizeof c);
    }
    if (target == NULL) {
        stream_wait(s); /* into memory that is not pinned */
    } else if (c.hidden && !eager()) {
        asan_hide(to, size);
    }
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t stream) {
    struct locked l;
    struct gpu_stream *s = stream_of(stream, "cudaMemsetAsync");
    if (size > 0) {
        const struct copy c = {to, NULL, size, value, false};
        range(to, size, true, s, "cudaMemsetAsync");
        stream_ask(s, set_run, &c, sizeof c);
    }
    return cudaSuccess;
}
