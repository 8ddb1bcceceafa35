/* stream_fuzz.c - arbitrary bytes as a sample stream: an error or samples that keep
 * their promises. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct stream_sample *s) {
    if (s->count == 0 || strcmp(s->members[0].suffix, "json") != 0 || strchr(s->key, '.')) {
        abort();
    }
    unsigned sum = 0;
    for (size_t i = 0; i < s->count; i++) {
        const unsigned char *bytes = s->members[i].data;
        for (size_t k = 0; k < s->members[i].size; k++) { /* every byte must be readable */
            sum += bytes[k];
        }
        if (stream_member_find(s, s->members[i].suffix) == NULL) {
            abort();
        }
    }
    if (sum == 1) { /* keeps the loop from being optimised away */
        puts("");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct stream_reader *reader;
    struct stream_sample sample;
    struct error e = {0};
    FILE *file = tmpfile();
    if (!file || fwrite(data, 1, size, file) != size || fflush(file) != 0) {
        abort();
    }
    rewind(file);
    if (stream_reader_open(&reader, fileno(file), &e) == 0) {
        int rc;
        do {
            rc = stream_next(reader, &sample, &e);
            if (rc > 0) {
                check(&sample);
            }
        } while (rc > 0);
        if (rc < 0 && (e.code != rc || !*e.text)) {
            abort();
        }
        stream_reader_close(reader);
    }
    fclose(file);
    return 0;
}
