/* merge.c - see merge.h. */
#include "train/adapter/merge.h"

#include "train/gspf/gspf.h"
#include "train/lora/lora.h"

struct merging {
    const struct decoder_folder *base;
    struct lora_folder lora; /* {0}: none */
    struct gspf_folder rows; /* likewise */
};

static int read_merged(void *context, const char *name, float *values, struct error *e) {
    const struct merging *m = context;
    const struct decoder_config *c = &m->base->config;
    int rc = decoder_folder_floats(m->base, name, values, e);
    if (rc == 0 && m->lora.path != NULL) {
        rc = lora_folder_add(&m->lora, c, name, values, e);
    }
    if (rc == 0 && m->rows.path != NULL) {
        rc = gspf_folder_add(&m->rows, c, name, values, e);
    }
    return rc;
}

int adapter_merge(const char *path, const struct decoder_folder *base, const char *adapter,
                  enum dtype type, struct error *e) {
    struct merging m = {.base = base};
    const bool low_rank = lora_folder_is(adapter), rows = gspf_folder_is(adapter);
    int rc = 0;
    if (!low_rank && !rows) {
        return error_set(e, ERR_FORMAT, "%s: has neither adapter_config.json nor %s", adapter,
                         GSPF_FILE);
    }
    if (low_rank) {
        rc = lora_folder_open(&m.lora, adapter, &base->config, e);
    }
    if (rc == 0 && rows) {
        rc = gspf_folder_open(&m.rows, adapter, &base->config, e);
    }
    if (rc == 0) {
        rc = decoder_folder_write(path, &base->config, base, type, read_merged, &m, e);
    }
    lora_folder_close(&m.lora);
    gspf_folder_close(&m.rows);
    return rc;
}
