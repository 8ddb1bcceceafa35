/* fibers.h - many small threads on one, which run only where one is entered, until it leaves. */
#ifndef OCC_TESTS_KERNELS_FIBERS_H
#define OCC_TESTS_KERNELS_FIBERS_H

enum { MOST_FIBERS = 1024 };

/* Fibers 0 to count - 1, from now on those of `pool`. To ThreadSanitizer each pool has threads of
 * its own, except for pool FIBERS_OF_CALLER: what these do, who enters them does. */
enum { FIBERS_OF_CALLER = -1 };
void fibers_choose(int pool, int count);

/* The next fiber_enter begins to run `body`. */
void fiber_start(int i, void (*body)(void));
/* Runs fiber i until it leaves. */
void fiber_enter(int i);
/* Goes back to who entered. `for_good`: not to be entered before it is started again. */
void fiber_leave(bool for_good);

#endif
