/* store_text.c - JSON and texts as zstd frames, and the dictionary that they share. */
#include <stdlib.h>
#include <zdict.h>

#include "store/store_state.h"

enum { DICTIONARY_SIZE = 16 << 10 };

int store_use_dictionary(struct store *s, const void *data, size_t size, struct error *e) {
    s->pack_dictionary = ZSTD_createCDict(data, size, ZSTD_CLEVEL_DEFAULT);
    s->unpack_dictionary = ZSTD_createDDict(data, size);
    s->dictionary_id = ZSTD_getDictID_fromDict(data, size);
    return s->pack_dictionary != NULL && s->unpack_dictionary != NULL
               ? 0
               : error_set(e, ERR_MEMORY, "out of memory");
}

void store_drop_dictionary(struct store *s) {
    ZSTD_freeCDict(s->pack_dictionary);
    ZSTD_freeDDict(s->unpack_dictionary);
    s->pack_dictionary = NULL;
    s->unpack_dictionary = NULL;
}

/* With enough samples seen, those to come are packed with what they have in common. */
int store_train_dictionary(struct store *s, struct error *e) {
    if (s->pack_dictionary != NULL || s->training_count < TRAINING_SAMPLES) {
        return 0;
    }
    unsigned char *dictionary = malloc(DICTIONARY_SIZE);
    if (dictionary == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    size_t size = ZDICT_trainFromBuffer(dictionary, DICTIONARY_SIZE, s->training.data,
                                        s->training_sizes, (unsigned)s->training_count);
    int rc = 0;
    if (!ZDICT_isError(size)) { /* else the samples have too little in common: later ones may */
        rc = store_put_meta(s, "dictionary", dictionary, size, e);
        if (rc == 0) {
            rc = store_use_dictionary(s, dictionary, size, e);
        }
    }
    free(dictionary);
    bytes_clear(&s->training);
    s->training_count = 0;
    return rc;
}

int store_pack_text(struct store *s, struct bytes *out, const void *text, size_t size,
                    struct error *e) {
    size_t bound = ZSTD_compressBound(size);
    int rc = size > TEXT_LIMIT ? error_set(e, ERR_LIMIT, "a text of %zu bytes", size)
                               : bytes_reserve(out, bound, e);
    if (rc < 0) {
        return rc;
    }
    ZSTD_CCtx_reset(s->packer, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(s->packer, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_refCDict(s->packer, s->pack_dictionary);
    size_t packed = ZSTD_compress2(s->packer, out->data + out->size, bound, text, size);
    if (ZSTD_isError(packed)) {
        return error_set(e, ERR_MEMORY, "packing a text: %s", ZSTD_getErrorName(packed));
    }
    out->size += packed;
    out->data[out->size] = '\0';
    return 0;
}

int store_unpack_text(struct store *s, struct bytes *out, const MDB_val *frame, struct error *e) {
    unsigned long long size = ZSTD_getFrameContentSize(frame->mv_data, frame->mv_size);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > TEXT_LIMIT) {
        return error_set(e, ERR_FORMAT, "is no packed text");
    }
    unsigned id = ZSTD_getDictID_fromFrame(frame->mv_data, frame->mv_size);
    if (id != 0 && (s->unpack_dictionary == NULL || id != s->dictionary_id)) {
        return error_set(e, ERR_FORMAT, "needs a dictionary that is not there");
    }
    int rc = bytes_reserve(out, (size_t)size, e);
    if (rc < 0) {
        return rc;
    }
    void *to = out->data + out->size;
    ZSTD_DCtx_reset(s->unpacker, ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_refDDict(s->unpacker, id != 0 ? s->unpack_dictionary : NULL);
    size_t got = ZSTD_decompressDCtx(s->unpacker, to, (size_t)size, frame->mv_data, frame->mv_size);
    if (ZSTD_isError(got) || got != size) {
        return error_set(e, ERR_FORMAT, "is damaged: %s",
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "too short");
    }
    out->size += got;
    out->data[out->size] = '\0';
    return 0;
}
