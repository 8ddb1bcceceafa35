/* train_result.c - see train_result.h. */
#include "cli/train_result.h"

#include <math.h>
#include <sys/resource.h>

#include "store/file.h"
#include "store/json.h"

int train_result_write(const char *path, const struct tune_result *r, struct error *e) {
    struct rusage usage = {.ru_maxrss = 0};
    struct bytes text;
    bytes_init(&text, 1 << 16);
    getrusage(RUSAGE_SELF, &usage);
    json_t *root = json_pack(
        "{s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:I}", "steps", (json_int_t)r->run.step, "rows",
        (json_int_t)r->run.samples, "tokens", (json_int_t)r->tokens, "tokens_per_second",
        json_finite(r->tokens_per_second), "trained", (json_int_t)r->trained, "held_out",
        json_finite(r->best_step < 0 ? (double)NAN : r->best), "predicted",
        ledger_json(r->run.ledger.predicted), "measured", ledger_json(r->run.ledger.measured),
        "peak", (json_int_t)usage.ru_maxrss * 1024);
    int rc = root != NULL ? 0 : error_memory(e, NULL);
    rc = rc == 0 ? json_append(&text, root, e) : rc;
    rc = rc == 0 ? bytes_append(&text, "\n", 1, e) : rc;
    rc = rc == 0 ? output_file_write(path, text.data, text.size, NULL, e) : rc;
    json_decref(root);
    bytes_close(&text);
    return rc;
}
