/* known.c - see known.h. */
#include "train/paper/known.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/file.h"
#include "store/json.h"
#include "store/table.h"

enum { FILE_LIMIT = 1 << 28 };

/* ---- Folders --------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct known_names *n, const char *name, struct error *e) {
    char **list = array_grow(n->list, &n->capacity, n->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    n->list = list;
    list[n->count] = strdup(name);
    return list[n->count++] != NULL ? 0 : error_memory(e, NULL);
}

int known_names_open(struct known_names *n, const char *folder, struct error *e) {
    *n = (struct known_names){.list = NULL};
    DIR *stream = opendir(folder);
    if (stream == NULL) {
        return error_errno(e, errno, "%s", folder);
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(stream), entry != NULL);) {
        rc = entry->d_name[0] != '.' ? add_name(n, entry->d_name, e) : 0;
    }
    closedir(stream);
    if (rc == 0 && n->count > 0) {
        qsort(n->list, n->count, sizeof *n->list, compare_names);
    }
    return rc;
}

void known_names_close(struct known_names *n) {
    for (size_t i = 0; i < n->count; i++) {
        free(n->list[i]);
    }
    free(n->list);
}

/* ---- Writers --------------------------------------------------------------------------------- */

/* Files of a folder, each of the writer that its name begins with. */
struct shelf {
    struct known_names names;
    struct bytes *files;
    struct style_text *texts;
    size_t count; /* that were read */
};

static void shelf_close(struct shelf *s) {
    for (size_t i = 0; i < s->count; i++) {
        bytes_close(&s->files[i]);
    }
    free(s->files);
    free(s->texts);
    known_names_close(&s->names);
}

static int read_text(struct shelf *s, const char *folder, struct table *writers, struct error *e) {
    char *name = s->names.list[s->count], *path = file_path(folder, name, e);
    struct bytes *file = &s->files[s->count];
    struct style_text *text = &s->texts[s->count++];
    bytes_init(file, FILE_LIMIT);
    int rc = path != NULL ? file_read(path, file, e) : ERR_MEMORY;
    if (rc == 0) {
        name[strcspn(name, ".")] = '\0';
        rc = table_add(writers, name, table_count(writers), &text->writer, e);
        text->text = bytes_text(file);
        text->size = file->size;
    }
    free(path);
    return rc < 0 ? rc : 0;
}

static int shelf_open(struct shelf *s, const char *problem, const char *kind, struct table *writers,
                      struct error *e) {
    *s = (struct shelf){.count = 0};
    char *folder = file_path(problem, kind, e);
    int rc = folder != NULL ? known_names_open(&s->names, folder, e) : ERR_MEMORY;
    if (rc == 0) {
        s->files = calloc(s->names.count + 1, sizeof *s->files);
        s->texts = calloc(s->names.count + 1, sizeof *s->texts);
        rc = s->files != NULL && s->texts != NULL ? 0 : error_memory(e, NULL);
    }
    while (rc == 0 && s->count < s->names.count) {
        rc = read_text(s, folder, writers, e);
    }
    free(folder);
    return rc;
}

/* Those that are told right; a writer without known texts can be told by none. */
static int tell(struct known_problem *out, const struct style *s, const struct shelf *unknown,
                struct error *e) {
    double *cosines = calloc(STYLE_VIEWS * out->writers + 1, sizeof *cosines);
    int rc = cosines != NULL ? 0 : error_memory(e, NULL);
    for (size_t i = 0; i < unknown->count && rc == 0; i++) {
        const struct style_text *text = &unknown->texts[i];
        rc = style_compare(s, text->text, text->size, cosines, e);
        for (size_t view = 0; view < STYLE_VIEWS && rc == 0; view++) {
            const double *of = cosines + view * out->writers;
            size_t best = 0;
            for (size_t w = 1; w < out->writers; w++) {
                best = of[w] > of[best] ? w : best;
            }
            out->told[view] += best == text->writer;
        }
    }
    out->texts = unknown->count;
    free(cosines);
    return rc;
}

int known_writers(struct known_problem *out, const char *folder, struct error *e) {
    struct shelf known = {.count = 0}, unknown = {.count = 0};
    struct table *writers = NULL;
    struct style *style = NULL;
    *out = (struct known_problem){.writers = 0};
    int rc = table_open(&writers, e);
    if (rc == 0) {
        rc = shelf_open(&known, folder, "known", writers, e);
    }
    if (rc == 0) {
        out->writers = table_count(writers);
        rc = out->writers > 1
                 ? shelf_open(&unknown, folder, "unknown", writers, e)
                 : error_set(e, ERR_FORMAT, "%s: knows fewer than two writers", folder);
    }
    if (rc == 0) {
        rc = style_open(&style, known.texts, known.count, out->writers, e);
    }
    if (rc == 0) {
        rc = tell(out, style, &unknown, e);
    }
    style_close(style);
    shelf_close(&known);
    shelf_close(&unknown);
    table_close(writers);
    return rc;
}

/* ---- Reach ----------------------------------------------------------------------------------- */

int known_reach(struct interval *out, size_t *posts, const char *path, const char *period,
                struct error *e) {
    json_t *lines = json_read_file(path, FILE_LIMIT, NULL, e), *line;
    struct ranker_post *list =
        lines != NULL ? calloc(json_array_size(lines) + 1, sizeof *list) : NULL;
    size_t i;
    int rc = lines == NULL ? ERR_FORMAT : list == NULL ? error_memory(e, NULL) : 0;
    *posts = 0;
    json_array_foreach(lines, i, line) {
        const char *of = json_get_text(line, "period"), *text = json_get_text(line, "text");
        if (list != NULL && of != NULL && text != NULL && strcmp(of, period) == 0) {
            list[(*posts)++] = (struct ranker_post){
                .text = text, .size = strlen(text), .reach = json_get_real(line, "shares", 0)};
        }
    }
    if (rc == 0) {
        rc = ranker_test(out, list, *posts, *posts * 4 / 5, e);
        rc = rc < 0 ? error_context(e, "%s, %s", path, period) : 0;
    }
    free(list);
    json_decref(lines);
    return rc;
}
