/* store_context.c - see store_context.h. */
#include "cli/store_context.h"

#include <inttypes.h>

#include "cli/data_file.h"
#include "compress/model.h"

const char *store_context_encoder(const char *named, char *found, size_t size) {
    if (named != NULL) {
        return named;
    }
    return data_file_find(found, size, "nano.safetensors", NULL) == 0 ? found : NULL;
}

int64_t store_context_positions(const struct layout_spent *s) {
    return s->marks + s->soft + s->pooled + s->text + s->facts;
}

static int check_encoder(const struct history *history, uint64_t fingerprint, const char *whose,
                         struct error *e) {
    const struct store_encoder *made = history_encoder(history);
    return made->fingerprint == fingerprint
               ? 0
               : error_set(e, ERR_FORMAT,
                           "the store's tokens are those of the encoder %s %016" PRIx64
                           ", not of %016" PRIx64 ", which %s is for",
                           made->name, made->fingerprint, fingerprint, whose);
}

int store_context_reader(struct reader **out, const struct history *history, const char *file,
                         const struct device_choice *device, struct error *e) {
    struct model_info info;
    int rc = model_info(&info, file, e);
    rc = rc == 0 ? check_encoder(history, info.fingerprint, file, e) : rc;
    return rc == 0 ? reader_open(out, file, device->backend, device->type, e) : rc;
}

static int open_reader(struct store_context *s, const struct store_context_options *o,
                       struct error *e) {
    char found[4096];
    const char *file = store_context_encoder(o->encoder, found, sizeof found);
    int rc = file != NULL ? store_context_reader(&s->reader, s->history, file, o->device, e)
                          : error_set(e, ERR_USAGE,
                                      "--context read needs the encoder that made the store: "
                                      "--encoder FILE");
    s->options.reader = s->reader;
    return rc;
}

int store_context_open(struct store_context *s, const struct store_context_options *o,
                       struct error *e) {
    const bool bridged = o->adapter != NULL && adapter_bridge(o->adapter, &s->network);
    const struct bridge_options *bridge = bridged ? s->network.bridge : NULL;
    s->options = (struct layout_options){
        .model = o->model, .held_out = o->held_out, .held_accounts = o->held_accounts};
    int rc = context_choice_layout(o->choice, &o->model->config, bridge, &s->options, e);
    if (rc == 0 && s->options.row <= o->room) {
        rc = error_set(e, ERR_USAGE,
                       "rows have %" PRId64 " tokens, and %" PRId64 " of them are to be written",
                       s->options.row, o->room);
    }
    /* The context is as long as the adapter learned it. What is written behind it has at least half
     * of the rest, and beyond that what the prompt leaves (generate.h). */
    const int64_t rest = s->options.row - s->options.positions;
    const bool fits = o->choice->positions > 0 || o->room <= rest / 2;
    s->options.row -= fits ? o->room : rest / 2;
    if (s->options.kind != CONTEXT_VISUAL) { /* rows without marks and soft tokens */
        s->network = (struct context_network){.bridge = NULL};
    }
    rc = rc == 0 ? history_open(&s->history, o->store, o->account, o->cancel, e) : rc;
    if (rc == 0 && s->options.kind == CONTEXT_VISUAL) {
        rc = check_encoder(s->history, bridge->encoder, "the adapter", e);
    }
    rc = rc == 0 && s->options.kind == CONTEXT_READ ? open_reader(s, o, e) : rc;
    return rc == 0 ? layout_open(&s->layout, &s->options, s->history, o->cancel, e) : rc;
}

void store_context_close(struct store_context *s) {
    layout_close(s->layout);
    reader_close(s->reader);
    history_close(s->history);
    *s = (struct store_context){.history = NULL};
}
