/* corpus_fuzz.c - JSON lines of any bytes as texts to learn from: what is accepted becomes rows
 * that hold each target once and fit. The first two bytes choose context, packing and the split. */
#include <stdlib.h>
#include <string.h>

#include "tests/byte_tokenizer.h"
#include "train/corpus/corpus_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise) {
        abort();
    }
}

static char template[] = TEMPLATE, path[] = "fuzz";
static struct decoder_folder folder = {.path = path, .chat_template = template};

static void open_folder(void) {
    struct bytes json;
    bytes_init(&json, 1 << 20);
    require(byte_tokenizer(&json, "null") == 0);
    require(tokenizer_read(&folder.tokenizer, "bytes", json.data, json.size, TOKENIZER_SPLIT_AUTO,
                           NULL) == 0);
    bytes_close(&json);
}

/* The targets that the documents of a set have: of a document's first token nothing is known. */
static int64_t targets_of(const struct corpus_builder *b, enum corpus_set set) {
    int64_t count = 0;
    for (size_t i = 0; i < b->post_count; i++) {
        const struct corpus_post *post = &b->posts[i];
        for (size_t d = 0; d < post->count && post->held_out == (set == CORPUS_HELD_OUT); d++) {
            const struct corpus_document *one = &b->documents[post->first + d];
            for (size_t k = 1; k < one->count; k++) {
                count += (b->tokens.ids[one->first + k] & CORPUS_TARGET) != 0;
            }
        }
    }
    return count;
}

static void check_rows(const struct corpus_rows *r, const struct corpus_builder *b,
                       enum corpus_set set) {
    int64_t targets = 0, tokens = 0;
    for (int64_t i = 0; i < r->counts.rows; i++) {
        const struct corpus_place *p = &r->places[i];
        const int32_t *offsets = r->offsets + p->offsets;
        require(p->tokens > 0 && p->tokens <= b->options->context && p->targets > 0);
        require(p->sequences > 0 && (b->options->packing || p->sequences == 1));
        require(offsets[0] == 0 && offsets[p->sequences] == p->tokens);
        for (int32_t s = 0; s < p->sequences; s++) {
            require(offsets[s] < offsets[s + 1] && r->positions[p->first + offsets[s]] == 0);
        }
        int32_t found = 0;
        for (int64_t k = p->first; k < p->first + p->tokens; k++) {
            require(r->ids[k] >= 0 && r->ids[k] <= TOKEN_START);
            require(r->labels[k] >= -1 && r->labels[k] <= TOKEN_START);
            found += r->labels[k] >= 0;
        }
        require(found == p->targets);
        targets += found;
        tokens += p->tokens;
    }
    require(targets == r->counts.targets && tokens == r->counts.tokens);
    require(targets == targets_of(b, set));
}

static void read_lines(struct corpus_builder *b, const uint8_t *data, size_t size) {
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;
        struct error e = {0};
        int rc = corpus_read_line(b, data, length, &e);
        require(rc == 0 || (rc == e.code && e.text[0] != '\0'));
        length += end != NULL;
        data += length;
        size -= length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    if (folder.tokenizer == NULL) {
        open_folder();
    }
    const struct corpus_options o = {.model = &folder,
                                     .context = 1 + data[0] / 2,
                                     .packing = data[0] & 1,
                                     .held_out = data[1] / 256.0,
                                     .seed = 1};
    struct corpus_builder b = {.options = &o, .begin = -1, .end = TOKEN_END};
    require(tokenizer_state_open(&b.state, folder.tokenizer, NULL) == 0);
    require(table_open(&b.accounts, NULL) == 0 && table_open(&b.clips, NULL) == 0);
    read_lines(&b, data + 2, size - 2);
    corpus_split(&b);
    for (int i = 0; i < CORPUS_SETS; i++) {
        struct corpus_rows rows;
        require(corpus_rows_make(&rows, &b, (enum corpus_set)i, NULL) == 0);
        check_rows(&rows, &b, (enum corpus_set)i);
        corpus_rows_close(&rows);
    }
    corpus_builder_close(&b);
    return 0;
}
