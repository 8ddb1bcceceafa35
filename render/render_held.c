/* render_held.c - see render_held.h. */
#include "render/render_held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Block: struct held, member table, key, suffixes, contents. */
struct held *held_copy(const struct stream_sample *sample, held_choice *wanted, void *context) {
    size_t key_size = strlen(sample->key) + 1;
    size_t size = sizeof(struct held) + sample->count * sizeof(struct stream_member) + key_size;
    struct held *h = NULL;
    bool *chosen = calloc(sample->count ? sample->count : 1, sizeof *chosen);
    size_t count = 0;
    for (size_t i = 0; chosen != NULL && i < sample->count; i++) {
        chosen[i] = wanted(context, &sample->members[i]);
        if (chosen[i]) { /* the reader's limits keep the sum far from SIZE_MAX */
            size += strlen(sample->members[i].suffix) + 1 + sample->members[i].size;
            count++;
        }
    }
    h = chosen != NULL ? malloc(size) : NULL;
    if (h != NULL) {
        struct stream_member *members = (struct stream_member *)(void *)(h + 1);
        char *at = (char *)(members + sample->count);
        memcpy(at, sample->key, key_size);
        *h =
            (struct held){.bytes = size, .sample = {.key = at, .members = members, .count = count}};
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
    return h;
}

void held_free_list(struct held *first) {
    while (first != NULL) {
        struct held *next = first->next;
        free(first);
        first = next;
    }
}

static size_t digits_at(const char *text) {
    return strspn(text, "0123456789");
}

bool held_all(void *context, const struct stream_member *member) {
    (void)context;
    (void)member;
    return true;
}

bool held_originals(void *context, const struct stream_member *member) {
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

bool held_needed(void *context, const struct stream_member *member) {
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

size_t held_account_size(const char *key) {
    return strcspn(key, "/");
}

void held_pack_key(char key[STREAM_KEY_BYTES], char id[PACK_ID_BYTES], const char *sample_key,
                   int64_t number) {
    char plain[STREAM_KEY_BYTES];
    snprintf(id, PACK_ID_BYTES, "pack:%06" PRId64, number);
    stream_key(plain, NULL, id); /* the account is taken as it is: it is encoded already */
    size_t size = held_account_size(sample_key);
    if (size > STREAM_KEY_PART) {
        size = STREAM_KEY_PART;
    }
    snprintf(key, STREAM_KEY_BYTES, "%.*s%s", (int)size, sample_key, strchr(plain, '/'));
}
