/* tensor_cores.cc - see tensor_cores.h. Fragments lie as the PTX manual says. */
#include "tests/kernels/cuda_runtime.h"
#include "tests/kernels/sanitizers.h"

enum { MOST_THREADS = 1024, WARP = 32, MOST_COPIES = 256, COPY = 16 /* bytes */ };

static int thread_number(void) {
    const struct gpu_thread *t = gpu_now;
    return (int)(t->thread.x + t->threads.x * (t->thread.y + t->threads.y * t->thread.z));
}

/* ---- Products and loads ---------------------------------------------------------------------- */

/* What the lanes of a warp show each other: two that take turns, so that a lane may go on to the
 * next while others still read. */
struct fragments {
    float a[WARP][8], b[WARP][4];
    const uint16_t *rows[WARP];
};
static struct fragments shown[MOST_THREADS / WARP][2];
static unsigned turns[MOST_THREADS];

static struct fragments *next_fragments(void) {
    const int thread = thread_number();
    return &shown[thread / WARP][turns[thread]++ % 2];
}

static void open_pair(float out[2], unsigned pair) {
    out[0] = __uint_as_float(pair << 16);
    out[1] = __uint_as_float(pair & 0xFFFF0000u);
}

void gpu_mma_bf16(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
    struct fragments *f = next_fragments();
    const int lane = gpu_lane(), row = lane / 4, column = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
        open_pair(&f->a[lane][2 * i], a[i]);
    }
    open_pair(&f->b[lane][0], b0);
    open_pair(&f->b[lane][2], b1);
    gpu_warp_meet(0xFFFFFFFFu, __FILE__, __LINE__);
    for (int k = 0; k < 16; k++) {
        /* a: rows 0-7 and 8-15 of the first 8 of depth, then of the last 8; b: columns likewise. */
        const int at = k % 8 / 2, half = k / 8, low = k % 2;
        const float *rows = f->a[4 * row + at] + 4 * half + low;
        const float left = f->b[4 * column + at][2 * half + low];
        const float right = f->b[4 * (column + 1) + at][2 * half + low];
        d[0] += rows[0] * left;
        d[1] += rows[0] * right;
        d[2] += rows[2] * left;
        d[3] += rows[2] * right;
    }
}

void gpu_load_matrices(unsigned out[4], const void *row, bool turned) {
    struct fragments *f = next_fragments();
    const int lane = gpu_lane(), major = lane / 4, minor = lane % 4 * 2;
    if ((uintptr_t)row % 16 != 0) {
        gpu_fail("a row of a matrix that is not aligned to 16 bytes", __FILE__, __LINE__);
    }
    f->rows[lane] = (const uint16_t *)row;
    tsan_reads(row, 16);
    gpu_warp_meet(0xFFFFFFFFu, __FILE__, __LINE__);
    for (int i = 0; i < 4; i++) {
        const uint16_t *const *rows = f->rows + 8 * i;
        const unsigned low = turned ? rows[minor][major] : rows[major][minor];
        const unsigned high = turned ? rows[minor + 1][major] : rows[major][minor + 1];
        out[i] = low | high << 16;
    }
}

/* ---- Copies ---------------------------------------------------------------------------------- */

/* Of one thread: those that it has not waited for yet. */
static struct copies {
    struct {
        void *to;
        unsigned char value[COPY];
    } items[MOST_COPIES];
    int count;
} under_way[MOST_THREADS];

/* What is copied is read at once: nobody may write to it meanwhile. */
void gpu_copy_async(void *to, const void *from, bool there) {
    struct copies *c = &under_way[thread_number()];
    if (c->count == MOST_COPIES || (uintptr_t)to % COPY != 0 ||
        (there && (uintptr_t)from % COPY != 0)) {
        gpu_fail("a copy that no GPU takes, or too many that nobody waits for", __FILE__, __LINE__);
    }
    memset(c->items[c->count].value, 0, COPY);
    if (there) {
        memcpy(c->items[c->count].value, from, COPY);
        tsan_reads(from, COPY);
    }
    c->items[c->count++].to = to;
}

void gpu_copies_wait(void) {
    struct copies *c = &under_way[thread_number()];
    for (int i = 0; i < c->count; i++) {
        memcpy(c->items[i].to, c->items[i].value, COPY);
        tsan_writes(c->items[i].to, COPY);
    }
    c->count = 0;
}
