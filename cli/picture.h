/* picture.h - pictures that programs write. */
#ifndef OCC_CLI_PICTURE_H
#define OCC_CLI_PICTURE_H

#include <signal.h>

#include "store/bytes.h"

/* To a file, whole or not at all; NULL or "-": to standard output. */
int picture_write(const char *path, const struct bytes *picture,
                  const volatile sig_atomic_t *cancel, struct error *e);

#endif
