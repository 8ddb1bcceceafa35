/* texts.c - see texts.h. */
#include "store/texts.h"

#include <zdict.h>

enum { DICTIONARY_SIZE = 16 << 10 };

int texts_open(struct texts *t, struct error *e) {
    *t = (struct texts){.packer = ZSTD_createCCtx(), .unpacker = ZSTD_createDCtx()};
    bytes_init(&t->seen, TEXTS_SEEN_BYTES);
    return t->packer != NULL && t->unpacker != NULL ? 0 : error_memory(e, NULL);
}

void texts_close(struct texts *t) {
    ZSTD_freeCCtx(t->packer);
    ZSTD_freeDCtx(t->unpacker);
    texts_drop_dictionary(t);
    bytes_close(&t->seen);
}

/* ---- The dictionary ---------------------------------------------------------------------- */

int texts_use_dictionary(struct texts *t, const void *data, size_t size, struct error *e) {
    t->pack_dictionary = ZSTD_createCDict(data, size, ZSTD_CLEVEL_DEFAULT);
    t->unpack_dictionary = ZSTD_createDDict(data, size);
    t->dictionary_id = ZSTD_getDictID_fromDict(data, size);
    return t->pack_dictionary != NULL && t->unpack_dictionary != NULL ? 0 : error_memory(e, NULL);
}

void texts_drop_dictionary(struct texts *t) {
    ZSTD_freeCDict(t->pack_dictionary);
    ZSTD_freeDDict(t->unpack_dictionary);
    t->pack_dictionary = NULL;
    t->unpack_dictionary = NULL;
}

int texts_see(struct texts *t, const void *text, size_t size, struct error *e) {
    if (t->pack_dictionary != NULL || t->seen_count == TEXTS_SEEN ||
        size > TEXTS_SEEN_BYTES / TEXTS_SEEN) {
        return 0;
    }
    t->seen_sizes[t->seen_count++] = size;
    return bytes_append(&t->seen, text, size, e);
}

int texts_train(struct texts *t, struct bytes *out, struct error *e) {
    if (t->pack_dictionary != NULL || t->seen_count < TEXTS_SEEN) {
        return 0;
    }
    int rc = bytes_reserve(out, DICTIONARY_SIZE, e);
    if (rc < 0) {
        return rc;
    }
    unsigned char *dictionary = out->data + out->size;
    size_t size = ZDICT_trainFromBuffer(dictionary, DICTIONARY_SIZE, t->seen.data, t->seen_sizes,
                                        (unsigned)t->seen_count);
    if (!ZDICT_isError(size)) { /* else the texts have too little in common: later ones may not */
        out->size += size;
        rc = texts_use_dictionary(t, dictionary, size, e) < 0 ? ERR_MEMORY : 1;
    }
    bytes_clear(&t->seen);
    t->seen_count = 0;
    return rc;
}

/* ---- Frames ------------------------------------------------------------------------------ */

int texts_pack(struct texts *t, struct bytes *out, const void *text, size_t size, struct error *e) {
    size_t bound = ZSTD_compressBound(size);
    int rc = size > TEXT_LIMIT ? error_set(e, ERR_LIMIT, "a text of %zu bytes", size)
                               : bytes_reserve(out, bound, e);
    if (rc < 0) {
        return rc;
    }
    ZSTD_CCtx_reset(t->packer, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(t->packer, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_refCDict(t->packer, t->pack_dictionary);
    size_t packed = ZSTD_compress2(t->packer, out->data + out->size, bound, text, size);
    if (ZSTD_isError(packed)) {
        return error_set(e, ERR_MEMORY, "packing a text: %s", ZSTD_getErrorName(packed));
    }
    out->size += packed;
    out->data[out->size] = '\0';
    return 0;
}

int texts_unpack(struct texts *t, struct bytes *out, const void *frame, size_t frame_size,
                 struct error *e) {
    unsigned long long size = ZSTD_getFrameContentSize(frame, frame_size);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > TEXT_LIMIT) {
        return error_set(e, ERR_FORMAT, "is not a packed text");
    }
    unsigned id = ZSTD_getDictID_fromFrame(frame, frame_size);
    if (id != 0 && (t->unpack_dictionary == NULL || id != t->dictionary_id)) {
        return error_set(e, ERR_FORMAT, "needs a dictionary that is not there");
    }
    int rc = bytes_reserve(out, (size_t)size, e);
    if (rc < 0) {
        return rc;
    }
    void *to = out->data + out->size;
    ZSTD_DCtx_reset(t->unpacker, ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_refDDict(t->unpacker, id != 0 ? t->unpack_dictionary : NULL);
    size_t got = ZSTD_decompressDCtx(t->unpacker, to, (size_t)size, frame, frame_size);
    if (ZSTD_isError(got) || got != size) {
        return error_set(e, ERR_FORMAT, "is damaged: %s",
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "too short");
    }
    out->size += got;
    out->data[out->size] = '\0';
    return 0;
}
