/* clock.h - time that only goes forward, for durations; the date is date.h's. */
#ifndef OCC_STORE_CLOCK_H
#define OCC_STORE_CLOCK_H

double clock_seconds(void);     /* since some moment in the past */
double clock_cpu_seconds(void); /* that all threads of this process have computed; for tests */

#endif
