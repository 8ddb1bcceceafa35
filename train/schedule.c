/* schedule.c - see schedule.h. */
#include "train/schedule.h"

#include <math.h>

double schedule_rate(const struct schedule *s, int64_t taken) {
    int64_t step = taken + 1;
    if (step <= s->warm_up) {
        return s->rate * (double)step / (double)s->warm_up;
    }
    int64_t rest = s->steps - s->warm_up;
    double done = rest > 0 ? (double)(step - s->warm_up) / (double)rest : 1;
    return s->rate * 0.5 * (1 + cos(3.14159265358979323846 * (done < 1 ? done : 1)));
}
