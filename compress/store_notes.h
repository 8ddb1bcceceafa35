/* store_notes.h - what a store keeps of its encoder, so that it can be read and forgotten on
 * whatever becomes of the encoder's file. */
#ifndef OCC_COMPRESS_STORE_NOTES_H
#define OCC_COMPRESS_STORE_NOTES_H

#include "compress/encoder.h"
#include "store/store.h"

/* The metadata key of an encoder's file that holds the store's note "fidelity" (forget_learned.h).
 * "merging" comes from READING_METADATA (reading.h): its members "nested" and "profiles". */
#define FIDELITY_METADATA "occ.fidelity"

/* Puts vectors, maps for merging and notes, as far as the store does not have them; a note that the
 * file says otherwise is put anew. ERR_FORMAT for metadata that is not what it should be; the text
 * does not name the file. */
int store_notes_put(const struct encoder *encoder, struct store *s, struct error *e);

#endif
