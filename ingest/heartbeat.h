/* heartbeat.h - signs of life: a task says at each step of progress that it is alive and what it is
 * doing. Lies in memory that a worker process shares with its parent (pool.h), which reads it. */
#ifndef OCC_INGEST_HEARTBEAT_H
#define OCC_INGEST_HEARTBEAT_H

#include <stdatomic.h>
#include <stdint.h>

struct heartbeat {
    _Atomic uint64_t count; /* grows with each sign of progress */
    _Atomic int stage;      /* which stage the task is in; the numbers are the task's own */
};

static inline void heartbeat_step(struct heartbeat *h, int stage) {
    atomic_store_explicit(&h->stage, stage, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
}

#endif
