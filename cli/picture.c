/* picture.c - see picture.h. */
#include "cli/picture.h"

#include <string.h>
#include <unistd.h>

#include "store/file.h"

int picture_write(const char *path, const struct bytes *picture,
                  const volatile sig_atomic_t *cancel, struct error *e) {
    struct output_file file;
    if (path == NULL || strcmp(path, "-") == 0) {
        int rc = file_write(STDOUT_FILENO, picture->data, picture->size, cancel, e);
        return rc < 0 ? error_context(e, "standard output") : 0;
    }
    int rc = output_file_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    rc = file_write(file.fd, picture->data, picture->size, cancel, e);
    if (rc < 0) {
        output_file_discard(&file);
        return error_context(e, "%s", path);
    }
    return output_file_commit(&file, e);
}
