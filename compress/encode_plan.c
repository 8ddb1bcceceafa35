/* encode_plan.c - see encode_plan.h. */
#include "compress/encode_plan.h"

#include <float.h>

#include "store/cpu_count.h"

enum {
    MOST_THREADS = 256,
    SUBMITTERS = 2,     /* one sends pages to a GPU while it computes those of the other */
    READERS = 8,        /* threads that read back on a GPU */
    READER_PART = 4,    /* of the memory they take one part in so many, together */
    RESERVE_PART = 16,  /* of the memory that is found one part in so many stays free */
    LARGEST_SIDE = 1280 /* of a page */
};

double encode_plan_area(enum page_mode mode) {
    const double side = PAGE_SIZES[mode].side / 1024.0, tile = GUNDAM_TILE / 1024.0;
    return side * side + (mode == MODE_GUNDAM ? GUNDAM_TILES * tile * tile : 0);
}

static int smaller(int64_t a, int64_t b) {
    return (int)(a < b ? a : b);
}

/* Bytes of the device that nobody has taken and everybody may. */
static int find_memory(const struct encode_options *o, size_t *out, struct error *e) {
    const struct backend *b = encoder_backend(o->encoder);
    const size_t weights =
        encoder_weight_bytes(o->encoder) + (o->reader != NULL ? reader_weight_bytes(o->reader) : 0);
    size_t left;
    int rc = b->memory_left(b->number, &left, e);
    if (rc < 0) {
        return rc;
    }
    *out = left - left / RESERVE_PART;
    if (o->memory == 0) {
        return 0;
    }
    if ((size_t)o->memory <= weights) {
        return error_set(e, ERR_LIMIT,
                         "the weights take %.1f MB of GPU memory, more than the %.1f allowed",
                         (double)weights * 1e-6, (double)o->memory * 1e-6);
    }
    const size_t allowed = (size_t)o->memory - weights;
    *out = allowed < *out ? allowed : *out;
    return 0;
}

/* Threads that each have room to read the largest page. */
static int plan_readers(const struct encode_options *o, int threads, size_t *memory) {
    const int side = LARGEST_SIDE / CELL;
    const struct reading_page largest = {.rows = side, .columns = 2 * side, .column_offsets = 2};
    const size_t each = reader_run_bytes(o->reader, &largest);
    const int64_t room = (int64_t)(*memory / READER_PART / each);
    int readers = smaller(threads, READERS);
    readers = room < readers ? (int)room : readers;
    readers = readers > 0 ? readers : 1;
    *memory -= each * (size_t)readers < *memory ? each * (size_t)readers : *memory / 2;
    return readers;
}

static int plan_gpu(struct encode_plan *plan, const struct encode_options *o, int threads,
                    struct error *e) {
    const struct encoder_shape largest = {1, LARGEST_SIDE, LARGEST_SIDE, 2};
    size_t memory;
    int rc = find_memory(o, &memory, e);
    if (rc < 0) {
        return rc;
    }
    plan->packing = o->reader != NULL ? plan_readers(o, threads, &memory) : threads;
    plan->loading = threads - plan->packing;
    const bool room = memory / SUBMITTERS >= encoder_run_bytes(o->encoder, &largest, 3);
    plan->encoding = room ? SUBMITTERS : 1;
    plan->memory = memory / (size_t)plan->encoding;
    return 0;
}

int encode_plan_make(struct encode_plan *plan, const struct encode_options *o, struct error *e) {
    const struct backend *b = encoder_backend(o->encoder);
    const int threads = smaller(o->threads > 0 ? o->threads : cpu_count(), MOST_THREADS);
    *plan = (struct encode_plan){.pages = PAGES_BATCH, .area = b->batch()};
    if (o->batch > 0) {
        plan->pages = smaller(o->batch, PAGES_BATCH);
        plan->area = DBL_MAX;
    }
    int rc = 0;
    if (b->host_memory) {
        plan->encoding = threads;
        plan->pages = o->batch > 0 ? plan->pages : b->batch();
    } else {
        rc = plan_gpu(plan, o, threads, e);
    }
    plan->ahead = 2 * plan->encoding + 1;
    return rc;
}
