/* inputs.h - the FILE operands of tools that take streams and, some of them, pictures. */
#ifndef OCC_CLI_INPUTS_H
#define OCC_CLI_INPUTS_H

#include <stdbool.h>

/* Whether standard input is among the files: "-", or no file at all. */
bool inputs_are_standard(char *const *files, int count);
/* Moves streams (see stream_recognise) to the front, pictures after them, each in the order that
 * they have; how many are streams. */
int inputs_part(char **files, int count);

#endif
