/* data_file.c - see data_file.h. The build defines OCC_DATA_FOLDER, share/occ of the prefix. */
#include "cli/data_file.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char BESIDE[] = "/share/occ";

/* PREFIX/share/occ of a program PREFIX/bin/NAME; false where it cannot be known. */
static bool own_folder(char out[PATH_MAX]) {
    ssize_t size = readlink("/proc/self/exe", out, PATH_MAX - sizeof BESIDE);
    if (size <= 0 || size >= (ssize_t)(PATH_MAX - sizeof BESIDE)) { /* cut, maybe */
        return false;
    }
    out[size] = '\0';
    for (int level = 0; level < 2; level++) {
        char *slash = strrchr(out, '/');
        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
    }
    memcpy(out + strlen(out), BESIDE, sizeof BESIDE);
    return true;
}

/* 1 when there is such a file, 0 when not. */
static int look(char *path, size_t size, const char *folder, const char *name, struct error *e) {
    struct stat status;
    int length = snprintf(path, size, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= size) {
        return error_set(e, ERR_LIMIT, "%s: the path of its folder is too long", name);
    }
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

int data_file_find(char *path, size_t size, const char *name, struct error *e) {
    char own[PATH_MAX];
    const char *chosen = getenv("OCC_DATA");
    if (chosen != NULL && *chosen != '\0') {
        int found = look(path, size, chosen, name, e);
        return found == 0 ? error_set(e, ERR_IO,
                                      "%s: is not in %s, the folder that the environment variable "
                                      "OCC_DATA names",
                                      name, chosen)
                          : (found < 0 ? found : 0);
    }
    bool known = own_folder(own) && strcmp(own, OCC_DATA_FOLDER) != 0;
    int found = known ? look(path, size, own, name, e) : 0;
    found = found == 0 ? look(path, size, OCC_DATA_FOLDER, name, e) : found;
    if (found != 0) {
        return found < 0 ? found : 0;
    }
    return error_set(e, ERR_IO, "%s: is not in %s%s%s; OCC_DATA can name another folder", name,
                     known ? own : "", known ? " nor in " : "", OCC_DATA_FOLDER);
}
