/* silu_body.h - x sigmoid(x), its slope, and both as the gate of another. */

static inline vec silu_of(vec x) {
    return x / (1.0f + exponential(smaller(-x, all(88.0f))));
}

/* (x s(x))' = s (1 + x (1 - s)) */
static inline vec silu_slope(vec x) {
    vec s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

static void silu(float *out, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, silu_of(load(x + i)));
    }
    if (i < count) {
        store_part(out + i, silu_of(load_part(x + i, count - i)), count - i);
    }
}

static void silu_backward(float *dx, const float *x, const float *dy, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(dx + i, load(dx + i) + load(dy + i) * silu_slope(load(x + i)));
    }
    if (i < count) {
        size_t rest = count - i;
        vec slope = silu_slope(load_part(x + i, rest));
        store_part(dx + i, load_part(dx + i, rest) + load_part(dy + i, rest) * slope, rest);
    }
}

static void swiglu(float *out, const float *gate, const float *up, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, silu_of(load(gate + i)) * load(up + i));
    }
    if (i < count) {
        size_t rest = count - i;
        store_part(out + i, silu_of(load_part(gate + i, rest)) * load_part(up + i, rest), rest);
    }
}

/* Of the gate. */
static void swiglu_gate_backward(float *dgate, const float *gate, const float *up, const float *dy,
                                 size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec slope = load(dy + i) * load(up + i) * silu_slope(load(gate + i));
        store(dgate + i, load(dgate + i) + slope);
    }
    if (i < count) {
        size_t rest = count - i;
        vec slope = load_part(dy + i, rest) * load_part(up + i, rest);
        slope *= silu_slope(load_part(gate + i, rest));
        store_part(dgate + i, load_part(dgate + i, rest) + slope, rest);
    }
}

/* Of what passes it. */
static void swiglu_up_backward(float *dup, const float *gate, const float *dy, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(dup + i, load(dup + i) + load(dy + i) * silu_of(load(gate + i)));
    }
    if (i < count) {
        size_t rest = count - i;
        vec slope = load_part(dy + i, rest) * silu_of(load_part(gate + i, rest));
        store_part(dup + i, load_part(dup + i, rest) + slope, rest);
    }
}
