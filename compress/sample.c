/* sample.c - see sample.h. */
#include "compress/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "compress/trained.h"
#include "store/file.h"
#include "store/json.h"
#include "store/json_skip.h"
#include "store/log.h"
#include "store/spans.h"

/* ---- Memory ------------------------------------------------------------------------ */

/* One allocation for a sample of `pages` pages and `bytes` bytes of content; *content is their
 * beginning. */
static struct encode_job *encode_job_new(const char *key, int pages, size_t bytes, char **content,
                                         struct error *e) {
    size_t page_room = (size_t)pages * (sizeof(struct encoded_page) + sizeof(uint32_t));
    struct encode_job *job = calloc(1, sizeof *job + page_room + bytes + 2);
    if (job == NULL) {
        error_memory(e, "a sample");
        return NULL;
    }
    snprintf(job->key, sizeof job->key, "%s", key);
    job->pages = (struct encoded_page *)(job + 1);
    job->characters = (uint32_t *)(job->pages + pages);
    job->page_count = pages;
    job->bytes = sizeof *job + page_room + bytes;
    *content = (char *)(job->characters + pages);
    return job;
}

static char *append(char **at, const void *data, size_t size) {
    char *begin = *at;
    memcpy(begin, data, size);
    *at += size;
    return begin;
}

/* ---- Samples of a stream --------------------------------------------------------------- */

/* The pages of a record (pages.json), in order, and the sample's own JSON. */
struct sample_record {
    json_t *root, *sample;
    const json_t *pages;
    const char *profile; /* its name; "": not said */
    bool cells;
    int mode;
    struct bytes json;  /* what the store keeps of the sample's JSON: as it came, or mended */
    struct bytes spans; /* and of its cells */
};

static void record_close(struct sample_record *r) {
    json_decref(r->root);
    json_decref(r->sample);
    bytes_close(&r->json);
    bytes_close(&r->spans);
}

/* JSON that had to be mended is kept as what was read: the store's is sound. */
static int read_json(struct sample_record *r, const struct stream_member *member, struct error *e) {
    size_t repaired = 0;
    r->sample = json_read(member->data, member->size, &repaired, e);
    if (r->sample == NULL) {
        return error_context(e, "json");
    }
    if (!json_is_object(r->sample)) {
        return error_set(e, ERR_FORMAT, "json: is not an object");
    }
    return repaired > 0 ? json_append(&r->json, r->sample, e)
                        : bytes_append(&r->json, member->data, member->size, e);
}

/* The member ".NAME" that a page's record names, or with .txt in the place of its suffix. */
static const struct stream_member *page_member(const struct stream_sample *s, const json_t *page,
                                               bool text) {
    char suffix[64];
    const char *name = json_string_value(json_object_get(page, "member"));
    if (name == NULL || strlen(name) >= sizeof suffix - 4) {
        return NULL;
    }
    snprintf(suffix, sizeof suffix, "%s", name);
    char *dot = strrchr(suffix, '.');
    if (text && dot != NULL) {
        memcpy(dot, ".txt", 5);
    }
    return stream_member_find(s, suffix);
}

/* Boxes, a hundred thousand of them, are for others. */
static int read_pages(struct sample_record *r, const struct stream_member *member,
                      struct error *e) {
    struct bytes text;
    bytes_init(&text, STREAM_MEMBER_LIMIT);
    int rc = json_skip(&text, member->data, member->size, "boxes", e);
    if (rc == 0) {
        r->root = json_read(bytes_text(&text), text.size, NULL, e);
        rc = r->root != NULL ? 0 : e->code;
    }
    bytes_close(&text);
    return rc;
}

static int read_record(struct sample_record *r, const struct stream_sample *s, struct error *e) {
    const struct stream_member *member = stream_member_find(s, "pages.json");
    int rc = read_json(r, &s->members[0], e);
    if (rc < 0 || member == NULL) {
        return rc;
    }
    rc = read_pages(r, member, e);
    if (rc < 0) {
        return error_context(e, "pages.json");
    }
    const json_t *profile = json_object_get(r->root, "profile");
    const char *mode = json_get_text(r->root, "mode"), *name = json_get_text(profile, "name");
    r->profile = name != NULL ? name : "";
    r->cells = profile_in_cells(r->profile);
    r->mode = mode_named(mode);
    r->pages = json_object_get(r->root, "pages");
    if (r->mode < 0 || r->mode == MODE_GUNDAM || !json_is_array(r->pages)) {
        return error_set(e, ERR_FORMAT, "pages.json: mode '%.40s' with pages is not known",
                         mode != NULL ? mode : "");
    }
    if (json_array_size(r->pages) > STORE_PAGES) {
        return error_set(e, ERR_LIMIT, "%zu pages; %d at most", json_array_size(r->pages),
                         STORE_PAGES);
    }
    rc = spans_pack(&r->spans, r->root, e);
    return rc < 0 ? error_context(e, "pages.json") : 0;
}

/* Bytes of all that is kept. */
static int measure(const struct sample_record *r, const struct stream_sample *s, size_t *bytes,
                   struct error *e) {
    size_t i;
    const json_t *page;
    *bytes = r->json.size + r->spans.size;
    json_array_foreach(r->pages, i, page) {
        const struct stream_member *image = page_member(s, page, false);
        const struct stream_member *text = page_member(s, page, true);
        if (image == NULL) {
            return error_set(e, ERR_FORMAT, "page %zu: its picture is not in the stream", i);
        }
        *bytes += image->size + (text != NULL ? text->size : 0) + 1;
    }
    return 0;
}

/* Pictures first, then the texts with form feeds between them, so that each is in one piece. */
static void copy_pages(struct encode_job *job, const struct sample_record *r,
                       const struct stream_sample *s, char *at) {
    size_t i;
    const json_t *page;
    job->json = append(&at, bytes_text(&r->json), r->json.size);
    job->json_size = r->json.size;
    json_array_foreach(r->pages, i, page) {
        const struct stream_member *image = page_member(s, page, false);
        int64_t characters = json_get_integer(page, "characters", 0);
        job->pages[i] = (struct encoded_page){.data = append(&at, image->data, image->size),
                                              .size = image->size,
                                              .mode = (enum page_mode)r->mode,
                                              .exact = true,
                                              .cells = r->cells};
        job->characters[i] = characters > 0 && characters < UINT32_MAX ? (uint32_t)characters : 0;
    }
    job->text = at;
    json_array_foreach(r->pages, i, page) {
        const struct stream_member *text = page_member(s, page, true);
        if (i > 0) {
            append(&at, "\f", 1);
        }
        if (text != NULL) {
            append(&at, text->data, text->size);
        }
    }
    job->text_size = r->pages != NULL ? (size_t)(at - job->text) : 0;
    job->cells = append(&at, bytes_text(&r->spans), r->spans.size);
    job->cells_size = r->spans.size;
}

/* A hash of all that the pages are made of, for the journal. */
static void hash_input(struct encode_job *job) {
    uint64_t hash = XXH3_64bits_withSeed(job->text, job->text_size, (uint64_t)job->created);
    for (int i = 0; i < job->page_count; i++) {
        const struct encoded_page *p = &job->pages[i];
        hash = XXH3_64bits_withSeed(p->data, p->size, hash + (uint64_t)p->mode);
    }
    snprintf(job->input, sizeof job->input, "%016" PRIx64, hash);
}

static int copy_sample(struct encode_job **out, const struct sample_record *r,
                       const struct stream_sample *s, struct error *e) {
    size_t bytes;
    char *content;
    int rc = measure(r, s, &bytes, e);
    if (rc < 0) {
        return rc;
    }
    struct encode_job *job =
        encode_job_new(s->key, (int)json_array_size(r->pages), bytes, &content, e);
    if (job == NULL) {
        return ERR_MEMORY;
    }
    job->created = date_created(r->sample, &job->date);
    snprintf(job->profile, sizeof job->profile, "%s", r->profile);
    copy_pages(job, r, s, content);
    hash_input(job);
    if (stream_is_pack(job->key)) { /* its number means something in its own stream alone */
        stream_pack_key(job->key, s->key, job->input);
    }
    *out = job;
    return 0;
}

int sample_from_stream(struct encode_job **out, const struct stream_sample *sample,
                       struct error *e) {
    struct sample_record record = {.profile = "", .mode = -1};
    *out = NULL;
    bytes_init(&record.json, STREAM_MEMBER_LIMIT);
    bytes_init(&record.spans, STREAM_MEMBER_LIMIT);
    int rc = 0;
    if (strlen(sample->key) >= STREAM_KEY_BYTES || strchr(sample->key, '/') == NULL) {
        rc = error_set(e, ERR_FORMAT, "its key is not one of a stream");
    }
    if (rc == 0) {
        rc = read_record(&record, sample, e);
        if (rc == 0) {
            rc = copy_sample(out, &record, sample, e);
        }
    }
    record_close(&record);
    return rc < 0 ? error_context(e, "%.100s", sample->key) : 0;
}

/* ---- Streams that are not as they should be ----------------------------------------------- */

void sample_report_repeated(const struct stream_reader *r, const struct stream_sample *sample) {
    const char *input = stream_reader_input(r);
    log_error("%s%s%.330s: skipped, its key came before", input != NULL ? input : "",
              input != NULL ? ": " : "", sample->key);
}

/* The stream at hand is over. */
static void end_pages(struct sample_pages *p) {
    if (p->without == 0 || p->rendered || (p->with > 0 && !p->ingested)) {
        return;
    }
    if (p->unrendered == 0) {
        error_set(&p->error, ERR_FORMAT,
                  "%s%s%" PRId64 " samples and no pages: run 'occ render' first", p->input,
                  p->input[0] != '\0' ? ": " : "", p->without);
    }
    p->unrendered++;
}

static bool is_by(const char *tool, const char *name) {
    return tool != NULL && strncmp(tool, name, strlen(name)) == 0;
}

bool sample_count_pages(struct sample_pages *p, const struct stream_reader *r,
                        const struct stream_sample *sample) {
    if (sample == NULL || stream_reader_number(r) != p->stream) {
        const char *tool = json_get_text(stream_reader_header(r), "tool");
        const char *input = stream_reader_input(r);
        end_pages(p);
        p->stream = stream_reader_number(r);
        p->with = p->without = 0;
        p->rendered = is_by(tool, "occ-render");
        p->ingested = is_by(tool, "occ-ingest");
        snprintf(p->input, sizeof p->input, "%s", input != NULL ? input : "");
    }
    bool has_pages = sample != NULL && stream_member_find(sample, "pages.json") != NULL;
    p->with += has_pages;
    p->without += sample != NULL && !has_pages;
    return has_pages || !p->ingested;
}

/* ---- Files --------------------------------------------------------------------------------- */

static char *file_json(const char *path, const struct stat *status, bool dated, struct error *e) {
    json_t *created = dated ? json_integer((json_int_t)status->st_mtime) : json_null();
    json_t *root = json_pack("{s:s, s:s, s:o, s:{s:s, s:I, s:I}}", "id", path, "account", "files",
                             "created", created, "source", "path", path, "size",
                             (json_int_t)status->st_size, "mtime", (json_int_t)status->st_mtime);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    if (text == NULL) {
        error_set(e, ERR_FORMAT, "%s: the name is not UTF-8", path);
    }
    json_decref(root);
    return text;
}

int sample_from_file(struct encode_job **out, const char *path, enum page_mode mode, bool dated,
                     struct error *e) {
    char key[STREAM_KEY_BYTES], *content;
    struct stat status;
    struct bytes data;
    *out = NULL;
    bytes_init(&data, STREAM_MEMBER_LIMIT);
    int rc = file_read(path, &data, e);
    char *json = NULL;
    if (rc == 0 && stat(path, &status) != 0) {
        rc = error_set(e, ERR_IO, "%s: has gone", path);
    }
    if (rc == 0) {
        json = file_json(path, &status, dated, e);
        rc = json != NULL ? 0 : ERR_FORMAT;
    }
    if (rc == 0) {
        stream_key(key, "files", path);
        struct encode_job *job = encode_job_new(key, 1, strlen(json) + data.size, &content, e);
        rc = job != NULL ? 0 : ERR_MEMORY;
        if (job != NULL) {
            job->created = dated && status.st_mtime > 0 ? status.st_mtime : STORE_UNDATED;
            job->date = !dated ? DATE_LEFT_OUT : job->created > 0 ? DATE_GIVEN : DATE_NONE;
            job->json_size = strlen(json);
            job->json = append(&content, json, job->json_size);
            job->text = "";
            job->pages[0] =
                (struct encoded_page){.data = append(&content, bytes_text(&data), data.size),
                                      .size = data.size,
                                      .mode = mode};
            hash_input(job);
            *out = job;
        }
    }
    free(json);
    bytes_close(&data);
    return rc;
}
