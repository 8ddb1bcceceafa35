/* store_plot.c - see store_plot.h. */
#include "cli/store_plot.h"

#include <inttypes.h>
#include <time.h>

#include "cli/picture.h"
#include "compress/encoder.h"
#include "store/forget.h"
#include "store/log.h"
#include "train/fidelity/decay.h"

/* The head of the store's own encoder. */
static int open_reader(struct reader **out, struct store *s, struct encoder_choice *choice,
                       const char *store, struct error *e) {
    struct encoder *encoder = NULL;
    const struct device_choice *d = &choice->device;
    int rc = encoder_choice_settle(choice, e);
    if (rc == 0) {
        rc = encoder_open(&encoder, choice->file, NULL, d->backend, d->type, e);
    }
    if (rc == 0 && encoder_fingerprint(encoder) != store_encoder(s)->fingerprint) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: is not the encoder of %s", choice->file, store);
    }
    encoder_close(encoder);
    if (rc == 0) {
        rc = reader_open(out, choice->file, d->backend, d->type, e);
    }
    return rc < 0 ? error_context(e, "reading pages back (--model FILE)") : 0;
}

int store_plot_decay(struct store *s, const struct store_plot *plot,
                     const volatile sig_atomic_t *cancel, struct error *e) {
    struct encoder_choice choice = plot->encoder;
    struct reader *reader = NULL;
    struct readback *readback = NULL;
    struct bytes picture;
    struct decay decay;
    int64_t now = 0;
    bytes_init(&picture, (size_t)64 << 20);
    int rc = open_reader(&reader, s, &choice, plot->store, e);
    if (rc == 0) {
        rc = readback_open(&readback, reader, e);
    }
    if (rc == 0) {
        rc = forget_last_pass(s, &now, e);
    }
    if (rc == 0) {
        now = now > 0 ? now : (int64_t)time(NULL);
        rc = decay_measure(&decay, s, readback, now, cancel, e);
        rc = rc < 0 ? error_context(e, "%s", plot->store) : 0;
    }
    if (rc == 0) {
        rc = decay_plot(&picture, &decay, e);
    }
    if (rc == 0) {
        rc = picture_write(plot->picture, &picture, cancel, e);
    }
    if (rc == 0) {
        log_info("%d buckets; %" PRId64 " pages that do not age were left out", decay.count,
                 decay.left_out);
    }
    bytes_close(&picture);
    readback_close(readback);
    reader_close(reader);
    return rc;
}
