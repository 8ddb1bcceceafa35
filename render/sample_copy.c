/* sample_copy.c - see sample_copy.h.
 *
 * A copy is one block: struct sample_copy, the table of members, the key, suffixes and contents. */
#include "render/sample_copy.h"

#include <stdlib.h>
#include <string.h>

struct sample_copy *sample_copy_make(const struct stream_sample *sample, sample_copy_choice *wanted,
                                     void *context) {
    size_t key_size = strlen(sample->key) + 1;
    size_t size =
        sizeof(struct sample_copy) + sample->count * sizeof(struct stream_member) + key_size;
    bool *chosen = calloc(sample->count ? sample->count : 1, sizeof *chosen);
    size_t count = 0;
    for (size_t i = 0; chosen != NULL && i < sample->count; i++) {
        chosen[i] = wanted(context, &sample->members[i]);
        if (chosen[i]) { /* the reader's limits keep the sum far from SIZE_MAX */
            size += strlen(sample->members[i].suffix) + 1 + sample->members[i].size;
            count++;
        }
    }
    struct sample_copy *copy = chosen != NULL ? malloc(size) : NULL;
    if (copy != NULL) {
        struct stream_member *members = (struct stream_member *)(void *)(copy + 1);
        char *at = (char *)(members + sample->count);
        memcpy(at, sample->key, key_size);
        *copy = (struct sample_copy){.bytes = size,
                                     .sample = {.key = at, .members = members, .count = count}};
        at += key_size;
        for (size_t i = 0; i < sample->count; i++) {
            const struct stream_member *from = &sample->members[i];
            if (!chosen[i]) {
                continue;
            }
            size_t suffix_size = strlen(from->suffix) + 1;
            *members++ =
                (struct stream_member){.suffix = at, .data = at + suffix_size, .size = from->size};
            memcpy(at, from->suffix, suffix_size);
            if (from->size) {
                memcpy(at + suffix_size, from->data, from->size);
            }
            at += suffix_size + from->size;
        }
    }
    free(chosen);
    return copy;
}

void sample_copies_free(struct sample_copy *first) {
    while (first != NULL) {
        struct sample_copy *next = first->next;
        free(first);
        first = next;
    }
}

static size_t digits_at(const char *text) {
    return strspn(text, "0123456789");
}

bool copy_everything(void *context, const struct stream_member *member) {
    (void)context;
    (void)member;
    return true;
}

bool copy_originals(void *context, const struct stream_member *member) {
    (void)context;
    const char *suffix = member->suffix;
    if (strcmp(suffix, "pages.json") == 0) {
        return false;
    }
    size_t digits = suffix[0] == 'p' ? digits_at(suffix + 1) : 0;
    const char *type = suffix + 1 + digits;
    return digits < 3 || (strcmp(type, ".pgm") != 0 && strcmp(type, ".ppm") != 0 &&
                          strcmp(type, ".png") != 0 && strcmp(type, ".txt") != 0);
}

static bool has_part(const struct content_options *o, enum page_part part) {
    for (int i = 0; i < o->part_count; i++) {
        if (o->parts[i] == part) {
            return true;
        }
    }
    return false;
}

bool copy_for_pack(void *context, const struct stream_member *member) {
    const struct content_options *content = context;
    const char *suffix = member->suffix;
    if (strcmp(suffix, "json") == 0) {
        return true;
    }
    if (strcmp(suffix, "script.json") == 0) {
        return has_part(content, PART_SCRIPT);
    }
    if (strcmp(suffix, "comments.json") == 0) {
        return has_part(content, PART_COMMENTS);
    }
    if (strcmp(suffix, "mel.pgm") == 0) {
        return has_part(content, PART_AUDIO);
    }
    size_t digits = digits_at(suffix);
    return digits >= 3 && strcmp(suffix + digits, ".jpg") == 0 && has_part(content, PART_THUMBS);
}
