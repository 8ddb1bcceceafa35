/* store_facts.c - see store_facts.h. */
#include "cli/store_facts.h"

#include <stdio.h>

#include "store/facts.h"
#include "store/json.h"

static int print_page(void *context, const struct token_record *record, struct error *e) {
    struct bytes *line = context;
    json_t *facts = facts_json(record->facts, record->header.facts);
    json_t *root = json_pack("{s:i, s:i, s:o}", "page", record->page, "bucket",
                             record->header.bucket, "facts", facts);
    bytes_clear(line);
    int rc = root != NULL ? json_append(line, root, e) : error_memory(e, NULL);
    if (rc == 0 && puts(bytes_text(line)) == EOF) {
        rc = error_set(e, ERR_CLOSED, "standard output: cannot be written");
    }
    json_decref(root);
    return rc;
}

int store_facts_print(struct store *s, const char *key, struct error *e) {
    struct bytes line;
    bytes_init(&line, STREAM_MEMBER_LIMIT);
    int rc = store_check_pages(s, key, e);
    if (rc == 0) {
        rc = store_each_page(s, key, print_page, &line, e);
    }
    bytes_close(&line);
    return rc;
}
