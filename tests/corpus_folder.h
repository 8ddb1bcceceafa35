/* corpus_folder.h - for tests of corpora: a model's folder with a tokenizer of bytes, files of text
 * beside it, and rows as text. */
#ifndef OCC_TESTS_CORPUS_FOLDER_H
#define OCC_TESTS_CORPUS_FOLDER_H

#include "tests/byte_tokenizer.h"
#include "tests/store_folder.h"
#include "train/corpus/corpus.h"

struct corpus_folder {
    char path[64];
    struct decoder_folder model;
};

static inline void write_text(const char *path, const char *text, size_t size) {
    FILE *out = fopen(path, "w");
    if (!CHECK(out != NULL && fwrite(text, 1, size, out) == size && fclose(out) == 0)) {
        exit(1);
    }
}

/* Of a file in the folder; valid until the next call but three. */
static inline char *path_in(const struct corpus_folder *f, const char *name) {
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 128, "%s/%s", f->path, name);
    return path;
}

static inline void write_tokenizer(const struct corpus_folder *f, const char *processor) {
    struct bytes out;
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(byte_tokenizer(&out, processor), 0);
    write_text(path_in(f, "tokenizer.json"), bytes_text(&out), out.size);
    bytes_close(&out);
}

static inline void corpus_folder_new(struct corpus_folder *f) {
    static char template[] = TEMPLATE;
    struct error e = {0};
    *f = (struct corpus_folder){.path = "/tmp/occ-corpus-XXXXXX"};
    if (mkdtemp(f->path) == NULL) {
        exit(1);
    }
    f->model = (struct decoder_folder){.path = f->path, .chat_template = template};
    f->model.config.begin = TOKEN_BEGIN;
    for (int i = 0; i < DECODER_ENDS; i++) {
        f->model.config.ends[i] = i == 0 ? TOKEN_END : -1;
    }
    write_tokenizer(f, "null");
    if (!CHECK_NUMBER(tokenizer_open(&f->model.tokenizer, path_in(f, "tokenizer.json"),
                                     TOKENIZER_SPLIT_AUTO, &e),
                      0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
}

static inline void corpus_folder_end(struct corpus_folder *f) {
    tokenizer_close(f->model.tokenizer);
    folder_remove(f->path);
}

static inline struct corpus_options corpus_options_of(const struct corpus_folder *f) {
    return (struct corpus_options){.model = &f->model, .context = 4096, .seed = 1};
}

static inline struct corpus *corpus_of(const struct corpus_options *o, char *path) {
    struct corpus *c = NULL;
    struct error e = {0};
    if (!CHECK_NUMBER(corpus_open(&c, o, &path, 1, NULL, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return c;
}

/* Of `text` as a file of JSON lines. */
static inline struct corpus *corpus_of_lines(const struct corpus_folder *f,
                                             const struct corpus_options *o, const char *text) {
    char *path = path_in(f, "lines.jsonl");
    write_text(path, text, strlen(text));
    return corpus_of(o, path);
}

/* Appends sequence `number` of a row, each token as its byte, or as $ (end), ^ (begin), ~ (start);
 * what is to be predicted stands in brackets. */
static inline void show_sequence(struct bytes *out, const struct corpus_row *row, int64_t number) {
    bool open = false;
    int32_t from = row->offsets[number], end = row->offsets[number + 1];
    for (int32_t i = from; i <= end; i++) {
        bool target = i > from && row->labels[i - 1] >= 0;
        int32_t id = i < end ? row->ids[i] : row->labels[i - 1];
        char shown = (char)(id == TOKEN_END     ? '$'
                            : id == TOKEN_BEGIN ? '^'
                            : id == TOKEN_START ? '~'
                                                : id);
        if (target != open) {
            bytes_append_text(out, target ? "[" : "]", NULL);
            open = target;
        }
        if (i < end || target) {
            bytes_append(out, &shown, 1, NULL);
        }
        CHECK(!target || i == end || row->ids[i] == row->labels[i - 1]);
        CHECK(i == end || row->positions[i] == i - from);
    }
    bytes_append_text(out, open ? "]\n" : "\n", NULL);
}

static inline int compare_lines(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* All sequences of a set, a line each, in alphabetical order; newlines in them are '/'. The
 * caller's. */
static inline char *sequences_of(const struct corpus *c, enum corpus_set set) {
    struct bytes all, one;
    char **lines = calloc(4096, sizeof *lines);
    size_t count = 0;
    bytes_init(&all, 1 << 26);
    bytes_init(&one, 1 << 26);
    for (int64_t i = 0; i < corpus_counts(c, set).rows; i++) {
        struct corpus_row row = corpus_row(c, set, 0, i);
        for (int64_t s = 0; s < row.sequences && count < 4096; s++) {
            bytes_clear(&one);
            show_sequence(&one, &row, s);
            for (size_t k = 0; k + 1 < one.size; k++) {
                one.data[k] = one.data[k] == '\n' ? '/' : one.data[k];
            }
            lines[count++] = strdup(bytes_text(&one));
        }
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        CHECK_NUMBER(bytes_append_text(&all, lines[i], NULL), 0);
        free(lines[i]);
    }
    free(lines);
    bytes_close(&one);
    return all.data != NULL ? (char *)all.data : strdup("");
}

static inline void check_sequences(const struct corpus *c, enum corpus_set set, const char *want) {
    char *got = sequences_of(c, set);
    CHECK_TEXT(got, want);
    free(got);
}

#endif
