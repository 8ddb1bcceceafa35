/* store_key.c - the keys and headers of records, made and checked. */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "store/store_state.h"
#include "store/utf8.h"

size_t account_prefix(unsigned char key[TOKEN_KEY], const char *account) {
    size_t length = stream_account_size(account);
    memcpy(key, account, length);
    key[length] = '\0';
    return length + 1;
}

size_t token_key_make(unsigned char key[TOKEN_KEY], const char *sample_key, int64_t created,
                      int page) {
    size_t size = account_prefix(key, sample_key);
    uint64_t time = (uint64_t)created ^ (uint64_t)1 << 63;
    for (int i = 0; i < 8; i++) {
        key[size++] = (unsigned char)(time >> (56 - 8 * i));
    }
    const char *id = strchr(sample_key, '/');
    id = id != NULL ? id + 1 : "";
    size_t length = strlen(id) + 1;
    memcpy(key + size, id, length);
    size += length;
    if (page >= 0) {
        key[size++] = (unsigned char)(page >> 8);
        key[size++] = (unsigned char)page;
    }
    return size;
}

bool token_key_read(struct token_record *record, int64_t *created, const MDB_val *key) {
    const unsigned char *bytes = key->mv_data;
    const unsigned char *end = key->mv_size <= TOKEN_KEY ? memchr(bytes, '\0', key->mv_size) : NULL;
    size_t account = end != NULL ? (size_t)(end - bytes) : 0;
    if (account == 0 || key->mv_size < account + 1 + 8 + 2 + 2) {
        return false;
    }
    uint64_t time = 0;
    for (size_t i = 0; i < 8; i++) {
        time = time << 8 | bytes[account + 1 + i];
    }
    *created = (int64_t)(time ^ (uint64_t)1 << 63);
    const unsigned char *id = bytes + account + 9;
    size_t length = key->mv_size - account - 9 - 3;
    if (id[length] != '\0' || memchr(id, '\0', length) != NULL ||
        account + 1 + length >= sizeof record->key) {
        return false;
    }
    memcpy(record->key, bytes, account);
    record->key[account] = '/';
    memcpy(record->key + account + 1, id, length);
    record->key[account + 1 + length] = '\0';
    record->page = id[length + 1] << 8 | id[length + 2];
    return true;
}

const char *const SHRINK_NAMES[SHRINK_COUNT + 1] = {"pool",   "merge", "resize",
                                                    "render", "nest",  NULL};

uint16_t token_accuracy(double share) {
    if (!(share >= 0)) {
        return 0;
    }
    return (uint16_t)(1 + lround(TOKEN_ACCURACY * (share < 1 ? share : 1)));
}

double token_accuracy_share(uint16_t accuracy) {
    return accuracy > 0 ? (double)(accuracy - 1) / TOKEN_ACCURACY : -1;
}

int token_column_offsets(const struct token_header *h) {
    bool wide = h->full_columns == 2 * h->full_rows && (h->layout & TOKEN_CELLS) == 0;
    return wide || (h->layout & TOKEN_TWO_OFFSETS) != 0 ? 2 : 1;
}

static bool is_profile(const char profile[TOKEN_PROFILE]) {
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strnlen(profile, TOKEN_PROFILE);
    for (size_t i = 0; i < TOKEN_PROFILE; i++) {
        bool fits = i < length ? strchr(LETTERS, profile[i]) != NULL : profile[i] == '\0';
        if (!fits) {
            return false;
        }
    }
    return true;
}

void token_profile(char profile[TOKEN_PROFILE], const char *name) {
    char copy[TOKEN_PROFILE] = "";
    size_t length = name != NULL ? strlen(name) : 0;
    if (length < TOKEN_PROFILE) {
        memcpy(copy, name != NULL ? name : "", length);
    }
    memset(profile, 0, TOKEN_PROFILE);
    if (is_profile(copy)) {
        memcpy(profile, copy, TOKEN_PROFILE);
    }
}

const char *token_value_read(struct token_record *record, const struct store *s,
                             const MDB_val *value) {
    struct token_header *h = &record->header;
    if (value->mv_size < sizeof *h) {
        return "is too short";
    }
    memcpy(h, value->mv_data, sizeof *h);
    record->payload = (const unsigned char *)value->mv_data + sizeof *h;
    if (memcmp(h->magic, "OCT1", 4) != 0) {
        return "has no header";
    }
    if (h->codec >= CODEC_COUNT || h->bucket >= STORE_BUCKETS || h->shrunk_by >= SHRINK_COUNT) {
        return "has an unknown codec, bucket or operator";
    }
    if (h->layout >= TOKEN_LAYOUTS) {
        return "has an unknown layout";
    }
    if (h->accuracy > 1 + TOKEN_ACCURACY) {
        return "has an impossible accuracy";
    }
    if (h->rows == 0 || h->columns == 0 || (uint32_t)h->rows * h->columns > UINT16_MAX ||
        h->full_rows == 0 || h->full_columns == 0 ||
        (uint32_t)h->full_rows * h->full_columns > UINT16_MAX) {
        return "has an impossible grid";
    }
    if (h->dim != s->encoder.dim) {
        return "has tokens of another size";
    }
    if ((size_t)h->payload + h->facts != value->mv_size - sizeof *h) {
        return "is not as long as its header says";
    }
    record->facts = (const char *)record->payload + h->payload;
    return !is_profile(h->profile)                   ? "has an impossible profile"
           : !utf8_is_valid(record->facts, h->facts) ? "has facts that are not UTF-8"
                                                     : NULL;
}

const char *account_value_read(struct account_header *header, const void **sum,
                               const struct store *s, const MDB_val *value) {
    if (value->mv_size < sizeof *header) {
        return "is too short";
    }
    memcpy(header, value->mv_data, sizeof *header);
    *sum = (const unsigned char *)value->mv_data + sizeof *header;
    if (memcmp(header->magic, "OCA1", 4) != 0) {
        return "has no header";
    }
    if (header->dim != 0 && header->dim != (uint32_t)s->encoder.dim) {
        return "has a style token of another size";
    }
    return value->mv_size == sizeof *header + header->dim * sizeof(double)
               ? NULL
               : "is not as long as its header says";
}
