/* data_file.h - where a program finds the files that ship with it: the alphabet of the language
 * model's tokens, the small encoder.
 *
 * The environment variable OCC_DATA, when it is set and not empty, names the one folder to look
 * in. Without it that is share/occ beside the program's own bin, so that a build folder and a
 * moved installation work as they are, then share/occ of the prefix that the build was
 * configured with. */
#ifndef OCC_CLI_DATA_FILE_H
#define OCC_CLI_DATA_FILE_H

#include <stddef.h>

#include "store/error.h"

/* Fills `path`, of `size` bytes, with the path of the file `name`, for instance "nano.safetensors".
 * ERR_IO when it is in none of the folders, which the text names; ERR_LIMIT when the path does not
 * fit. */
int data_file_find(char *path, size_t size, const char *name, struct error *e);

#endif
