/* export_fuzz.c - any bytes as a record of tokens in a store: exported, verified, forgotten or
 * refused. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/export.h"
#include "store/forget.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], path[80], out[80];

static void clean(void) {
    static const char *const FILES[] = {"s/data.mdb", "s/lock.mdb", "s/writer.lock", "out"};
    char name[128];
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, FILES[i]);
        unlink(name);
    }
    rmdir(path);
    rmdir(folder);
}

static void make_store(void) {
    const struct store_encoder encoder = {.name = "fuzz", .dim = 4};
    const struct store_sample sample = {
        .key = "a/1", .json = "{}", .json_size = 2, .text = "", .input = "", .options = ""};
    struct store *s;
    snprintf(folder, sizeof folder, "/tmp/occ-fuzz-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        abort();
    }
    atexit(clean);
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    if (store_open_write(&s, path, &encoder, NULL) < 0 || store_put(s, &sample, NULL) < 0 ||
        store_commit(s, NULL) < 0) {
        abort();
    }
    store_close(s);
}

static void plant(const uint8_t *data, size_t size) {
    static const unsigned char KEY[] = {'a', 0, 0x80, 0, 0, 0, 0, 0, 0, 0, '1', 0, 0, 0};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned char copy[4096];
    memcpy(copy, data, size);
    MDB_val key = {sizeof KEY, (void *)(uintptr_t)KEY}, value = {size, copy};
    if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 6) != 0 ||
        mdb_env_set_mapsize(env, 1 << 24) != 0 || mdb_env_open(env, path, MDB_NOSYNC, 0666) != 0 ||
        mdb_txn_begin(env, NULL, 0, &txn) != 0 || mdb_dbi_open(txn, "tokens", 0, &dbi) != 0 ||
        mdb_put(txn, dbi, &key, &value, 0) != 0 || mdb_txn_commit(txn) != 0) {
        abort();
    }
    mdb_env_close(env);
}

static void ignore(void *context, const char *line) {
    (void)context;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct store *s;
    struct forget_options options = FORGET_DEFAULTS;
    struct forget_result result;
    int64_t pages;
    if (folder[0] == '\0') {
        make_store();
    }
    if (size > 4096) {
        return 0;
    }
    plant(data, size);
    if (store_open(&s, path, NULL) < 0) {
        abort();
    }
    export_tokens(s, EXPORT_SAFETENSORS, out, -1, NULL, 0, NULL, &pages, NULL);
    store_verify(s, ignore, NULL, NULL);
    options.now = 50 * options.tau;
    options.dry_run = true;
    forget_run(s, &options, NULL, &result, NULL);
    store_close(s);
    return 0;
}
