/* shrinking.c - see shrinking.h. */
#include "cli/shrinking.h"

#include <stdio.h>
#include <stdlib.h>

#include "compress/readback.h"
#include "compress/repage.h"
#include "store/forget_learned.h"
#include "store/log.h"

const char *const SHRINKING_WAYS[] = {"auto", "merge", "pool", "resize", "render", NULL};

struct shrinking {
    const struct shrinking_options *options;
    struct store *store;
    struct encoder_choice choice;
    struct encoder *encoder;
    struct bytes maps;
    struct reader *reader;
    struct reader_session *session;
    struct repager *repager;
    struct forget_operator shrink; /* shrunk_by SHRINK_POOL: means */
};

void shrinking_close(struct shrinking *k) {
    if (k == NULL) {
        return;
    }
    repager_close(k->repager);
    reader_session_close(k->session);
    reader_close(k->reader);
    encoder_close(k->encoder);
    bytes_close(&k->maps);
    free(k);
}

const struct forget_operator *shrinking_operator(const struct shrinking *k) {
    return k->shrink.shrunk_by != SHRINK_POOL ? &k->shrink : NULL;
}

const char *shrinking_name(const struct shrinking *k) {
    return SHRINKING_WAYS[k->options->way == WAY_AUTO ? WAY_MERGE : k->options->way];
}

/* The encoder that is named, or the bundled one; it must be the store's. */
static int open_encoder(struct shrinking *k, struct error *e) {
    const struct device_choice *d = &k->choice.device;
    int rc = encoder_choice_find(&k->choice, e);
    if (rc == 0) {
        rc = encoder_open(&k->encoder, k->choice.file, NULL, d->backend, d->type, e);
    }
    if (rc == 0 && encoder_fingerprint(k->encoder) != store_encoder(k->store)->fingerprint) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: is not the encoder of %s", k->choice.file,
                       k->options->store);
    }
    return rc;
}

/* ---- Merging ------------------------------------------------------------------------- */

static int take_maps(struct shrinking *k, struct error *e) {
    int rc = open_encoder(k, e);
    if (rc == 0) {
        rc = encoder_maps(k->encoder, &k->maps, e);
    }
    if (rc == 0) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: carries no maps for merging", k->choice.file);
    }
    if (rc == 1 && !k->options->look_only) {
        rc = store_put_maps(k->store, k->maps.data, k->maps.size, e);
    }
    return rc < 0 ? rc : 0;
}

/* 1: the store's tokens are nested, and halved without maps; 0: they are not. */
static int open_nest(struct shrinking *k, struct error *e) {
    struct learned learned;
    int rc = learned_open(&learned, k->store, e);
    if (rc < 0 || learned.levels == 0) {
        learned_close(&learned);
        return rc < 0 ? error_context(e, "%s", k->options->store) : 0;
    }
    k->shrink = FORGET_NEST;
    log_info("nested tokens are halved, up to %d times", learned.levels);
    learned_close(&learned);
    return 1;
}

/* The maps compute in F32, which costs little and loses nothing. */
static int open_maps(struct shrinking *k, struct error *e) {
    int kept = store_get_maps(k->store, &k->maps, e);
    int rc = kept < 0                           ? kept
             : kept == 0                        ? take_maps(k, e)
             : k->options->encoder.file != NULL ? open_encoder(k, e)
                                                : 0;
    if (rc == 0) {
        rc = reader_open_maps(&k->reader, k->maps.data, k->maps.size, k->options->store,
                              store_encoder(k->store)->dim, k->choice.device.backend, DTYPE_F32, e);
    }
    if (rc == 0) {
        rc = reader_session_open(&k->session, k->reader, e);
    }
    if (rc == 0) {
        k->shrink = merge_operator(k->session);
        log_info("pages are merged by the maps of %s",
                 kept > 0 ? k->options->store : k->choice.file);
    }
    return rc;
}

static int open_merging(struct shrinking *k, struct error *e) {
    int nested = open_nest(k, e);
    return nested == 0 ? open_maps(k, e) : nested < 0 ? nested : 0;
}

/* Nobody has said how else, so without the maps nothing is done. */
static int open_auto(struct shrinking *k, struct error *e) {
    struct error why;
    int rc = open_merging(k, &why);
    if (rc == 0) {
        return 0;
    }
    if (rc == ERR_MEMORY || rc == ERR_NO_SPACE) {
        *e = why;
        return rc;
    }
    return error_set(
        e, ERR_UNSUPPORTED,
        "%s: keeps no maps for merging, and none were found (%.200s). Name its encoder "
        "(--model FILE), or say how pages are to shrink: --operator pool takes means, "
        "from which hardly anything can be read back",
        k->options->store, why.text);
}

/* ---- Drawing again ------------------------------------------------------------------- */

static int open_drawing(struct shrinking *k, struct error *e) {
    enum repage_how how = k->options->way == WAY_RESIZE ? REPAGE_RESIZE : REPAGE_RENDER;
    int rc = open_encoder(k, e);
    if (rc == 0) {
        rc = repager_open(&k->repager, k->store, k->encoder, how, k->options->profile, e);
    }
    if (rc == 0) {
        k->shrink = repager_operator(k->repager);
    }
    return rc;
}

int shrinking_open(struct shrinking **out, struct store *s, const struct shrinking_options *options,
                   struct error *e) {
    *out = NULL;
    struct shrinking *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return error_memory(e, NULL);
    }
    k->options = options;
    k->choice = options->encoder;
    k->store = s;
    bytes_init(&k->maps, (size_t)1 << 30);
    int rc = options->way == WAY_POOL    ? 0
             : options->way == WAY_AUTO  ? open_auto(k, e)
             : options->way == WAY_MERGE ? open_merging(k, e)
                                         : open_drawing(k, e);
    if (rc < 0 && k->choice.file == k->choice.bundled && options->way != WAY_AUTO) {
        error_context(e, "--operator %s needs the store's encoder (--model FILE)",
                      SHRINKING_WAYS[options->way]);
    }
    if (rc < 0) {
        shrinking_close(k);
        return rc;
    }
    *out = k;
    return 0;
}
