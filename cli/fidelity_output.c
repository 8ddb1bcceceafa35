/* fidelity_output.c - see fidelity_output.h. */
#include "cli/fidelity_output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ITEM_COLUMNS = 5 };
static const enum score_kind ITEM_ORDER[ITEM_COLUMNS] = {SCORE_WORDS, SCORE_NUMBERS, SCORE_TAGS,
                                                         SCORE_EMOJI, SCORE_HEADER};

/* ---- For people -------------------------------------------------------------------------- */

static void print_share(double share, int width) {
    if (isnan(share)) {
        printf("%*s", width, "-");
    } else {
        printf("%*.2f%%", width - 1, 100 * share);
    }
}

void fidelity_print_head(const char *profile, const char *mode) {
    char name[32];
    snprintf(name, sizeof name, "%s %s", profile, mode);
    printf("%-26s%11s", name, "characters");
    for (int i = 0; i < ITEM_COLUMNS; i++) {
        printf("%9s", SCORE_NAMES[ITEM_ORDER[i]]);
    }
    printf("%9s%7s%13s%11s\n", "worst", "pages", "chars/token", "text/token");
}

/* A state's lines repeat what belongs to the set only where it differs. */
static void print_state(const struct fidelity_line *line, const char *name, int index) {
    const struct fidelity_result *r = line->result;
    const struct fidelity_state *state = &r->states[index];
    if (state->score.length == 0) {
        return;
    }
    printf("  %-24s", name);
    print_share(score_characters(&state->score), 11);
    for (int i = 0; i < ITEM_COLUMNS; i++) {
        print_share(score_items(&state->score, ITEM_ORDER[i]), 9);
    }
    if (index == STATE_FRESH) {
        print_share(r->worst, 9);
        printf("%7" PRId64, r->pages);
    } else {
        printf("%9s%7s", "", "");
    }
    double tokens = (double)state->tokens;
    printf("%13.1f%11.1f\n", (double)r->characters / tokens, (double)r->text_tokens / tokens);
}

static const char *operator_name(const struct fidelity_line *line, int how) {
    return how == FIDELITY_OWN ? line->own : FIDELITY_OPERATOR_NAMES[how];
}

void fidelity_print(const struct fidelity_line *line) {
    char name[48];
    print_state(line, line->set, STATE_FRESH);
    for (int i = 0; i < CODEC_COUNT; i++) {
        snprintf(name, sizeof name, "  %s", CODEC_NAMES[i]);
        print_state(line, name, STATE_CODECS + i);
    }
    for (int how = 0; how < FIDELITY_OPERATORS; how++) {
        for (int k = 1; k <= FIDELITY_HALVINGS; k++) {
            snprintf(name, sizeof name, "  %s k=%d", operator_name(line, how), k);
            print_state(line, name, state_forgotten((enum fidelity_operator)how, k));
        }
    }
}

/* ---- For programs ------------------------------------------------------------------------ */

static json_t *share_json(double share) {
    return isnan(share) ? json_null() : json_real(share);
}

static json_t *score_json(json_t *root, const struct score *score) {
    json_object_set_new(root, "characters", share_json(score_characters(score)));
    for (int i = 0; i < ITEM_COLUMNS; i++) {
        json_object_set_new(root, SCORE_NAMES[ITEM_ORDER[i]],
                            share_json(score_items(score, ITEM_ORDER[i])));
    }
    return root;
}

static void append_state(json_t *list, const struct fidelity_line *line, const char *name, int k,
                         int index) {
    const struct fidelity_state *state = &line->result->states[index];
    if (state->score.length > 0) {
        json_t *root = json_pack("{s:s, s:i, s:I}", "state", name, "k", k, "visual_tokens",
                                 (json_int_t)state->tokens);
        json_array_append_new(list, score_json(root, &state->score));
    }
}

static json_t *states_json(const struct fidelity_line *line) {
    json_t *list = json_array();
    append_state(list, line, "f32", 0, STATE_FRESH);
    for (int i = 0; i < CODEC_COUNT; i++) {
        append_state(list, line, CODEC_NAMES[i], 0, STATE_CODECS + i);
    }
    for (int how = 0; how < FIDELITY_OPERATORS; how++) {
        for (int k = 1; k <= FIDELITY_HALVINGS; k++) {
            append_state(list, line, operator_name(line, how), k,
                         state_forgotten((enum fidelity_operator)how, k));
        }
    }
    return list;
}

static int print_object(json_t *root, struct error *e) {
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(root);
    if (text == NULL) {
        return error_memory(e, NULL);
    }
    puts(text);
    free(text);
    return 0;
}

int fidelity_print_json(const struct fidelity_line *line, struct error *e) {
    const struct fidelity_result *r = line->result;
    return print_object(json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:f, s:o}", "profile",
                                  line->profile, "mode", line->mode, "set", line->set, "pages",
                                  (json_int_t)r->pages, "characters", (json_int_t)r->characters,
                                  "tokenizer", line->tokenizer, "text_tokens",
                                  (json_int_t)r->text_tokens, "visual_tokens",
                                  (json_int_t)r->states[STATE_FRESH].tokens, "worst", r->worst,
                                  "states", states_json(line)),
                        e);
}

int fidelity_record(json_t *root, const char *profile, const struct fidelity_result *result,
                    struct error *e) {
    json_t *list = json_array();
    for (int k = 0; k <= FIDELITY_HALVINGS; k++) {
        const struct score *score = &result->states[state_forgotten(FIDELITY_OWN, k)].score;
        if (score->length > 0) {
            json_array_append_new(list, score_json(json_pack("{s:i}", "k", k), score));
        }
    }
    return json_object_set_new(root, profile, list) == 0 ? 0 : error_memory(e, NULL);
}

/* ---- Calibration ------------------------------------------------------------------------- */

int fidelity_print_tenths(const struct calibration_tenth tenths[CALIBRATION_TENTHS], bool json,
                          struct error *e) {
    json_t *list = json_array();
    if (!json) {
        printf("%-26s%11s%11s%11s%11s%11s\n", "rows by confidence", "rows", "head", "expected",
               "accuracy", "faultless");
    }
    for (int i = 0; i < CALIBRATION_TENTHS; i++) {
        const struct calibration_tenth *t = &tenths[i];
        if (json) {
            json_array_append_new(list, json_pack("{s:I, s:f, s:f, s:f, s:f}", "rows",
                                                  (json_int_t)t->rows, "head", t->confidence,
                                                  "expected", t->expected, "accuracy", t->accuracy,
                                                  "faultless", t->whole));
        } else {
            printf("  tenth %-18d%11" PRId64 "%11.3f%11.3f%11.3f%10.1f%%\n", i + 1, t->rows,
                   t->confidence, t->expected, t->accuracy, 100 * t->whole);
        }
    }
    if (!json) {
        json_decref(list);
        return 0;
    }
    return print_object(json_pack("{s:o}", "calibration", list), e);
}
