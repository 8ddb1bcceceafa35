/* gelu.cu - x Phi(x), its approximation x sigmoid(1.702 x), and their gradients. */
#include "compress/cuda/elements.h"

struct gelu {
    static __device__ inline float of(float x) {
        return 0.5f * x * erfcf(x * -0.70710678f);
    }
    /* (x Phi(x))' = Phi(x) + x phi(x) */
    static __device__ inline float slope(float x) {
        return 0.5f * erfcf(x * -0.70710678f) + x * 0.39894228f * expf(x * x * -0.5f);
    }
};

struct quick_gelu {
    static __device__ inline float of(float x) {
        return x / (1 + expf(-1.702f * x));
    }
    /* (x s(1.702 x))' = s + 1.702 x s (1 - s) */
    static __device__ inline float slope(float x) {
        const float s = 1 / (1 + expf(-1.702f * x));
        return s + 1.702f * x * s * (1 - s);
    }
};

int cuda_gelu(struct device *d, const struct tensor *out, const struct tensor *x, struct error *e) {
    return elements_map<gelu>(d, out, x, "gelu", e);
}

int cuda_gelu_backward(struct device *d, const struct tensor *dx, const struct tensor *x,
                       const struct tensor *dy, struct error *e) {
    return elements_map_backward<gelu>(d, dx, x, dy, "gelu_backward", e);
}

int cuda_quick_gelu(struct device *d, const struct tensor *out, const struct tensor *x,
                    struct error *e) {
    return elements_map<quick_gelu>(d, out, x, "quick_gelu", e);
}

int cuda_quick_gelu_backward(struct device *d, const struct tensor *dx, const struct tensor *x,
                             const struct tensor *dy, struct error *e) {
    return elements_map_backward<quick_gelu>(d, dx, x, dy, "quick_gelu_backward", e);
}
