/* repage.h - pages made again from the text that a store keeps, for forgetting: smaller pictures of
 * the same page (resize), or less text on a smaller page (render). */
#ifndef OCC_COMPRESS_REPAGE_H
#define OCC_COMPRESS_REPAGE_H

#include "compress/encoder.h"
#include "store/forget.h"

enum repage_how { REPAGE_RESIZE, REPAGE_RENDER };

struct repager; /* keeps to the thread that opened it */

/* `profile`: index into PROFILES (render/text/profile.h), of pages whose own the store does not
 * know. The encoder must be the store's. */
int repager_open(struct repager **out, struct store *s, const struct encoder *encoder,
                 enum repage_how how, int profile, struct error *e);
void repager_close(struct repager *r); /* NULL is allowed */

/* Fills pages whose text the store has, and whose grid was that of tiny, base or hifi: as wide, and
 * as high or, in cells, less high. What it draws is in the page's own profile; it cannot draw a
 * page in cells in a profile of rows, nor the other way round. */
struct forget_operator repager_operator(struct repager *r);

#endif
