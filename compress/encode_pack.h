/* encode_pack.h - the last step of a sample of encode_pool.h: its tokens are packed, and read back
 * where that is asked for. */
#ifndef OCC_COMPRESS_ENCODE_PACK_H
#define OCC_COMPRESS_ENCODE_PACK_H

#include "compress/encode_pool.h"
#include "compress/readback.h"

struct encode_packer { /* of one thread; {0} is one that can be closed */
    struct codec_state *codec;
    struct readback *readback; /* NULL: nothing is read back */
    const struct alphabet *alphabet;
    bool host_memory; /* reading back takes the host's */
};
int encode_packer_open(struct encode_packer *p, const struct encode_options *o, struct error *e);
void encode_packer_close(struct encode_packer *p);

/* All pages of a job, tokens of `dim` numbers, which are then no longer needed. */
int encode_pack(struct encode_job *job, struct encode_packer *p, enum codec codec, int64_t dim,
                struct error *e);

#endif
