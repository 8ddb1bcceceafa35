/* adapter.h - an adapter's folder, whatever is in it: LoRA (PEFT's files), rows of the decoder
 * (train/gspf/), a bridge for visual tokens (train/context/bridge.h); opened to generate, to
 * measure, to be gone on from. */
#ifndef OCC_TRAIN_ADAPTER_ADAPTER_H
#define OCC_TRAIN_ADAPTER_ADAPTER_H

#include "train/context/bridge.h"
#include "train/context/row.h"
#include "train/gspf/gspf.h"
#include "train/lora/lora.h"

struct adapter; /* read-only */
/* `encoder`: the file of the encoder, for a bridge that reads with its head: ERR_USAGE where it is
 * NULL and such a bridge has no head of its own, ERR_FORMAT where the bridge was trained for
 * another encoder, or where the folder has none of the three. */
int adapter_open(struct adapter **out, const char *folder, const struct decoder *base,
                 const char *encoder, struct device *device, struct error *e);
void adapter_close(struct adapter *a); /* NULL is allowed: the base alone */
struct decoder_parts adapter_parts(const struct adapter *a);
/* Its bridge; false: it has none. */
bool adapter_bridge(const struct adapter *a, struct context_network *out);

#endif
