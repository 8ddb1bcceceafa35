/* samples.c - a stream as `occ ingest` writes it, made up, without pictures: what render.sh pipes
 * into `occ render`.
 *
 *     bench-samples COUNT [CORPUS] > STREAM
 *
 * Each sample has a title, a script of one paragraph a cue and comments; ten samples an account. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "prose.h"
#include "store/stream.h"

enum { CUES = 60, COMMENTS = 40, CUE_MS = 4000, ACCOUNT_SAMPLES = 10, MEMBERS = 3 };
#define MEMBER_LIMIT ((size_t)16 << 20)

struct maker {
    struct prose *prose;
    struct stream_writer *writer;
    struct bytes members[MEMBERS], sample;
};

/* The next paragraph as a JSON string; a new reference. */
static json_t *next_text(struct maker *m, struct error *e) {
    const char *text;
    size_t size;
    if (prose_next(m->prose, &text, &size, e) < 0) {
        return NULL;
    }
    return json_stringn(text, size);
}

static int append(struct bytes *out, json_t *value, struct error *e) {
    bytes_clear(out);
    int rc = value ? json_append(out, value, e) : error_set(e, ERR_FORMAT, "text is not UTF-8");
    json_decref(value);
    return rc;
}

static json_t *make_about(struct maker *m, int number, const char *account, const char *id,
                          struct error *e) {
    return json_pack("{s:s, s:s, s:o, s:I, s:s, s:{s:i, s:i}}", "id", id, "account", account,
                     "title", next_text(m, e), "created", (json_int_t)1700000000 + number,
                     "language", "en", "counts", "views", 1000 + number, "likes", number);
}

static json_t *make_script(struct maker *m, struct error *e) {
    json_t *script = json_array();
    for (int i = 0; script && i < CUES; i++) {
        json_t *cue = json_pack("{s:i, s:i, s:o}", "start_ms", i * CUE_MS, "end_ms",
                                (i + 1) * CUE_MS, "text", next_text(m, e));
        if (json_array_append_new(script, cue) != 0) {
            json_decref(script);
            script = NULL;
        }
    }
    return script;
}

static json_t *make_comments(struct maker *m, struct error *e) {
    json_t *comments = json_array();
    for (int i = 0; comments && i < COMMENTS; i++) {
        json_t *comment = json_pack("{s:i, s:s, s:o, s:i}", "id", i + 1, "author", "somebody",
                                    "text", next_text(m, e), "likes", COMMENTS - i);
        if (json_array_append_new(comments, comment) != 0) {
            json_decref(comments);
            comments = NULL;
        }
    }
    return comments;
}

static int write_sample(struct maker *m, int number, struct error *e) {
    char account[32], id[32], key[STREAM_KEY_BYTES];
    snprintf(account, sizeof account, "account%d", number / ACCOUNT_SAMPLES);
    snprintf(id, sizeof id, "%d", number);
    stream_key(key, account, id);
    int rc = append(&m->members[0], make_about(m, number, account, id, e), e);
    if (rc == 0) {
        rc = append(&m->members[1], make_script(m, e), e);
    }
    if (rc == 0) {
        rc = append(&m->members[2], make_comments(m, e), e);
    }
    static const char *const SUFFIXES[MEMBERS] = {"json", "script.json", "comments.json"};
    struct stream_member members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (struct stream_member){SUFFIXES[i], m->members[i].data, m->members[i].size};
    }
    bytes_clear(&m->sample);
    if (rc == 0) {
        rc = stream_encode(&m->sample, key, members, MEMBERS, e);
    }
    return rc == 0 ? stream_write(m->writer, m->sample.data, m->sample.size, e) : rc;
}

static int write_stream(struct maker *m, int count, const char *corpus, struct error *e) {
    int rc = prose_open(&m->prose, corpus, PROSE_FRESH, 1, e);
    if (rc == 0) {
        rc = stream_writer_open(&m->writer, STDOUT_FILENO, "bench-samples " OCC_VERSION, NULL, NULL,
                                e);
    }
    for (int i = 0; rc == 0 && i < count; i++) {
        rc = write_sample(m, i, e);
    }
    struct stream_counts counts = {.samples = count};
    return rc == 0 ? stream_writer_finish(m->writer, &counts, NULL, e) : rc;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    if (count < 1) {
        fprintf(stderr, "usage: bench-samples COUNT [CORPUS] > STREAM\n");
        return 2;
    }
    struct maker m = {0};
    for (int i = 0; i < MEMBERS; i++) {
        bytes_init(&m.members[i], MEMBER_LIMIT);
    }
    bytes_init(&m.sample, STREAM_SAMPLE_LIMIT);
    struct error e = {0};
    int rc = write_stream(&m, count, argc > 2 ? argv[2] : NULL, &e);
    if (rc < 0) {
        fprintf(stderr, "bench-samples: %s\n", e.text);
    }
    if (m.writer) {
        stream_writer_close(m.writer);
    }
    prose_close(m.prose);
    for (int i = 0; i < MEMBERS; i++) {
        bytes_close(&m.members[i]);
    }
    bytes_close(&m.sample);
    return rc < 0;
}
