/* occ-read.c - the command line of `occ read`: text out of visual tokens. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/encoder_choice.h"
#include "cli/inputs.h"
#include "cli/tool.h"
#include "compress/image.h"
#include "compress/legibility.h"
#include "compress/readback.h"
#include "compress/sample.h"
#include "compress/trained.h"
#include "store/facts.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"

struct arguments {
    struct encoder_choice encoder;
    struct tool_messages messages;
    const char *store;
    int mode, layout;
    bool text;
};

enum { MODE_OF_SIZE };
enum { LAYOUT_OF_ENCODER, LAYOUT_ROWS, LAYOUT_CELLS };
static const char *const LAYOUTS[] = {"auto", "rows", "cells", NULL};
static const char *const MODES[] = {"auto", "tiny", "small", "base", "large", "hifi", NULL};

#define FIELD(name) offsetof(struct arguments, name)
static const struct option_spec OPTIONS[] = {
    {"", .help = "What is read"},
    {"store", 's', OPTION_TEXT, FIELD(store), "FOLDER",
     .help = "the token store; without KEYs, all of its pages are read"},
    {"mode", 0, OPTION_CHOICE, FIELD(mode), "MODE",
     .help =
         "mode of pictures; auto goes by their width: 512 pixels are tiny, 1024 base, 1280 hifi",
     .choices = MODES},
    {"layout", 0, OPTION_CHOICE, FIELD(layout), "LAYOUT",
     .help = "how text lies on pictures: in rows across the page, or in cells, one after another; "
             "auto takes cells where the encoder was trained on such pages",
     .choices = LAYOUTS},
    {"text", 't', OPTION_FLAG, FIELD(text),
     .help = "print plain text, with a form feed between pages; of a page in cells every space and "
             "newline that is on it, and no other"},
    {"", .help = "Reading head"},
    ENCODER_FILE_ROW(
        struct arguments, encoder,
        "an encoder with a reading head; for a store, the one that made it; default: the "
        "bundled one"),
    DEVICE_ROW(struct arguments, encoder.device),
    COMPUTE_ROW(struct arguments, encoder.device),
    {"", .help = "Messages"},
    TOOL_QUIET_ROW(struct arguments, messages),
    TOOL_VERBOSE_ROW(struct arguments, messages, "say how much was read"),
    TOOL_LOG_ROW(struct arguments, messages),
    {0}};

static const struct tool TOOL = {
    .name = "occ-read",
    .summary = "read visual tokens back into text",
    .operands = "[KEY...] | [FILE...]",
    .description =
        "Reads with the encoder's reading head, without a language model or a dictionary: what "
        "comes out is what the tokens hold. The reading head knows the alphabet and the typeface "
        "that it was trained on.\n\n"
        "With --store, it reads the pages of the samples KEY..., or all pages, in whatever state "
        "forgetting left them: merged grids are unmerged, nested tokens are read from the numbers "
        "that are left, the mean of several tokens is read in "
        "the place of each of them, and pages that were encoded again at a smaller size are read "
        "as smaller pages. Without --store, it reads the pages of the streams that 'occ render' "
        "writes, from FILEs ('-' is standard input) or standard input; a FILE may hold several "
        "streams, as cat joins them. FILEs that are pictures of pages (PNG, JPEG, PGM, PPM) are "
        "encoded and read after the streams.\n\n"
        "Prints one JSON object per line for each page: key, page, rows (text, confidence from 0 "
        "to 1, x and y in pixels of the page; of a page in cells, one for each cell with text, "
        "whose texts follow each other with nothing between), confidence (the mean over its "
        "characters, null where nothing was read), characters, unsure_rows, and, where the page's "
        "text is known, accuracy: 1 - edit distance / length. Confidence is the share of the text "
        "to expect right where the encoder's file is calibrated (see 'occ eval'), else what the "
        "reading head gives. Rows below 0.85 have \"unsure\": true: expect wrong text in them; "
        "unsure_rows is their number. Pages of a store also have bucket and, where it is above 0, "
        "shrunk_by, and facts: the numbers, dates, handles and links that 'occ forget' kept as "
        "text. A page that cannot be read and a sample whose key came before are named, and "
        "the rest goes on (exit 3).",
    .examples = "occ read -s tokens.occ --text | less\n"
                "    what a store still knows\n"
                "occ render -m base s.tar | occ read | jq -r .accuracy\n"
                "    how well each page can be read back\n",
    .options = OPTIONS,
};

static volatile sig_atomic_t cancelled;
enum { PATIENCE = 9 /* seconds: a page in hand takes less */ };

/* A run. */
struct run {
    struct arguments *a;
    struct encoder *encoder;
    struct reader *reader;
    struct readback *readback;
    struct page_encoder *pages; /* of pictures and streams */
    struct trained trained;
    bool cells; /* pictures are pages in cells */
    struct store *store;
    char key[STREAM_KEY_BYTES]; /* of the sample whose text is in hand */
    struct bytes text, out;
    int64_t read, failed; /* pages */
    int64_t rows, unsure;
    int64_t again;   /* samples whose keys came before */
    double accuracy; /* sum over `measured` pages */
    int64_t measured;
    struct legibility fresh, aged; /* pages that were forgotten in part */
    int64_t unseen;                /* pages of profiles that the encoder was not trained on */
    char unseen_profile[32];       /* the first of them */
};

/* ---- What is printed ------------------------------------------------------------------- */

struct page_text {
    const char *key;
    int number;
    const struct readback_page *read;
    double accuracy;                   /* -1: its text is not at hand */
    const struct token_header *header; /* NULL: of no store */
    const char *facts;                 /* header->facts bytes */
    bool legible;                      /* there should be something to read on it */
};

static json_t *short_real(double value) {
    return isfinite(value) ? json_real(round(value * 1e4) * 1e-4) : json_null();
}

static json_t *rows_json(const struct reading_text *t) {
    json_t *rows = json_array();
    for (size_t i = 0; i < t->row_count; i++) {
        const struct reading_row *r = &t->rows[i];
        json_t *row = json_pack("{s:s%, s:o, s:i, s:i}", "text", bytes_text(&t->text) + r->start,
                                r->end - r->start, "confidence", short_real((double)r->confidence),
                                "x", r->x, "y", r->y);
        if ((double)r->confidence < READBACK_SURE) {
            json_object_set_new(row, "unsure", json_true());
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *page_json(const struct page_text *p) {
    json_t *root = json_pack(
        "{s:s, s:i, s:o, s:o, s:I, s:I}", "key", p->key, "page", p->number, "rows",
        rows_json(p->read->text), "confidence",
        p->read->characters > 0 ? short_real(p->read->confidence) : json_null(), "characters",
        (json_int_t)p->read->characters, "unsure_rows", (json_int_t)p->read->unsure);
    if (p->header != NULL) {
        json_object_set_new(root, "bucket", json_integer(p->header->bucket));
        if (p->header->bucket > 0) {
            json_object_set_new(root, "shrunk_by", json_string(SHRINK_NAMES[p->header->shrunk_by]));
        }
        if (p->header->facts > 0) {
            json_object_set_new(root, "facts", facts_json(p->facts, p->header->facts));
        }
    }
    if (p->accuracy >= 0) {
        json_object_set_new(root, "accuracy", short_real(p->accuracy));
    }
    return root;
}

/* One line, or the text with a form feed before all pages but the first. */
static int print_page(struct run *r, const struct page_text *p, struct error *e) {
    const struct bytes *text = &p->read->text->text;
    int rc = 0;
    bytes_clear(&r->out);
    if (r->a->text) {
        rc = r->read > 0 ? bytes_append(&r->out, "\f", 1, e) : 0;
        if (rc == 0) {
            rc = bytes_append(&r->out, bytes_text(text), text->size, e);
        }
    } else {
        json_t *root = page_json(p);
        rc = root != NULL ? json_append(&r->out, root, e) : error_memory(e, NULL);
        if (rc == 0) {
            rc = bytes_append(&r->out, "\n", 1, e);
        }
        json_decref(root);
    }
    if (p->legible) {
        bool aged = p->header != NULL && p->header->bucket > 0;
        legibility_read(aged ? &r->aged : &r->fresh, p->key, p->number, p->read);
    }
    if (rc == 0) {
        rc = file_write(STDOUT_FILENO, bytes_text(&r->out), r->out.size, &cancelled, e);
    }
    r->read++;
    r->rows += (int64_t)p->read->text->row_count;
    r->unsure += p->read->unsure;
    r->measured += p->accuracy >= 0;
    r->accuracy += p->accuracy >= 0 ? p->accuracy : 0;
    return rc;
}

/* A page that cannot be read fails alone. */
static int skip(struct run *r, const struct error *why, struct error *e) {
    if (why->code == ERR_MEMORY) {
        *e = *why;
        return why->code;
    }
    log_error("%s", why->text);
    r->failed++;
    return 0;
}

static int stop_if_cancelled(struct error *e) {
    return cancelled ? error_set(e, ERR_CANCELLED, "stopped by a signal") : 0;
}

static void note_profile(struct run *r, const char *profile, int pages) {
    if (!trained_on(&r->trained, profile)) {
        if (r->unseen == 0) {
            snprintf(r->unseen_profile, sizeof r->unseen_profile, "%s", profile);
        }
        r->unseen += pages;
    }
}

/* ---- Stores -------------------------------------------------------------------------------- */

/* The text of the record's sample, in r->text; empty: the store has none. */
static int get_text(struct run *r, const char *key, struct error *e) {
    if (strcmp(r->key, key) == 0) {
        return 0;
    }
    snprintf(r->key, sizeof r->key, "%s", key);
    bytes_clear(&r->text);
    int rc = store_get_text(r->store, key, &r->text, e);
    return rc < 0 ? rc : 0;
}

static int read_record(void *context, const struct token_record *record, struct error *e) {
    struct run *r = context;
    struct readback_page read;
    struct error why = {0};
    size_t size = 0;
    struct page_text page = {.key = record->key,
                             .number = record->page,
                             .read = &read,
                             .header = &record->header,
                             .facts = record->facts};
    int rc = stop_if_cancelled(e);
    if (rc < 0) {
        return rc;
    }
    rc = readback_record(r->readback, &record->header, record->payload, &read, &why);
    if (rc == 0) {
        rc = get_text(r, record->key, &why);
    }
    if (rc == 0) {
        const char *text = store_text_page(bytes_text(&r->text), r->text.size, record->page, &size);
        page.legible = size > 0 || read.characters > 0;
        rc = readback_compare(&read, text, size, &page.accuracy, &why);
    }
    if (rc < 0) {
        error_context(&why, "%s page %d", record->key, record->page);
        return skip(r, &why, e);
    }
    char profile[TOKEN_PROFILE + 1] = "";
    memcpy(profile, record->header.profile, TOKEN_PROFILE);
    note_profile(r, profile, 1);
    return print_page(r, &page, e);
}

static int read_sample(struct run *r, const char *key, struct error *e) {
    struct error why;
    int rc = store_check_pages(r->store, key, &why);
    return rc < 0 ? skip(r, &why, e) : store_each_page(r->store, key, read_record, r, e);
}

/* Where not one of the keys has pages, nothing is read. */
static int check_keys(struct run *r, char **keys, int count, struct error *e) {
    int rc = 0;
    for (int i = count - 1; i >= 0; i--) {
        rc = store_check_pages(r->store, keys[i], e);
        if (rc == 0) {
            return 0;
        }
    }
    return rc;
}

static int read_store(struct run *r, char **keys, int count, struct error *e) {
    int rc = store_open(&r->store, r->a->store, e);
    if (rc == 0 && encoder_fingerprint(r->encoder) != store_encoder(r->store)->fingerprint) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: is not the encoder of %s", r->a->encoder.file,
                       r->a->store);
    }
    if (rc == 0 && count == 0) {
        rc = store_each(r->store, NULL, read_record, r, e);
    }
    if (rc == 0) {
        rc = check_keys(r, keys, count, e);
    }
    for (int i = 0; i < count && rc == 0; i++) {
        rc = read_sample(r, keys[i], e);
    }
    return rc;
}

/* ---- Pictures and streams ------------------------------------------------------------------ */

/* Encodes a page and reads it; `text` is the page's own, empty if there is none. */
static int read_page(struct run *r, const char *key, int number, struct encoded_page *encoded,
                     const char *text, size_t size, bool picture, struct error *e) {
    struct readback_page read = {.text = NULL};
    struct page_text page = {.key = key, .number = number, .read = &read};
    struct error why = {0};
    page_encode(r->pages, encoded);
    int rc = encoded->rc;
    why = rc < 0 ? encoded->error : why;
    const struct page_view *view = &encoded->views[0];
    const struct reading_page layout = {.rows = view->rows,
                                        .columns = view->columns,
                                        .column_offsets = PAGE_SIZES[encoded->mode].column_offsets,
                                        .cell_rows = encoded->cells ? view->rows : 0,
                                        .cell_columns = encoded->cells ? view->columns : 0};
    if (rc == 0) {
        rc = readback_tokens(r->readback, view->tokens, &layout, &read, &why);
    }
    if (rc == 0) {
        page.legible = picture || size > 0 || read.characters > 0;
        rc = readback_compare(&read, text, size, &page.accuracy, &why);
    }
    encoded_page_close(encoded);
    if (rc < 0) {
        error_context(&why, "%.200s page %d", key, number);
        return skip(r, &why, e);
    }
    return print_page(r, &page, e);
}

static int read_work(struct run *r, struct encode_job *w, const char *name, bool picture,
                     struct error *e) {
    const char *text = w->text, *end = w->text + w->text_size;
    int rc = 0;
    for (int i = 0; i < w->page_count && rc == 0; i++) {
        size_t size;
        text = store_text_page(text, (size_t)(end - text), 0, &size);
        rc = stop_if_cancelled(e);
        if (rc == 0) {
            rc = read_page(r, name, i, &w->pages[i], text, size, picture, e);
        }
        text += size + (text + size < end); /* after the form feed */
    }
    return rc;
}

/* The mode that was asked for, or that of the picture's size. */
static int choose_mode(const struct run *r, struct encoded_page *page, struct error *e) {
    static const enum page_mode BY_SIZE[] = {MODE_TINY, MODE_BASE, MODE_HIFI};
    struct image picture;
    page->exact = true;
    page->cells = r->cells;
    if (r->a->mode != MODE_OF_SIZE) {
        page->mode = (enum page_mode)mode_named(MODES[r->a->mode]);
        return 0;
    }
    int rc = image_decode(&picture, page->data, page->size, e);
    if (rc < 0) {
        return rc;
    }
    int width = picture.width, height = picture.height;
    image_close(&picture);
    for (size_t i = 0; i < sizeof BY_SIZE / sizeof *BY_SIZE; i++) {
        if (page_has_size(BY_SIZE[i], r->cells, width, height)) {
            page->mode = BY_SIZE[i];
            return 0;
        }
    }
    return error_set(
        e, ERR_FORMAT,
        "a picture of %d x %d pixels; pages%s are 512, 1024 or 1280 pixels wide and %s", width,
        height, r->cells ? " in cells" : "",
        r->cells ? "a multiple of 64 high, at most as high as wide" : "as high");
}

static int read_picture(struct run *r, const char *path, struct error *e) {
    struct encode_job *w = NULL;
    struct error why;
    int rc = sample_from_file(&w, path, MODE_BASE, false, &why);
    if (rc == 0) {
        rc = choose_mode(r, &w->pages[0], &why);
        rc = rc < 0 ? error_context(&why, "%s", path) : 0;
    }
    rc = rc < 0 ? skip(r, &why, e) : read_work(r, w, path, true, e);
    encode_job_free(w);
    return rc;
}

static int take_sample(struct run *r, const struct stream_reader *reader,
                       const struct stream_sample *sample, bool again, struct error *e) {
    struct encode_job *w = NULL;
    struct error why;
    if (again) {
        sample_report_repeated(reader, sample);
        r->again++;
        return 0;
    }
    if (sample_from_stream(&w, sample, &why) < 0) {
        return skip(r, &why, e);
    }
    note_profile(r, w->profile, w->page_count);
    int rc = read_work(r, w, w->key, false, e);
    encode_job_free(w);
    return rc;
}

static int read_streams(struct run *r, char *const *files, int count, struct error *e) {
    struct stream_reader *reader = NULL;
    struct stream_sample sample;
    struct sample_pages pages = {.stream = 0};
    int rc = stream_reader_open_files(&reader, files, count, &cancelled, e), more = 1;
    while (rc == 0 && more > 0) {
        more = stream_next(reader, &sample, e);
        rc = more < 0 ? more : stop_if_cancelled(e);
        if (rc == 0 && sample_count_pages(&pages, reader, more > 0 ? &sample : NULL) && more > 0) {
            rc = take_sample(r, reader, &sample, more == STREAM_AGAIN, e);
        }
    }
    if (rc == 0 && pages.unrendered > 0) {
        rc = error_set(e, ERR_FORMAT, "%s", pages.error.text);
    }
    stream_reader_close(reader);
    return rc;
}

/* ---- A run --------------------------------------------------------------------------------- */

static int check(struct arguments *a, int operands, char **argv, struct error *e) {
    bool standard = inputs_are_standard(argv + 1, operands);
    if (standard && operands > 0 && a->store != NULL) {
        return error_set(e, ERR_USAGE, "'-' is a stream on standard input, not a KEY of a store");
    }
    if (a->store == NULL && standard && isatty(STDIN_FILENO)) {
        return error_set(e, ERR_USAGE,
                         "standard input is a terminal: use 'occ render ... | occ read', name "
                         "FILEs, or use --store FOLDER");
    }
    return encoder_choice_settle(&a->encoder, e);
}

static int run_open(struct run *r, struct error *e) {
    const struct arguments *a = r->a;
    const char *file = a->encoder.file;
    const struct backend *backend = a->encoder.device.backend;
    enum dtype compute = a->encoder.device.type;
    bytes_init(&r->text, (size_t)256 << 20);
    bytes_init(&r->out, (size_t)1 << 30);
    int rc = reader_open(&r->reader, file, backend, compute, e);
    if (rc == 0) {
        rc = encoder_open(&r->encoder, file, NULL, backend, compute, e);
    }
    if (rc == 0 && reader_dim(r->reader) != encoder_config(r->encoder)->token_dim) {
        rc = error_set(e, ERR_FORMAT, "%s: its reading head reads tokens of another size", file);
    }
    if (rc == 0) {
        rc = readback_open(&r->readback, r->reader, e);
    }
    if (rc == 0) {
        trained_read(&r->trained, r->encoder);
        r->cells = a->layout == LAYOUT_OF_ENCODER ? r->trained.cells : a->layout == LAYOUT_CELLS;
    }
    return rc == 0 && a->store == NULL ? page_encoder_open(&r->pages, r->encoder, 0, e) : rc;
}

static void run_close(struct run *r) {
    store_close(r->store);
    trained_close(&r->trained);
    page_encoder_close(r->pages);
    readback_close(r->readback);
    encoder_close(r->encoder);
    reader_close(r->reader);
    bytes_close(&r->text);
    bytes_close(&r->out);
}

static int run(struct run *r, int count, char **operands, struct error *e) {
    int rc = run_open(r, e);
    if (rc == 0 && r->a->store != NULL) {
        rc = read_store(r, operands, count, e);
    } else if (rc == 0) {
        int streams = inputs_part(operands, count);
        rc = streams > 0 || count == 0 ? read_streams(r, operands, streams, e) : 0;
        for (int i = streams; i < count && rc == 0; i++) {
            rc = read_picture(r, operands[i], e);
        }
    }
    run_close(r);
    return rc;
}

/* Plain text has no place for marks. */
static void tell_unsure(const struct run *r) {
    char text[128];
    snprintf(text, sizeof text,
             "%" PRId64 " of %" PRId64 " rows are read with a confidence below %.2f", r->unsure,
             r->rows, READBACK_SURE);
    if (r->unsure > 0 && r->a->text) {
        log_warning("%s: without --text they are marked", text);
    } else if (r->unsure > 0) {
        log_info("%s", text);
    }
}

static void summarize(const struct run *r) {
    char share[64] = "";
    if (r->measured > 0) {
        snprintf(share, sizeof share, "; %.2f%% of the text of %" PRId64 " on average",
                 100 * r->accuracy / (double)r->measured, r->measured);
    }
    log_info("%" PRId64 " pages were read%s", r->read, share);
    tell_unsure(r);
    if (r->again > 0) {
        log_warning("%" PRId64 " samples were skipped: their keys came before", r->again);
    }
    if (r->failed > 0) {
        log_warning("%" PRId64 " pages could not be read", r->failed);
    }
    if (r->unseen > 0) {
        log_warning("%" PRId64 " pages are set in a profile that this encoder was not trained on "
                    "(%s), such as %s",
                    r->unseen, r->trained.list, r->unseen_profile);
    }
    legibility_warn(&r->fresh);
    if (r->aged.doubtful.count > 0) {
        const struct legibility_pages *d = &r->aged.doubtful;
        log_warning("%" PRId64
                    " pages that were forgotten in part are read with a confidence below "
                    "%.2f, so expect wrong text; least: %s page %d, %.2f",
                    d->count, READBACK_SURE, d->key, d->page, d->value);
    }
}

int main(int argc, char **argv) {
    struct arguments a = {.mode = MODE_OF_SIZE};
    struct error e = {0};
    int operands = 0;
    int rc = options_parse(&TOOL, argc, argv, &a, &operands, &e);
    if (rc == OPTIONS_DONE) {
        return EXIT_DONE;
    }
    if (rc == 0) {
        rc = check(&a, operands, argv, &e);
    }
    if (rc < 0) {
        return options_usage_error(&TOOL, &e);
    }
    tool_begin(&TOOL, &a.messages, &cancelled, PATIENCE);
    struct run r = {.a = &a};
    rc = run(&r, operands, argv + 1, &e);
    int status = tool_end(rc, TOOL_STARTS_OVER, &e);
    if (status == EXIT_DONE) {
        summarize(&r);
        status = r.failed + r.again > 0 ? EXIT_SOME : EXIT_DONE;
    }
    return status;
}
