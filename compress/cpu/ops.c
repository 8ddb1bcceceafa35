/* ops.c - the CPU's table. */
#include "compress/cpu/ops.h"

#define ENTRY(name) .name = cpu_##name,

const struct ops CPU_OPS = {CPU_OPERATIONS(ENTRY)};
