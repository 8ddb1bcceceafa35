/* template_fuzz.c - any bytes as a chat template: refused, or rendered within its limits, twice the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "train/template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char VARIABLES[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"\\u00e9 b\"}, {\"role\": \"user\", "
    "\"content\": [{\"type\": \"text\", \"text\": \"x\"}]}, {\"role\": \"assistant\", \"content\": "
    "null, \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, "
    "2.5]}}}]}], "
    "\"tools\": null, \"bos_token\": \"<s>\", \"add_generation_prompt\": true}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static json_t *variables;
    struct template *t;
    struct error e = {0};
    if (variables == NULL) {
        variables = json_loads(VARIABLES, 0, NULL);
    }
    int rc = template_open(&t, (const char *)data, size, &e);
    if (rc < 0) {
        if (e.code != rc || e.text[0] == 0) {
            abort();
        }
        return 0;
    }
    const struct template_input in = {.variables = variables, .now = 0};
    struct template_spans spans = {0};
    struct bytes first, second;
    bytes_init(&first, 1 << 20);
    bytes_init(&second, 1 << 20);
    rc = template_render(t, &in, &first, &spans, &e);
    if (rc != template_render(t, &in, &second, NULL, NULL) || first.size != second.size ||
        (rc < 0 && (e.code != rc || e.text[0] == 0 || first.size > 0 || spans.count > 0)) ||
        memcmp(bytes_text(&first), bytes_text(&second), first.size) != 0) {
        abort();
    }
    for (size_t i = 0; i < spans.count; i++) {
        if (spans.items[i].start >= spans.items[i].end || spans.items[i].end > first.size) {
            abort();
        }
    }
    free(spans.items);
    bytes_close(&first);
    bytes_close(&second);
    template_close(t);
    return 0;
}
