/* byte_tokenizer.h - for tests: a tokenizer.json whose tokens are bytes, so that ids can be read.
 */
#ifndef OCC_TESTS_BYTE_TOKENIZER_H
#define OCC_TESTS_BYTE_TOKENIZER_H

#include "store/utf8.h"

/* Token b is byte b; then those that end and begin texts. */
enum { TOKEN_END = 256, TOKEN_BEGIN, TOKEN_START };

/* Appends it. `processor`: its post_processor. 0, or a negative code. */
static inline int byte_tokenizer(struct bytes *out, const char *processor) {
    static const char *const ADDED[] = {"<|end|>", "<|begin|>", "<|start|>"};
    int rc = bytes_append_text(out, "{\"added_tokens\": [", NULL);
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = bytes_printf(out, NULL,
                          "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, "
                          "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
                          "\"special\": true}",
                          i > 0 ? "," : "", TOKEN_END + i, ADDED[i]);
    }
    if (rc == 0) {
        rc = bytes_printf(out, NULL,
                          "], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", "
                          "\"add_prefix_space\": false, \"use_regex\": false}, "
                          "\"post_processor\": %s, \"decoder\": {\"type\": \"ByteLevel\"}, "
                          "\"model\": {\"type\": \"BPE\", \"vocab\": {",
                          processor);
    }
    int moved = 0; /* bytes that are no letters have the characters from U+0100 on */
    for (int b = 0; b < 256 && rc == 0; b++) {
        bool plain = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
        char text[8] = "";
        text[utf8_encode((uint32_t)(plain ? b : 256 + moved++), text)] = '\0';
        rc = bytes_printf(out, NULL, "%s\"%s%s\": %d", b > 0 ? "," : "",
                          b == '"' || b == '\\' ? "\\" : "", text, b);
    }
    return rc == 0 ? bytes_append_text(out, "}, \"merges\": []}}", NULL) : rc;
}

/* ChatML without a word of its own. */
#define TEMPLATE                                                                                   \
    "{% for m in messages %}{{ '<|start|>' + m['role'] + '\\n' + m['content'] + '<|end|>\\n' }}"   \
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}"

#endif
