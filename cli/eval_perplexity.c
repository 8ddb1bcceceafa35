/* eval_perplexity.c - see eval_perplexity.h. */
#include "cli/eval_perplexity.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/file.h"
#include "store/json.h"
#include "train/decoder/begin.h"
#include "train/perplexity/perplexity.h"

enum { WINDOW = 1024 };

struct measured {
    struct perplexity_result result;
    int64_t bytes, characters;
};

struct perplexity_bench {
    const struct perplexity_arguments *arguments;
    struct decoder_folder folder;
    struct device *device;
    struct decoder *decoder;
    struct adapter *adapter; /* NULL: none */
    const struct device_choice *choice;
    struct tokenizer_state *state;
    struct perplexity_options options;
    struct measured total;
    int texts;
    bool json;
};

int perplexity_check(struct perplexity_arguments *a, int texts, struct device_choice *d,
                     struct error *e) {
    const bool store = a->posts.store != NULL;
    if (a->model == NULL) {
        return error_set(e, ERR_USAGE, "no language model is named: --model FOLDER");
    }
    if (store && (texts > 0 || a->window > 0 || a->tokens > 0)) {
        return error_set(e, ERR_USAGE, "%s for texts, and --store measures posts",
                         texts > 0       ? "FILE is"
                         : a->window > 0 ? "--window is"
                                         : "--tokens is");
    }
    if (!store && a->posts.encoder != NULL && a->adapter == NULL) {
        return error_set(e, ERR_USAGE, "--encoder is for --adapter and --store");
    }
    int rc = posts_check(&a->posts, e);
    return rc < 0 ? rc : device_choice_settle(d, e);
}

int perplexity_open(struct perplexity_bench **out, const struct perplexity_arguments *a,
                    const struct device_choice *d, int64_t threads, bool json, struct error *e) {
    struct perplexity_bench *p = *out = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->arguments = a;
    p->choice = d;
    p->json = json;
    int rc = decoder_folder_open(&p->folder, a->model, e);
    if (rc == 0) {
        rc = device_open_team(&p->device, d->backend, d->type, (int)threads, e);
    }
    if (rc == 0) {
        rc = decoder_open(&p->decoder, &p->folder, (enum decoder_format)a->weights, p->device, e);
    }
    if (rc == 0 && a->adapter != NULL) {
        char found[4096];
        const char *encoder = store_context_encoder(a->posts.encoder, found, sizeof found);
        rc = adapter_open(&p->adapter, a->adapter, p->decoder, encoder, p->device, e);
    }
    if (rc == 0) {
        rc = tokenizer_state_open(&p->state, p->folder.tokenizer, e);
    }
    if (rc == 0) {
        int64_t most = p->folder.config.context < WINDOW ? p->folder.config.context : WINDOW;
        p->options = (struct perplexity_options){.config = &p->folder.config,
                                                 .window = a->window > 0 ? a->window : most};
        p->options.parts =
            p->adapter != NULL ? adapter_parts(p->adapter) : decoder_parts(p->decoder);
        rc = decoder_begin(&p->folder, &p->options.begin, e);
    }
    return rc;
}

void perplexity_close(struct perplexity_bench *p) {
    if (p == NULL) {
        return;
    }
    tokenizer_state_close(p->state);
    adapter_close(p->adapter);
    decoder_close(p->decoder);
    device_close(p->device);
    decoder_folder_close(&p->folder);
    free(p);
}

/* ---- Printing --------------------------------------------------------------------------- */

static double mean_loss(const struct measured *m) {
    return m->result.loss / (double)m->result.foreseen;
}

/* Of all tokens, those that are not foreseen too, at the mean loss. */
static double bits_per(const struct measured *m, int64_t what) {
    return mean_loss(m) * (double)m->result.tokens / ((double)what * M_LN2);
}

static int print_json(const struct perplexity_bench *p, const char *name, const struct measured *m,
                      struct error *e) {
    struct bytes line;
    bytes_init(&line, 1 << 20);
    json_t *root = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:s, s:s*, s:s}", "text", name,
        "tokens", (json_int_t)m->result.tokens, "foreseen", (json_int_t)m->result.foreseen, "bytes",
        (json_int_t)m->bytes, "characters", (json_int_t)m->characters, "loss", mean_loss(m),
        "perplexity", exp(mean_loss(m)), "bits_per_byte", bits_per(m, m->bytes),
        "bits_per_character", bits_per(m, m->characters), "window", (json_int_t)p->options.window,
        "model", p->arguments->model, "adapter", p->arguments->adapter, "weights",
        DECODER_FORMAT_NAMES[p->arguments->weights]);
    int rc = root != NULL ? json_append(&line, root, e) : error_memory(e, NULL);
    if (rc == 0 && puts(bytes_text(&line)) == EOF) {
        rc = error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    json_decref(root);
    bytes_close(&line);
    return rc;
}

static int print(struct perplexity_bench *p, const char *name, const struct measured *m,
                 struct error *e) {
    int rc = 0;
    if (p->json) {
        rc = print_json(p, name, m, e);
    } else {
        if (p->texts == 1) {
            printf("%-32s%10s%10s%12s%12s%13s\n", "", "tokens", "loss", "perplexity", "bits/byte",
                   "bytes/token");
        }
        printf("%-32s%10" PRId64 "%10.4f%12.2f%12.3f%13.2f\n", name, m->result.tokens, mean_loss(m),
               exp(mean_loss(m)), bits_per(m, m->bytes),
               (double)m->bytes / (double)m->result.tokens);
    }
    return fflush(stdout) == 0 || rc < 0
               ? rc
               : error_set(e, ERR_IO, "standard output: cannot be written");
}

/* ---- Measuring -------------------------------------------------------------------------- */

static int measure(struct perplexity_bench *p, const char *file, struct measured *m,
                   struct error *e) {
    struct bytes text, seen;
    struct token_list tokens = {0};
    bytes_init(&text, TOKENIZER_FILE_LIMIT);
    bytes_init(&seen, SIZE_MAX / 2);
    int rc = file_read(file, &text, e);
    if (rc == 0) {
        rc = tokenizer_encode(p->state, bytes_text(&text), text.size, TOKENIZER_ORDINARY, &tokens,
                              e);
        rc = rc < 0 ? error_context(e, "%s", file) : 0;
    }
    int64_t count = (int64_t)tokens.count;
    if (p->arguments->tokens > 0 && count > p->arguments->tokens) {
        count = p->arguments->tokens;
    }
    if (rc == 0) {
        rc = tokenizer_decode(p->folder.tokenizer, tokens.ids, (size_t)count, &seen, e);
    }
    if (rc == 0) {
        rc = perplexity_measure(&p->options, p->device, tokens.ids, count, &m->result, e);
    }
    if (rc == 0 && m->result.foreseen == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: has no token that could be foreseen", file);
    } else if (rc == 0 && !isfinite(exp(mean_loss(m)))) {
        rc = error_set(e, ERR_FORMAT, "%s: the loss of %s is %g: no perplexity", file,
                       p->arguments->model, mean_loss(m));
    }
    m->bytes = (int64_t)seen.size;
    for (size_t i = 0; i < seen.size; i++) {
        m->characters += (seen.data[i] & 0xC0) != 0x80;
    }
    token_list_close(&tokens);
    bytes_close(&text);
    bytes_close(&seen);
    return rc;
}

int perplexity_text(struct perplexity_bench *p, const char *file, const char *name, size_t size,
                    struct error *e) {
    struct measured m = {0};
    struct bytes shown;
    const char *base = strrchr(file, '/');
    base = base != NULL ? base + 1 : file;
    bytes_init(&shown, 1 << 20);
    int rc = measure(p, file, &m, e);
    if (rc == 0) {
        rc = size > 0 ? bytes_append(&shown, name, size, e) : bytes_append_text(&shown, base, e);
    }
    if (rc == 0) {
        p->texts++;
        p->total.result.tokens += m.result.tokens;
        p->total.result.foreseen += m.result.foreseen;
        p->total.result.loss += m.result.loss;
        p->total.bytes += m.bytes;
        p->total.characters += m.characters;
        rc = print(p, bytes_text(&shown), &m, e);
    }
    bytes_close(&shown);
    return rc;
}

int perplexity_posts(struct perplexity_bench *p, struct error *e) {
    const struct posts_model m = {.folder = &p->folder,
                                  .parts = p->options.parts,
                                  .adapter = p->adapter,
                                  .device = p->device,
                                  .choice = p->choice};
    return posts_run(&p->arguments->posts, &m, p->json, e);
}

int perplexity_total(struct perplexity_bench *p, struct error *e) {
    return p->texts > 1 ? print(p, "all", &p->total, e) : 0;
}
