/* templates.c - renders a line {"template", "variables", "now"} of standard input as a line
 * {"text"}, or {"error", "code"}, of standard output; for peer_jinja.py. */
#include <stdio.h>
#include <stdlib.h>

#include "train/template/template.h"

enum { TEXT_LIMIT = 64 << 20 };

static json_t *rendered(const json_t *line) {
    const json_t *source = json_object_get(line, "template");
    const struct template_input in = {.variables = json_object_get(line, "variables"),
                                      .now = json_integer_value(json_object_get(line, "now"))};
    struct template *t = NULL;
    struct error e = {0};
    struct bytes out;
    bytes_init(&out, TEXT_LIMIT);
    int rc = template_open(&t, json_string_value(source), json_string_length(source), &e);
    rc = rc < 0 ? rc : template_render(t, &in, &out, NULL, &e);
    json_t *result = rc == 0 ? json_pack("{s:s%}", "text", bytes_text(&out), out.size)
                             : json_pack("{s:s, s:i}", "error", e.text, "code", rc);
    template_close(t);
    bytes_close(&out);
    return result;
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    int status = EXIT_SUCCESS;
    while (status == EXIT_SUCCESS) {
        const ssize_t size = getline(&line, &capacity, stdin);
        if (size <= 0) {
            break;
        }
        json_t *root = json_loadb(line, (size_t)size, JSON_ALLOW_NUL, NULL);
        json_t *result = json_object_get(root, "template") != NULL ? rendered(root) : NULL;
        bool failed = result == NULL || json_dumpf(result, stdout, JSON_COMPACT) != 0;
        status = failed || puts("") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        json_decref(result);
        json_decref(root);
    }
    free(line);
    return status;
}
