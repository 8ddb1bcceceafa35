/* render_pages.c - see render_pages.h.
 *
 * A pager hands over each page as it is full. For a sample the pages are collected, because the
 * members of a sample belong together; those of an account are samples of their own and leave at
 * once, so that an account may have any number of them. */
#include "render/render_pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/log.h"

enum {
    READER_MEMBERS = 4096, /* stream_read.c refuses more */
    RECORD_ROOM = 64 << 20,
    KEPT_BYTES = 64 << 20, /* larger buffers are given back after the job */
    WARNINGS_REPORTED = 8, /* of one sample */
};

/* A page of a sample: its file ends at `image_end` of `images`, its text at `text_end`. */
struct made_page {
    size_t image_end, text_end;
};

struct renderer {
    struct render_shared *shared;
    const struct render_options *options;
    struct page_setup setup;
    struct pager *pager;
    struct page_record *record;
    struct arena *arena; /* of the sources, and what lives as long as a job */
    struct page_sources sources;
    struct bytes images, texts, record_text, json;
    struct render_result sums;
    int64_t newly_partial;

    /* of the job being done */
    struct render_job *job;
    struct job_output *out;
    struct made_page *pages; /* JOB_SAMPLE; in the arena */
    size_t page_count, page_capacity, page_limit, byte_limit, box_count;
    bool full;                  /* a limit was reached: the rest is left out */
    struct sample_copy **order; /* JOB_PACK: the samples in the order of layout; in the arena */
    size_t current, first;      /* the one being laid out; the first that may be on this page */
    const json_t *account_json; /* .json of a sample of the account, or NULL */
};

static int take_page(void *context, const struct page *page, struct error *e);

void render_job_free(void *job) {
    struct render_job *j = job;
    sample_copies_free(j->samples);
    free(j);
}

int renderer_open(struct renderer **out, struct render_shared *shared, struct error *e) {
    const struct render_options *o = shared->options;
    *out = NULL;
    struct renderer *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    r->shared = shared;
    r->options = o;
    r->setup = (struct page_setup){.mode = (enum page_mode)o->mode,
                                   .profile = &PROFILES[o->profile],
                                   .fonts = shared->fonts,
                                   .color = o->format != FORMAT_PGM,
                                   .context = r,
                                   .done = take_page};
    bytes_init(&r->images, SIZE_MAX);
    bytes_init(&r->texts, SIZE_MAX);
    bytes_init(&r->record_text, STREAM_MEMBER_LIMIT);
    bytes_init(&r->json, STREAM_MEMBER_LIMIT);
    int rc = arena_open(&r->arena, SIZE_MAX, e);
    if (rc == 0) {
        rc = page_record_open(&r->record, &r->setup, (enum page_format)o->format, e);
    }
    if (rc < 0) {
        renderer_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

static void add_sums(struct renderer *r) {
    struct render_result *to = &r->shared->result;
    const struct render_result *from = &r->sums;
    pthread_mutex_lock(&r->shared->lock);
    to->counts.samples += from->counts.samples;
    to->counts.partial += from->counts.partial;
    to->pages += from->pages;
    to->characters += from->characters;
    to->missing += from->missing;
    to->replaced += from->replaced;
    to->dropped += from->dropped;
    to->cells += from->cells;
    to->inked += from->inked;
    missing_add(&to->scripts, &from->scripts);
    r->shared->newly_partial += r->newly_partial;
    pthread_mutex_unlock(&r->shared->lock);
}

void renderer_close(struct renderer *r) {
    if (r == NULL) {
        return;
    }
    add_sums(r);
    pager_close(r->pager);
    page_record_close(r->record);
    arena_close(r->arena);
    bytes_close(&r->images);
    bytes_close(&r->texts);
    bytes_close(&r->record_text);
    bytes_close(&r->json);
    free(r);
}

static void clear_bytes(struct bytes *b) {
    if (b->capacity > KEPT_BYTES) {
        bytes_close(b);
    } else {
        bytes_clear(b);
    }
}

static void count_page(struct renderer *r, const struct page *page) {
    struct render_result *s = &r->sums;
    s->pages++;
    s->characters += page->counts.characters;
    s->replaced += page->counts.replaced;
    s->dropped += page->counts.dropped;
    s->cells += page->counts.cells;
    s->inked += page->counts.inked;
    for (size_t i = 0; i < page->missing_count; i++) {
        s->missing += page->missing[i].count;
    }
    missing_count(&s->scripts, page);
}

static const char *page_suffix(const struct renderer *r) {
    return PAGE_FORMATS[r->options->format];
}

/* ---- What was left out --------------------------------------------------------------- */

/* One line for people; parsers quote their input, which may try to steer the terminal. */
static void report_line(const char *key, const char *text) {
    char line[480];
    snprintf(line, sizeof line, "%.160s: partial: %s", key, text);
    for (char *p = line; *p; p++) {
        *p = *p == 127 || (unsigned char)*p < ' ' ? '?' : *p;
    }
    log_error("%s", line);
}

/* Reports the warnings on a sample and counts it. */
static void report_partial(struct renderer *r, const struct stream_sample *sample,
                           const json_t *warnings) {
    size_t count = json_array_size(warnings);
    if (count == 0) {
        return;
    }
    const struct stream_member *member = stream_member_find(sample, "json");
    json_t *object = member != NULL ? json_read(member->data, member->size, NULL, NULL) : NULL;
    const char *status = json_get_text(object, "status");
    r->sums.counts.partial++;
    r->newly_partial += status == NULL || strcmp(status, "partial") != 0;
    json_decref(object);
    pthread_mutex_lock(&r->shared->lock);
    for (size_t i = 0; i < count && i < WARNINGS_REPORTED; i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        report_line(sample->key, text != NULL ? text : "?");
    }
    if (count > WARNINGS_REPORTED) {
        report_line(sample->key, "and more of the kind");
    }
    pthread_mutex_unlock(&r->shared->lock);
}

/* Lays out one sample; what it lacks is reported, and is not a failure. */
static int lay_out(struct renderer *r, const struct stream_sample *sample, struct error *e) {
    json_t *warnings = json_array();
    struct content_options content = r->options->content;
    content.thumbs = r->job->kind == JOB_PACK ? 1 : 0;
    int rc = warnings != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0 && r->pager == NULL) {
        rc = pager_open(&r->pager, &r->setup, e);
    }
    if (rc == 0) {
        rc = content_layout(r->pager, sample, &content, &r->sources, warnings, e);
    }
    if (rc == 0 && r->job->kind == JOB_SAMPLE) {
        rc = pager_flush(r->pager, e);
    }
    if (r->full) { /* a page was refused: this pager has stopped in the middle of it */
        pager_close(r->pager);
        r->pager = NULL;
        char text[120];
        snprintf(text, sizeof text, "more than %zu pages: the rest is left out", r->page_count);
        rc = json_array_append_new(warnings, json_string(text));
        rc = rc == 0 ? 0 : error_memory(e, NULL);
    }
    if (rc == 0) {
        report_partial(r, sample, warnings);
    }
    json_decref(warnings);
    return rc;
}

/* ---- The pages of a sample ----------------------------------------------------------- */

static int take_sample_page(struct renderer *r, const struct page *page, struct error *e) {
    if (r->page_count >= r->page_limit || r->images.size + r->texts.size >= r->byte_limit ||
        page_source_count(page) > RENDER_SAMPLE_BOXES - r->box_count) {
        r->full = true;
        return error_set(e, ERR_LIMIT, "too many pages");
    }
    void *pages = r->pages;
    char member[32];
    snprintf(member, sizeof member, "p%03zu.%s", r->page_count, page_suffix(r));
    int rc = arena_grow(r->arena, &pages, r->page_count, &r->page_capacity, sizeof *r->pages, e);
    r->pages = rc == 0 ? pages : r->pages;
    if (rc == 0) {
        rc = page_file_append(&r->images, page, (enum page_format)r->options->format, e);
    }
    if (rc == 0) {
        rc = bytes_append(&r->texts, page->text, page->text_size, e);
    }
    if (rc == 0) {
        rc = page_record_add(r->record, page, pager_faces(r->pager), &r->sources, member, e);
    }
    if (rc == 0) {
        r->pages[r->page_count++] =
            (struct made_page){.image_end = r->images.size, .text_end = r->texts.size};
        r->box_count += page_source_count(page);
        count_page(r, page);
        rc = job_output_flush_if_due(r->out, r->images.size + r->texts.size, e);
    }
    return rc;
}

/* A member of a page; NULL when memory has run out. */
static const char *page_member_name(struct renderer *r, size_t page, const char *type) {
    char name[32];
    int size = snprintf(name, sizeof name, "p%03zu.%s", page, type);
    return arena_text(r->arena, name, (size_t)size);
}

/* The sample as it came, its pages, and the record of them. */
static int put_sample(struct renderer *r, const struct stream_sample *sample, struct error *e) {
    size_t most = sample->count + 2 * r->page_count + 1, count = sample->count;
    struct stream_member *members = arena_alloc(r->arena, most, sizeof *members);
    if (members == NULL) {
        return error_memory(e, NULL);
    }
    memcpy(members, sample->members, count * sizeof *members);
    struct made_page from = {0};
    for (size_t i = 0; i < r->page_count; i++) {
        struct made_page to = r->pages[i];
        members[count++] = (struct stream_member){.suffix = page_member_name(r, i, page_suffix(r)),
                                                  .data = r->images.data + from.image_end,
                                                  .size = to.image_end - from.image_end};
        members[count++] = (struct stream_member){.suffix = page_member_name(r, i, "txt"),
                                                  .data = bytes_text(&r->texts) + from.text_end,
                                                  .size = to.text_end - from.text_end};
        if (members[count - 2].suffix == NULL || members[count - 1].suffix == NULL) {
            return error_memory(e, NULL);
        }
        from = to;
    }
    members[count++] = (struct stream_member){
        .suffix = "pages.json", .data = bytes_text(&r->record_text), .size = r->record_text.size};
    r->sums.counts.samples++;
    return stream_encode(job_output_bytes(r->out), sample->key, members, count, e);
}

/* How much may be added to what the sample has, so that the next stage still reads it. */
static void set_limits(struct renderer *r, const struct sample_copy *copy) {
    size_t room = copy->bytes + RECORD_ROOM < STREAM_SAMPLE_LIMIT
                      ? STREAM_SAMPLE_LIMIT - RECORD_ROOM - copy->bytes
                      : 0;
    size_t side = (size_t)PAGE_SIZES[r->options->mode].side;
    size_t one_page = side * side * 4; /* the last page may begin just below the limit */
    room = room > one_page ? room - one_page : 0;
    r->byte_limit = room < RENDER_SAMPLE_BYTES ? room : RENDER_SAMPLE_BYTES;
    size_t members = copy->sample.count < READER_MEMBERS ? READER_MEMBERS - copy->sample.count : 0;
    size_t pages = members > 0 ? (members - 1) / 2 : 0;
    r->page_limit = pages < RENDER_SAMPLE_PAGES ? pages : RENDER_SAMPLE_PAGES;
}

static int do_sample(struct renderer *r, struct error *e) {
    const struct sample_copy *copy = r->job->samples;
    clear_bytes(&r->images);
    clear_bytes(&r->texts);
    clear_bytes(&r->record_text);
    page_record_clear(r->record);
    set_limits(r, copy);
    int rc = lay_out(r, &copy->sample, e);
    if (rc == 0) {
        rc = page_record_append(r->record, &r->sources, &r->record_text, e);
    }
    return rc == 0 ? put_sample(r, &copy->sample, e) : rc;
}

/* ---- The pages of an account --------------------------------------------------------- */

/* "samples" and "created" of the samples that are on the page. They are laid out one after another,
 * so they come in the order of r->order. */
static int add_samples(struct renderer *r, const struct page *page, json_t *object) {
    json_t *keys = json_array();
    int64_t created = INT64_MIN;
    size_t at = r->first;
    const char *last = NULL;
    for (size_t i = 0; i < page_source_count(page); i++) {
        uint32_t source = page_source_at(page, i);
        const char *key =
            source > 0 && source <= r->sources.count ? r->sources.items[source - 1].key : NULL;
        if (key == NULL || (last != NULL && (key == last || strcmp(key, last) == 0))) {
            continue;
        }
        size_t place = at;
        while (place <= r->current && strcmp(r->order[place]->sample.key, key) != 0) {
            place++;
        }
        if (place <= r->current) {
            at = place;
            created = r->order[at]->created > created ? r->order[at]->created : created;
        }
        last = key;
        if (json_array_append_new(keys, json_string(key)) != 0) {
            json_decref(keys);
            return -1;
        }
    }
    r->first = r->current; /* the one being laid out may go on; those before it are done */
    if (created != INT64_MIN &&
        json_object_set_new(object, "created", json_integer(created)) != 0) {
        json_decref(keys);
        return -1;
    }
    return json_object_set_new(object, "samples", keys);
}

static int copy_text(json_t *object, const char *name, const json_t *from, const char *otherwise) {
    const char *text = json_get_text(from, name);
    text = text != NULL ? text : otherwise;
    return text != NULL ? json_object_set_new(object, name, json_string(text)) : 0;
}

/* The member .json of a pack. */
static int write_pack_json(struct renderer *r, const struct page *page, const char *id,
                           struct error *e) {
    char account[STREAM_KEY_BYTES];
    const char *key = r->order[r->current]->sample.key;
    stream_account(account, key);
    json_t *object = json_pack("{s:s}", "id", id);
    int failed = object == NULL || copy_text(object, "account", r->account_json, account) != 0 ||
                 copy_text(object, "account_name", r->account_json, NULL) != 0 ||
                 add_samples(r, page, object) != 0;
    bytes_clear(&r->json);
    int rc = failed ? error_memory(e, NULL) : json_append(&r->json, object, e);
    json_decref(object);
    return rc;
}

static int take_pack_page(struct renderer *r, const struct page *page, struct error *e) {
    char key[STREAM_KEY_BYTES], id[PACK_ID_BYTES], image[16];
    const char *sample_key = r->order[r->current]->sample.key;
    pack_key(key, id, sample_key, r->job->account->packs);
    snprintf(image, sizeof image, "p000.%s", page_suffix(r));
    bytes_clear(&r->images);
    bytes_clear(&r->record_text);
    int rc = write_pack_json(r, page, id, e);
    if (rc == 0) {
        rc = page_record_add(r->record, page, pager_faces(r->pager), &r->sources, image, e);
    }
    if (rc == 0) {
        rc = page_record_append(r->record, &r->sources, &r->record_text, e);
    }
    if (rc == 0) {
        rc = page_file_append(&r->images, page, (enum page_format)r->options->format, e);
    }
    if (rc < 0) {
        return rc;
    }
    const struct stream_member members[] = {
        {.suffix = "json", .data = bytes_text(&r->json), .size = r->json.size},
        {.suffix = image, .data = bytes_text(&r->images), .size = r->images.size},
        {.suffix = "p000.txt", .data = page->text, .size = page->text_size},
        {.suffix = "pages.json", .data = bytes_text(&r->record_text), .size = r->record_text.size}};
    rc = stream_encode(job_output_bytes(r->out), key, members, sizeof members / sizeof *members, e);
    if (rc == 0) {
        r->job->account->packs++;
        r->sums.counts.samples++;
        count_page(r, page);
        rc = job_output_flush_if_due(r->out, 0, e);
    }
    return rc;
}

/* Newest first; then by key, then as they came (`bytes` is no longer needed and holds that). */
static int compare_newest(const void *a, const void *b) {
    const struct sample_copy *x = *(struct sample_copy *const *)a,
                             *y = *(struct sample_copy *const *)b;
    if (x->created != y->created) {
        return x->created < y->created ? 1 : -1;
    }
    int order = strcmp(x->sample.key, y->sample.key);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Fills r->order and what .json says of each sample; *owner keeps r->account_json. */
static int order_samples(struct renderer *r, json_t **owner, struct error *e) {
    r->order = arena_alloc(r->arena, r->job->count, sizeof *r->order);
    if (r->order == NULL) {
        return error_memory(e, NULL);
    }
    size_t count = 0;
    for (struct sample_copy *copy = r->job->samples; copy != NULL; copy = copy->next) {
        const struct stream_member *member = &copy->sample.members[0];
        json_t *object = json_read(member->data, member->size, NULL, NULL);
        copy->created = json_get_integer(object, "created", INT64_MIN);
        copy->bytes = count;
        r->order[count++] = copy;
        if (*owner == NULL && json_get_text(object, "account") != NULL) {
            *owner = json_incref(object);
        }
        json_decref(object);
    }
    r->account_json = *owner;
    if (r->options->mode == MODE_HIFI) {
        qsort(r->order, count, sizeof *r->order, compare_newest);
    }
    return 0;
}

static int do_pack(struct renderer *r, struct error *e) {
    json_t *owner = NULL;
    page_record_clear(r->record);
    int rc = r->job->continues ? job_output_wait(r->out, e) : 0; /* the numbers go on */
    if (rc == 0) {
        rc = order_samples(r, &owner, e);
    }
    for (size_t i = 0; i < r->job->count && rc == 0; i++) {
        r->current = i;
        if (i > 0) {
            rc = pager_gap(r->pager, 1, e);
        }
        if (rc == 0) {
            rc = lay_out(r, &r->order[i]->sample, e);
        }
    }
    if (rc == 0) {
        rc = pager_flush(r->pager, e);
    }
    json_decref(owner);
    return rc;
}

/* ---- Jobs ---------------------------------------------------------------------------- */

static int take_page(void *context, const struct page *page, struct error *e) {
    struct renderer *r = context;
    return r->job->kind == JOB_PACK ? take_pack_page(r, page, e) : take_sample_page(r, page, e);
}

int renderer_do(struct renderer *r, struct render_job *job, struct job_output *out,
                struct error *e) {
    r->job = job;
    r->out = out;
    r->pages = NULL;
    r->page_count = r->page_capacity = r->box_count = 0;
    r->full = false;
    r->order = NULL;
    r->current = r->first = 0;
    arena_reset(r->arena);
    r->sources = (struct page_sources){.arena = r->arena};
    if (job->kind == JOB_PACK) {
        return do_pack(r, e);
    }
    if (job->kind == JOB_SAMPLE) {
        return do_sample(r, e);
    }
    const struct stream_sample *sample = &job->samples->sample;
    struct bytes *bytes = job_output_bytes(out);
    int rc = bytes_reserve(bytes, job->samples->bytes, e);
    if (rc == 0) {
        rc = stream_encode(bytes, sample->key, sample->members, sample->count, e);
    }
    r->sums.counts.samples += rc == 0;
    return rc;
}
