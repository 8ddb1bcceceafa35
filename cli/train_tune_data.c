/* train_tune_data.c - see train_tune_data.h. */
#include "cli/train_tune_data.h"

#include <inttypes.h>

#include "cli/store_context.h"
#include "compress/model.h"
#include "store/log.h"

/* ---- Contexts -------------------------------------------------------------------------------- */

static int check_experts(const struct train_arguments *a, const struct bridge_options *from,
                         struct error *e) {
    const bool named = a->tune.experts >= 0 || a->tune.no_experts || a->tune.top > 0;
    return named && from->experts.count > 0
               ? error_set(e, ERR_USAGE, "--from %s: has experts of its own, %" PRId64 " of them",
                           a->from, from->experts.count)
               : 0;
}

/* The bridge of --from, or the new one. */
static int find_bridge(struct bridge_options *out, const struct train_arguments *a,
                       struct error *e) {
    struct bridge_folder folder;
    const bool there = a->from != NULL && bridge_folder_is(a->from);
    *out = a->tune.options.bridge.options;
    int rc = there ? bridge_folder_open(&folder, a->from, e) : 0;
    if (there && rc == 0) {
        *out = folder.options;
        bridge_folder_close(&folder);
        rc = check_experts(a, out, e);
    }
    return rc;
}

/* What is said of contexts, for this model; `row` also where there are none. */
static int settle_layout(struct layout_options *o, const struct train_arguments *a,
                         const struct decoder_config *config, struct error *e) {
    const bool used = a->tune.options.bridge.used;
    struct context_choice choice = a->tune.context;
    struct bridge_options bridge;
    choice.kind = choice.kind == CONTEXT_AUTO ? CONTEXT_NONE : choice.kind;
    *o = (struct layout_options){.held_out = a->tune.corpus.held_out,
                                 .held_accounts = a->tune.held_accounts_share,
                                 .seed = (uint64_t)a->seed};
    int rc = used ? find_bridge(&bridge, a, e) : 0;
    return rc == 0 ? context_choice_layout(&choice, config, used ? &bridge : NULL, o, e) : rc;
}

/* As many visual tokens as fit, none of them halved, as a fresh store has them. Each halving
 * doubles the cells under a token, which a bridge that reads keeps numbers of: how many of which
 * age an account shows is known when its store is open, and -v says what that takes. */
int tune_data_shape(const struct train_arguments *a, const struct decoder_config *config,
                    struct tune_shape *out, struct error *e) {
    enum { POOLED = 10 /* text tokens of an English token in cells */ };
    struct layout_options o;
    int rc = settle_layout(&o, a, config, e);
    struct layout_shape *row = &out->row;
    *out = (struct tune_shape){.row = {.tokens = o.row, .expand = o.expand}};
    if (rc == 0 && o.kind == CONTEXT_VISUAL && a->tune.context.kind != CONTEXT_AUTO) {
        row->visual[0] = (o.positions - o.newest) / o.expand;
    } else if (rc == 0 && o.kind == CONTEXT_POOLED) {
        row->pools = o.positions;
        row->pooled = o.positions * POOLED / o.expand;
    }
    if (rc == 0 && a->tune.options.encoder_rate > 0) {
        const struct page_size *size = &PAGE_SIZES[MODE_BASE]; /* as pages are by default */
        out->page = (struct page_image){size->side, size->side, 1, size->column_offsets};
    }
    return rc;
}

/* ---- What is there --------------------------------------------------------------------------- */

static const char *const SETS[CORPUS_SETS] = {
    [CORPUS_TRAINING] = "to learn from", [CORPUS_HELD_OUT] = "held out"};

static void show_corpus(const struct corpus *corpus) {
    for (int i = 0; i < CORPUS_SETS; i++) {
        const struct corpus_counts n = corpus_counts(corpus, (enum corpus_set)i);
        log_info("%s: %" PRId64 " documents of %" PRId64 " accounts, %" PRId64 " tokens, %" PRId64
                 " of them targets; %" PRId64 " documents without text left out",
                 SETS[i], n.documents, n.accounts, n.tokens, n.targets, n.empty);
    }
}

static void show_layout(const struct layout *layout) {
    for (int i = 0; i < CORPUS_SETS; i++) {
        const struct layout_counts n = layout_counts(layout, (enum corpus_set)i);
        log_info("%s: %" PRId64 " posts of %" PRId64 " accounts, %" PRId64 " targets; %" PRId64
                 " positions of context that stand for %" PRId64 " text tokens",
                 SETS[i], n.rows, n.accounts, n.targets, n.context, n.shown);
    }
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int open_corpus(struct tune_files *f, struct train_arguments *a,
                       const struct decoder_folder *model, int64_t row, char **files, int count,
                       const volatile sig_atomic_t *cancel, struct error *e) {
    a->tune.corpus.model = model;
    a->tune.corpus.context = row;
    int rc = corpus_open(&f->corpus, &a->tune.corpus, files, count, cancel, e);
    if (rc == 0) {
        show_corpus(f->corpus);
    }
    return rc;
}

static int open_layout(struct tune_files *f, const struct train_arguments *a,
                       struct layout_options *o, const char *store,
                       const volatile sig_atomic_t *cancel, struct error *e) {
    int rc = history_open(&f->history, store, NULL, cancel, e);
    if (rc == 0 && o->kind == CONTEXT_READ) {
        struct device_choice device = a->device;
        rc = device_choice_settle(&device, e);
        rc = rc == 0 ? store_context_reader(&f->reader, f->history, a->encoder, &device, e) : rc;
        o->reader = f->reader;
    }
    if (rc == 0) {
        rc = layout_open(&f->layout, o, f->history, cancel, e);
    }
    if (rc == 0) {
        show_layout(f->layout);
    }
    return rc;
}

/* Of the pages, as the encoder wants them. */
static int open_images(struct tune_files *f, const struct train_arguments *a, char **streams,
                       int count, const volatile sig_atomic_t *cancel, struct error *e) {
    struct model_info info;
    int rc = model_info(&info, a->encoder, e);
    if (rc == 0) {
        rc = page_images_open(&f->images, f->history, info.grey, streams, count, cancel, e);
    }
    if (rc == 0) {
        log_info("%zu pages, %.1f MB packed", history_pages(f->history),
                 (double)page_images_bytes(f->images) * 1e-6);
    }
    return rc;
}

int tune_data_open(struct tune_files *f, struct train_arguments *a,
                   const struct decoder_folder *model, char **files, int count,
                   const volatile sig_atomic_t *cancel, struct error *e) {
    struct layout_options o;
    int rc = settle_layout(&o, a, &model->config, e);
    o.model = model;
    if (rc == 0) {
        rc = a->tune.context.kind == CONTEXT_AUTO
                 ? open_corpus(f, a, model, o.row, files, count, cancel, e)
                 : open_layout(f, a, &o, files[0], cancel, e);
    }
    if (rc == 0 && a->tune.options.encoder_rate > 0) {
        rc = open_images(f, a, files + 1, count - 1, cancel, e);
    }
    f->data = (struct tune_data){
        .corpus = f->corpus, .layout = f->layout, .history = f->history, .images = f->images};
    return rc;
}

void tune_data_close(struct tune_files *f) {
    page_images_close(f->images);
    layout_close(f->layout);
    reader_close(f->reader);
    history_close(f->history);
    corpus_close(f->corpus);
}
