/* peek.c - see peek.h. A worker's answer: kind, playlist and comments as one byte each, then texts,
 * each with its zero byte: of metadata account and site (empty: unknown), then the ids. */
#include "ingest/archive/peek.h"

#include <string.h>

#include "ingest/sidecars/comments.h"
#include "ingest/sidecars/metadata.h"
#include "store/json.h"

#define PEEK_FILE_LIMIT ((size_t)256 << 20)
#define PEEK_ANSWER_LIMIT ((size_t)256 << 20)

enum { HEAD_KIND, HEAD_PLAYLIST, HEAD_COMMENTS, HEAD_SIZE };

struct peeking {
    struct peek *peeks;
    struct arena *arena; /* of the answers, in the parent */
};

/* ---- In a worker ------------------------------------------------------- */

enum file_kind peek_kind(const json_t *root) {
    if (metadata_is_gallery_dl(root)) {
        return FILE_GALLERY;
    }
    if (json_is_array(json_object_get(root, "utterances"))) {
        return FILE_JSON;
    }
    const json_t *data = json_object_get(root, "data");
    bool list = json_is_array(json_object_get(root, "comments")) ||
                json_is_array(json_object_get(data, "comments")) || json_is_array(root);
    return list ? FILE_COMMENTS : FILE_OTHER;
}

static int append_text(struct bytes *out, const char *text, struct error *e) {
    text = text != NULL ? text : "";
    return bytes_append(out, text, strlen(text) + 1, e);
}

static bool is_metadata(enum file_kind kind) {
    return kind == FILE_INFO || kind == FILE_GALLERY;
}

static int append_metadata(struct bytes *out, const json_t *root, enum file_kind kind,
                           struct arena *arena, char head[HEAD_SIZE], struct error *e) {
    struct metadata m;
    metadata_init(&m);
    int rc = kind == FILE_INFO ? metadata_from_ytdlp(root, arena, &m, e)
                               : metadata_from_gallery_dl(root, arena, &m, e);
    head[HEAD_PLAYLIST] = rc == ERR_UNSUPPORTED;
    head[HEAD_COMMENTS] = json_array_size(json_object_get(root, "comments")) > 0;
    if (rc < 0) {
        return rc == ERR_MEMORY ? rc : 0;
    }
    rc = append_text(out, m.account, e);
    if (rc == 0) {
        rc = append_text(out, m.site, e);
    }
    return rc == 0 ? append_text(out, m.id, e) : rc;
}

static int append_ids(struct bytes *out, const json_t *root, enum file_kind kind,
                      char head[HEAD_SIZE], struct error *e) {
    struct arena *arena;
    int rc = arena_open(&arena, PEEK_ANSWER_LIMIT, e);
    if (rc < 0) {
        return rc;
    }
    if (kind == FILE_COMMENTS) {
        const char **ids = NULL;
        size_t count = 0;
        rc = comments_video_ids(root, arena, &ids, &count, e);
        for (size_t i = 0; i < count && rc == 0; i++) {
            rc = append_text(out, ids[i], e);
        }
    } else if (is_metadata(kind)) {
        rc = append_metadata(out, root, kind, arena, head, e);
    }
    arena_close(arena);
    return rc;
}

static int worker_peek(void *context, size_t index, const struct pool_failure *before,
                       struct heartbeat *heartbeat, struct bytes *result, struct error *e) {
    struct peeking *p = context;
    const struct clip_file *file = p->peeks[index].file;
    heartbeat_step(heartbeat, 0);
    json_t *root = before != NULL ? NULL : json_read_file(file->path, PEEK_FILE_LIMIT, NULL, NULL);
    enum file_kind kind = file->kind == FILE_JSON ? peek_kind(root) : file->kind;
    char head[HEAD_SIZE] = {(char)kind, 0, 0};
    int rc = bytes_append(result, head, sizeof head, e);
    if (rc == 0 && root != NULL) {
        rc = append_ids(result, root, kind, head, e);
        memcpy(result->data, head, sizeof head);
    }
    json_decref(root);
    return rc;
}

/* ---- In the parent ------------------------------------------------------- */

/* The next text of the answer, or NULL for an empty one or none. */
static const char *next_text(const char *text, size_t size, size_t *at) {
    const char *found = *at < size ? text + *at : "";
    *at += strlen(found) + 1;
    return *found ? found : NULL;
}

static int parent_peek(void *context, size_t index, const struct bytes *result,
                       const struct pool_failure *failure, struct error *e) {
    struct peeking *p = context;
    struct peek *peek = &p->peeks[index];
    peek->kind = peek->file->kind;
    if (failure != NULL || result->size < HEAD_SIZE) {
        return 0;
    }
    peek->kind = (enum file_kind)result->data[HEAD_KIND];
    peek->playlist = result->data[HEAD_PLAYLIST];
    peek->comments = result->data[HEAD_COMMENTS];
    size_t size = result->size - HEAD_SIZE, capacity = 0, at = 0;
    const char *text = arena_text(p->arena, bytes_text(result) + HEAD_SIZE, size);
    if (text != NULL && size > 0 && is_metadata(peek->kind)) {
        peek->account = next_text(text, size, &at);
        peek->site = next_text(text, size, &at);
    }
    void *ids = NULL;
    int rc = text != NULL ? 0 : error_memory(e, NULL);
    for (; at < size && rc == 0; at += strlen(text + at) + 1) {
        rc = arena_grow(p->arena, &ids, peek->count, &capacity, sizeof *peek->ids, e);
        if (rc == 0) {
            peek->ids = ids;
            peek->ids[peek->count++] = text + at;
        }
    }
    return rc;
}

int peek_run(struct peek *peeks, size_t count, struct arena *arena, const struct pool_options *pool,
             const volatile sig_atomic_t *cancel, struct error *e) {
    struct peeking p = {.peeks = peeks, .arena = arena};
    struct pool_options options = *pool;
    options.result_limit = PEEK_ANSWER_LIMIT;
    struct pool_calls calls = {.context = &p, .task = worker_peek, .done = parent_peek};
    return pool_run(0, count, &options, &calls, cancel, NULL, e);
}
