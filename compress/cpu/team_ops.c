/* team_ops.c - the table of a team's device. What is not shared one thread does, as on any device.
 */
#include "compress/cpu/team_ops.h"

#include "compress/cpu/ops.h"

#define ALONE(name) .name = cpu_##name,
#define SHARED(name) .name = team_##name,

#pragma GCC diagnostic ignored "-Woverride-init" /* SHARED takes the place of ALONE */

const struct ops TEAM_OPS = {CPU_OPERATIONS(ALONE) TEAM_OPERATIONS(SHARED)};
