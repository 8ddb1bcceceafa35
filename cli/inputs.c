/* inputs.c - see inputs.h. */
#include "cli/inputs.h"

#include <string.h>

#include "store/stream.h"

bool inputs_are_standard(char *const *files, int count) {
    bool standard = count == 0;
    for (int i = 0; i < count; i++) {
        standard = standard || strcmp(files[i], "-") == 0;
    }
    return standard;
}

int inputs_part(char **files, int count) {
    int streams = 0;
    for (int i = 0; i < count; i++) {
        if (stream_recognise(files[i])) {
            char *file = files[i];
            memmove(files + streams + 1, files + streams, (size_t)(i - streams) * sizeof *files);
            files[streams++] = file;
        }
    }
    return streams;
}
