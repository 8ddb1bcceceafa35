/* team.h - threads that share the work of one operation.
 *
 * Work is cut into pieces, and whoever is free takes the next one: a thread that another program
 * keeps from running holds up at most the piece that it has begun. Pieces follow from shapes and
 * the number of threads alone, and each writes memory of its own, so results do not depend on who
 * took which. Threads without work look for some for a moment, then sleep. */
#ifndef OCC_COMPRESS_CPU_TEAM_H
#define OCC_COMPRESS_CPU_TEAM_H

#include "compress/cpu/device.h"

struct team;

enum { TEAM_MOST_THREADS = 1024 };

/* The caller's thread is one of `threads`. Each has a device of its own. */
int team_open(struct team **out, int threads, enum dtype compute, struct error *e);
void team_close(struct team *t); /* NULL is allowed; no piece is at work */
/* That the devices of the threads hold. */
size_t team_bytes(const struct team *t);

/* Piece i, on a device that is the thread's alone while it runs. */
typedef int team_piece(struct device *device, int64_t i, void *context, struct error *e);

/* Calls `piece` for 0 to count - 1, in any order and at the same time, and returns when all have
 * come back: 0, or what the first of those that failed returned, with its error. `d`: the device of
 * a team, or one that has none, which then does all of them in order. */
int cpu_share(struct device *d, int64_t count, team_piece *piece, void *context, struct error *e);

int cpu_threads(const struct device *d); /* that share its operations: 1 without a team */
/* How many pieces `units` units are cut into that together are `work` (elements that something is
 * done with): 1 where sharing would take longer. Without a team 1. */
enum { TEAM_MULTIPLY_ADDS = 16 /* take as long as an element of other operations */ };
int64_t cpu_pieces(const struct device *d, int64_t units, int64_t work);
/* Sets the least work of a piece, from what is worth it: for tests, which are small. */
void cpu_set_least_work(struct device *d, int64_t work);

/* The units of a piece, which begin at a multiple of `unit`. */
struct share {
    int64_t first, count;
};
static inline struct share share_at(int64_t units, int64_t unit, int64_t i, int64_t pieces) {
    int64_t whole = (units + unit - 1) / unit;
    int64_t first = whole * i / pieces * unit, end = whole * (i + 1) / pieces * unit;
    end = end < units ? end : units;
    return (struct share){.first = first, .count = end - first};
}

#endif
