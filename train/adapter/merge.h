/* merge.h - an adapter's folder added to its base's weights. */
#ifndef OCC_TRAIN_ADAPTER_MERGE_H
#define OCC_TRAIN_ADAPTER_MERGE_H

#include "train/decoder/decoder.h"

/* Writes a decoder's folder: the matrices of `base` with the low rank and the rows of `adapter`,
 * whichever are there. type: F32 or BF16. ERR_FORMAT: neither is. */
int adapter_merge(const char *path, const struct decoder_folder *base, const char *adapter,
                  enum dtype type, struct error *e);

#endif
