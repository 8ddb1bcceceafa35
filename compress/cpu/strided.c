/* strided.c - see strided.h. */
#include "compress/cpu/strided.h"

#include <assert.h>
#include <string.h>

struct axis {
    int64_t size, to, from;
};

/* The axes, outermost first, without those of one place, and with those that continue each other
 * made one. Returns how many, at least 1. */
static int find_axes(struct axis axes[TENSOR_RANK], const struct tensor *to,
                     const struct tensor *from) {
    int count = 0;
    for (int i = 0; i < TENSOR_RANK; i++) {
        struct axis next = {.size = to->shape[i], .to = to->stride[i]};
        if (next.size == 1) {
            continue;
        }
        if (from != NULL) {
            assert(from->shape[i] == next.size || from->shape[i] == 1);
            next.from = from->shape[i] == 1 ? 0 : from->stride[i];
        }
        struct axis *last = count > 0 ? &axes[count - 1] : NULL;
        if (last != NULL && last->to == next.to * next.size &&
            last->from == next.from * next.size) {
            *last = (struct axis){last->size * next.size, next.to, next.from};
        } else {
            axes[count++] = next;
        }
    }
    if (count == 0) {
        axes[count++] = (struct axis){1, 1, 1};
    }
    return count;
}

void strided_each(const struct level *level, const struct tensor *to, const struct tensor *from,
                  void (*run)(const struct strided_run *r), const void *extra) {
    struct axis axes[TENSOR_RANK];
    int64_t place[TENSOR_RANK] = {0};
    int last = find_axes(axes, to, from) - 1;
    size_t to_size = dtype_size(to->type), from_size = from != NULL ? dtype_size(from->type) : 0;
    if (tensor_count(to) == 0) {
        return;
    }
    struct strided_run r = {.level = level,
                            .to_type = to->type,
                            .from_type = from != NULL ? from->type : to->type,
                            .to_step = axes[last].to,
                            .from_step = axes[last].from,
                            .count = axes[last].size,
                            .extra = extra};
    for (;;) {
        int64_t to_at = 0, from_at = 0;
        for (int i = 0; i < last; i++) {
            to_at += place[i] * axes[i].to;
            from_at += place[i] * axes[i].from;
        }
        r.to = (char *)to->data + to_at * (int64_t)to_size;
        r.from = from != NULL ? (const char *)from->data + from_at * (int64_t)from_size : NULL;
        run(&r);
        int i = last - 1;
        while (i >= 0 && ++place[i] == axes[i].size) {
            place[i--] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

void run_load(const struct level *level, float *to, const void *from, enum dtype type, int64_t step,
              int64_t count) {
    const float *floats = from;
    const uint16_t *halves = from;
    if (step == 1 && type == DTYPE_F32) {
        memcpy(to, from, (size_t)count * sizeof *to);
    } else if (step == 1) {
        level->from_bf16(to, halves, (size_t)count);
    } else if (type == DTYPE_F32) {
        for (int64_t i = 0; i < count; i++) {
            to[i] = floats[i * step];
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            to[i] = float_of_bf16(halves[i * step]);
        }
    }
}

void run_store(const struct level *level, void *to, enum dtype type, int64_t step,
               const float *from, int64_t count) {
    float *floats = to;
    uint16_t *halves = to;
    if (step == 1 && type == DTYPE_F32) {
        memcpy(to, from, (size_t)count * sizeof *from);
    } else if (step == 1) {
        level->to_bf16(halves, from, (size_t)count);
    } else if (type == DTYPE_F32) {
        for (int64_t i = 0; i < count; i++) {
            floats[i * step] = from[i];
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            halves[i * step] = bf16_of(from[i]);
        }
    }
}

void run_accumulate(const struct level *level, void *to, enum dtype to_type, const void *from,
                    enum dtype from_type, int64_t count) {
    enum { PART = 1024 };
    float sums[PART], part[PART];
    if (to_type == DTYPE_F32 && from_type == DTYPE_F32) {
        level->accumulate(to, from, (size_t)count);
        return;
    }
    for (int64_t i = 0; i < count; i += PART) {
        int64_t now = count - i < PART ? count - i : PART;
        void *target = (char *)to + (size_t)i * dtype_size(to_type);
        run_load(level, sums, target, to_type, 1, now);
        run_load(level, part, (const char *)from + (size_t)i * dtype_size(from_type), from_type, 1,
                 now);
        level->accumulate(sums, part, (size_t)now);
        run_store(level, target, to_type, 1, sums, now);
    }
}
