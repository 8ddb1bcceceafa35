/* corpus_lines.c - documents from JSON lines. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/date.h"
#include "store/file.h"
#include "store/json.h"
#include "store/stream.h"
#include "train/corpus/corpus_parts.h"

enum { READ_BYTES = 1 << 20 };

/* The text of a member that must be one. */
static int get_string(struct corpus_text *text, const json_t *line, const char *name,
                      struct error *e) {
    const json_t *value = json_object_get(line, name);
    text->text = json_string_value(value);
    text->size = json_string_length(value);
    return text->text != NULL ? 0 : error_set(e, ERR_FORMAT, "'%s' is not a text", name);
}

static int read_object(struct corpus_builder *b, const json_t *line, struct error *e) {
    struct corpus_text texts[2] = {{.target = false}, {.target = true}};
    if (json_object_get(line, "messages") != NULL) {
        return corpus_conversation(b, line, e);
    }
    bool plain = json_object_get(line, "text") != NULL;
    if (!plain && json_object_get(line, "prompt") == NULL) {
        return error_set(e, ERR_FORMAT, "has neither 'messages' nor 'prompt' nor 'text'");
    }
    int rc = plain ? 0 : get_string(&texts[0], line, "prompt", e);
    if (rc == 0) {
        rc = get_string(&texts[1], line, plain ? "text" : "completion", e);
    }
    return rc == 0 ? corpus_document(b, texts + plain, (size_t)2 - plain, e) : rc;
}

int corpus_read_line(struct corpus_builder *b, const void *line, size_t size, struct error *e) {
    const char *text = line;
    char number[32], key[STREAM_KEY_BYTES];
    size_t blank = 0;
    while (blank < size && memchr(" \t\r", text[blank], 3) != NULL) {
        blank++;
    }
    if (blank == size) {
        return 0;
    }
    json_t *root = json_read(text, size, NULL, e);
    if (root == NULL) {
        return e != NULL ? e->code : ERR_FORMAT;
    }
    const json_t *name = json_object_get(root, "account");
    const char *account = json_get_text(root, "account");
    if (json_is_integer(name)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(name));
        account = number;
    }
    int rc = json_is_object(root) ? 0 : error_set(e, ERR_FORMAT, "is not an object");
    if (rc == 0) {
        enum date_kind kind;
        stream_key(key, account, NULL);
        key[stream_account_size(key)] = '\0'; /* as clips of that account name it */
        rc = corpus_post_begin(b, key, date_created(root, &kind), e);
    }
    if (rc == 0) {
        rc = read_object(b, root, e);
        corpus_post_end(b);
    }
    json_decref(root);
    return rc;
}

/* The whole lines of `text`, or at the end of the file all of it; the rest stays. */
static int take_lines(struct corpus_builder *b, struct bytes *text, bool all, int64_t *number,
                      struct error *e) {
    const char *at = bytes_text(text), *end = at + text->size;
    int rc = corpus_cancelled(b, e);
    while (rc == 0 && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL && !all) {
            break;
        }
        ++*number;
        rc = corpus_read_line(b, at, (size_t)((newline != NULL ? newline : end) - at), e);
        at = newline != NULL ? newline + 1 : end;
    }
    text->size = (size_t)(end - at);
    memmove(text->data, at, text->size);
    return rc;
}

int corpus_read_lines(struct corpus_builder *b, const char *path, struct error *e) {
    struct bytes text;
    int fd = -1;
    int64_t number = 0;
    ssize_t got = 1;
    bytes_init(&text, STREAM_MEMBER_LIMIT);
    int rc = file_open_regular(path, &fd, e);
    if (rc < 0) {
        return rc;
    }
    while (rc == 0 && got > 0) {
        rc = bytes_reserve(&text, READ_BYTES, e);
        got = rc == 0 ? read(fd, text.data + text.size, READ_BYTES) : 0;
        if (got < 0) {
            rc = error_errno(e, errno, "cannot be read");
        } else if (rc == 0) {
            bool ends = memchr(text.data + text.size, '\n', (size_t)got) != NULL;
            text.size += (size_t)got;
            rc = ends || got == 0 ? take_lines(b, &text, got == 0, &number, e) : 0;
        }
    }
    close(fd); /* was only read */
    bytes_close(&text);
    if (rc == ERR_FORMAT && number == 1) {
        return error_context(
            e, "%s: is neither a store nor a stream nor JSON lines, or its first line is wrong",
            path);
    }
    return rc < 0 ? error_context(e, "%s: line %lld", path, (long long)number) : 0;
}
