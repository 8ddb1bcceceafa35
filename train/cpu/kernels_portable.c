/* kernels_portable.c - for every processor: vectors of 4. */
#define LANES 4
#include "train/cpu/kernels_body.h"

const struct kernels KERNELS_PORTABLE = KERNELS("portable");
