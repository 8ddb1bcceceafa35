/* data_file_test.c - files that ship with the programs are found where they should be. */
#include "cli/data_file.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static char folder[] = "/tmp/occ-data-test.XXXXXX";
static char path[PATH_MAX];
static struct error e;

static void put_file(const char *name) {
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    FILE *f = fopen(file, "wx");
    CHECK(f != NULL && fclose(f) == 0);
}

static void the_variable_names_the_folder(void) {
    char wanted[PATH_MAX];
    setenv("OCC_DATA", folder, 1);
    put_file("nano.safetensors");
    snprintf(wanted, sizeof wanted, "%s/nano.safetensors", folder);
    CHECK_NUMBER(data_file_find(path, sizeof path, "nano.safetensors", &e), 0);
    CHECK_TEXT(path, wanted);
    CHECK_NUMBER(unlink(wanted), 0);
}

static void nothing_else_is_tried_then(void) {
    char wanted[PATH_MAX];
    setenv("OCC_DATA", folder, 1);
    CHECK_NUMBER(data_file_find(path, sizeof path, "r50k_base.tiktoken", &e), ERR_IO);
    snprintf(wanted, sizeof wanted,
             "r50k_base.tiktoken: is not in %s, the folder that the environment variable OCC_DATA "
             "names",
             folder);
    CHECK_TEXT(e.text, wanted);
}

static void it_is_beside_the_program(void) {
    static const char END[] = "/share/occ/r50k_base.tiktoken";
    unsetenv("OCC_DATA");
    CHECK_NUMBER(data_file_find(path, sizeof path, "r50k_base.tiktoken", &e), 0);
    CHECK(strlen(path) > strlen(END));
    CHECK_TEXT(path + strlen(path) - strlen(END), END);
    CHECK(strstr(path, "/..") == NULL);
    CHECK_NUMBER(access(path, R_OK), 0);
    setenv("OCC_DATA", "", 1); /* empty is as good as not set */
    CHECK_NUMBER(data_file_find(path, sizeof path, "r50k_base.tiktoken", &e), 0);
}

static void what_is_missing_is_told_with_the_folders(void) {
    unsetenv("OCC_DATA");
    CHECK_NUMBER(data_file_find(path, sizeof path, "no.such", &e), ERR_IO);
    CHECK(strncmp(e.text, "no.such: is not in /", 20) == 0);
    const char *second = strstr(e.text, "/share/occ nor in /");
    CHECK(second != NULL && strstr(second, "/occ; OCC_DATA can name another folder") != NULL);
}

static void a_folder_is_no_file(void) {
    char inner[PATH_MAX];
    setenv("OCC_DATA", folder, 1);
    snprintf(inner, sizeof inner, "%s/inner", folder);
    CHECK_NUMBER(mkdir(inner, 0700), 0);
    CHECK_NUMBER(data_file_find(path, sizeof path, "inner", &e), ERR_IO);
    CHECK_NUMBER(rmdir(inner), 0);
}

static void a_path_that_does_not_fit_is_refused(void) {
    char small[16];
    setenv("OCC_DATA", folder, 1);
    CHECK_NUMBER(data_file_find(small, sizeof small, "no.such", &e), ERR_LIMIT);
    CHECK_TEXT(e.text, "no.such: the path of its folder is too long");
}

int main(void) {
    if (mkdtemp(folder) == NULL) {
        puts("Bail out! no folder for the test");
        return EXIT_FAILURE;
    }
    RUN(the_variable_names_the_folder);
    RUN(nothing_else_is_tried_then);
    RUN(it_is_beside_the_program);
    RUN(what_is_missing_is_told_with_the_folders);
    RUN(a_folder_is_no_file);
    RUN(a_path_that_does_not_fit_is_refused);
    rmdir(folder);
    return test_finish();
}
