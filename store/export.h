/* export.h - tokens out of a store, for programs that read other formats. */
#ifndef OCC_STORE_EXPORT_H
#define OCC_STORE_EXPORT_H

#include <signal.h>

#include "store/store.h"

enum export_format {
    EXPORT_NPY,         /* a folder: ACCOUNT/ID.pNNN.npy, F32 (rows, columns, dim) */
    EXPORT_SAFETENSORS, /* a file: tensors "ACCOUNT/ID.pNNN", BF16 (rows, columns, dim) */
    EXPORT_TAR, /* a WebDataset: .json, .txt, .pNNN.npy and .pNNN.facts.txt of each sample */
    EXPORT_COUNT
};
extern const char *const EXPORT_FORMATS[EXPORT_COUNT + 1]; /* ends in NULL */

/* `keys`: of samples that have pages (store_check_pages), or NULL for all. tar goes to `fd` (a
 * stream of ours, see stream.h), the others to `path`, complete or not at all (npy: file by file).
 * *pages: how many. */
int export_tokens(struct store *s, enum export_format format, const char *path, int fd,
                  char *const *keys, size_t count, const volatile sig_atomic_t *cancel,
                  int64_t *pages, struct error *e);

#endif
