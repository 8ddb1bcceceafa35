/* classify.c - what classifications of all backends work in: see ops.h. */
#include "compress/ops.h"

enum {
    UNIT = CLASSIFY_MOST_ROWS / 16, /* the number of rows is a multiple of it, for few shapes */
    LOGITS = 1 << 25                /* at a time, unless so few rows have more */
};

static int64_t rounded_up(int64_t rows) {
    return (rows + UNIT - 1) / UNIT * UNIT;
}

int64_t classify_rows(int64_t rows, int64_t outputs) {
    int64_t most = LOGITS / outputs / UNIT * UNIT;
    most = most > CLASSIFY_MOST_ROWS ? CLASSIFY_MOST_ROWS : most < UNIT ? UNIT : most;
    return rounded_up(rows) < most ? rounded_up(rows) : most;
}

size_t classify_bytes(int64_t rows, int64_t inputs, int64_t outputs) {
    enum { PARTS = 3, ALIGNMENT = 64 }; /* logits, inputs and their gradients: F32 at most */
    const size_t numbers = (size_t)rows * (size_t)(outputs + 2 * inputs);
    return numbers * sizeof(float) + PARTS * ALIGNMENT;
}
