/* store_reader_test.c - readers: what they see while another process writes, and the files that
 * they may not have or cannot use. */
#define _DEFAULT_SOURCE /* mkdtemp, setgroups */
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/export.h"
#include "store/file.h"
#include "store/forget.h"
#include "tests/store_folder.h"

enum { NOBODY = 65534, DAY = 24 * 3600 };

static void file_of(char file[128], const char *path, const char *name) {
    snprintf(file, 128, "%s/%s", path, name);
}

static mode_t mode_of(const char *path, const char *name) {
    char file[128];
    struct stat status;
    file_of(file, path, name);
    return CHECK_NUMBER(stat(file, &status), 0) ? status.st_mode & 0777 : 0;
}

static off_t size_of(const char *path) {
    char file[128];
    struct stat status;
    file_of(file, path, "data.mdb");
    return CHECK_NUMBER(stat(file, &status), 0) ? status.st_size : 0;
}

static void make_store(const char *path, int samples) {
    char key[32];
    struct store *s = store_new(path);
    for (int i = 0; i < samples; i++) {
        snprintf(key, sizeof key, "a/%d", i);
        put_grid(s, key, i * DAY, 1, 16, 16, "x");
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

/* What a child process answers, as an exit status. */
static int wait_for(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- Snapshots --------------------------------------------------------------------------- */

static int add_grid(void *context, const struct token_record *r, struct error *e) {
    (void)e;
    *(int *)context += r->header.rows * r->header.columns;
    return 0;
}

static void forget_everything(const char *path) {
    struct forget_options options = WEEKLY;
    struct forget_result result;
    struct store *s = store_new(path);
    for (int i = 1; i < 4; i++) {
        options.now = (int64_t)i * 100 * DAY;
        CHECK_NUMBER(forget_run(s, &options, NULL, &result, NULL), 0);
    }
    put_grid(s, "b/1", 5, 4, 16, 16, "x");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

/* store F10 */
static void a_reader_sees_the_store_of_one_moment(void) {
    char path[64];
    int ready[2], go[2];
    folder_new(path);
    make_store(path, 50);
    if (pipe(ready) != 0 || pipe(go) != 0) {
        exit(1);
    }
    pid_t child = fork();
    if (child == 0) {
        struct store *s = store_reader(path);
        char byte = 'x';
        int tokens = 0;
        bool right = write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1;
        right = right && store_each(s, NULL, add_grid, &tokens, NULL) == 0 &&
                tokens == 50 * 16 * 16 && store_has(s, "b/1", NULL) == 0 &&
                store_verify(s, print_fault, NULL, NULL) == 0;
        store_close(s);
        _exit(right ? 0 : 1);
    }
    char byte;
    CHECK_NUMBER(read(ready[0], &byte, 1), 1);
    forget_everything(path);
    CHECK_NUMBER(write(go[1], "x", 1), 1);
    CHECK_NUMBER(wait_for(child), 0);
    folder_end(path);
}

/* A child that exports the store as a tar, into a pipe. */
static pid_t begin_export(const char *path, int *output) {
    int ends[2];
    if (pipe(ends) != 0) {
        exit(1);
    }
    pid_t child = fork();
    if (child == 0) {
        int64_t pages;
        struct store *s = store_reader(path);
        int rc = export_tokens(s, EXPORT_TAR, NULL, ends[1], NULL, 0, NULL, &pages, NULL);
        store_close(s);
        _exit(rc == 0 ? 0 : 1);
    }
    close(ends[1]);
    *output = ends[0];
    return child;
}

static void read_all(struct bytes *out, int fd) {
    char part[4096];
    ssize_t got = read(fd, part, sizeof part);
    for (; got > 0; got = read(fd, part, sizeof part)) {
        CHECK_NUMBER(bytes_append(out, part, (size_t)got, NULL), 0);
    }
    close(fd);
}

/* store F10 */
static void a_slow_export_is_no_mixture(void) {
    char path[64];
    int output;
    struct bytes undisturbed, slow;
    bytes_init(&undisturbed, 1 << 24);
    bytes_init(&slow, 1 << 24);
    folder_new(path);
    make_store(path, 60);
    pid_t child = begin_export(path, &output);
    read_all(&undisturbed, output);
    CHECK_NUMBER(wait_for(child), 0);
    child = begin_export(path, &output);
    CHECK_NUMBER(bytes_reserve(&slow, 1, NULL), 0);
    CHECK_NUMBER(read(output, slow.data, 1), 1);
    slow.size = 1;
    forget_everything(path);
    read_all(&slow, output);
    CHECK_NUMBER(wait_for(child), 0);
    CHECK(slow.size > 400000 && slow.size == undisturbed.size &&
          memcmp(slow.data, undisturbed.data, slow.size) == 0);
    bytes_close(&undisturbed);
    bytes_close(&slow);
    folder_end(path);
}

/* store F2, store F13 */
static void a_store_may_grow_while_it_is_opened(void) {
    char path[64], key[32];
    folder_new(path);
    make_store(path, 1);
    pid_t child = fork();
    if (child == 0) {
        int failed = 0;
        for (int i = 0; i < 100; i++) {
            struct store *s = NULL;
            int tokens = 0;
            failed += store_open(&s, path, NULL) != 0 ||
                      store_each(s, NULL, add_grid, &tokens, NULL) != 0 || tokens < 16 * 16;
            store_close(s);
        }
        _exit(failed);
    }
    for (int i = 0; i < 100; i++) {
        struct store *s = store_new(path);
        snprintf(key, sizeof key, "b/%d", i);
        put_grid(s, key, i, 2, 32, 32, "x");
        CHECK_NUMBER(store_commit(s, NULL), 0);
        store_close(s);
    }
    CHECK_NUMBER(wait_for(child), 0);
    folder_end(path);
}

/* store F13 */
static void a_reader_maps_no_more_than_the_file(void) {
    char path[64], line[512];
    folder_new(path);
    make_store(path, 20);
    struct store *s = store_reader(path);
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long begin, end;
        if (strstr(line, path) != NULL && strstr(line, "data.mdb") != NULL &&
            sscanf(line, "%llx-%llx", &begin, &end) == 2) {
            CHECK((off_t)(end - begin) <= size_of(path));
            found++;
        }
    }
    CHECK_NUMBER(found, 1);
    if (maps != NULL) {
        fclose(maps);
    }
    store_close(s);
    folder_end(path);
}

/* ---- Rights ------------------------------------------------------------------------------- */

/* store F1 */
static void who_may_read_the_data_may_write_the_lock(void) {
    static const struct {
        mode_t mask, lock;
    } CASES[] = {{022, 0666}, {002, 0666}, {027, 0660}, {077, 0600}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char path[64], lock[128];
        folder_new(path);
        mode_t old = umask(CASES[i].mask);
        make_store(path, 1);
        CHECK_NUMBER(mode_of(path, "lock.mdb"), CASES[i].lock);
        file_of(lock, path, "lock.mdb");
        CHECK_NUMBER(chmod(lock, 0600), 0); /* a store of before */
        store_close(store_new(path));
        CHECK_NUMBER(mode_of(path, "lock.mdb"), CASES[i].lock);
        CHECK_NUMBER(chmod(lock, 0600), 0);
        store_close(store_reader(path));
        CHECK_NUMBER(mode_of(path, "lock.mdb"), CASES[i].lock);
        CHECK_NUMBER(unlink(lock), 0); /* the first reader makes it */
        store_close(store_reader(path));
        CHECK_NUMBER(mode_of(path, "lock.mdb"), CASES[i].lock);
        umask(old);
        folder_end(path);
    }
}

/* Opens the store as another user, who sees `tokens` in it: the error's code, its text in
 * a file. */
static int open_as_nobody(const char *path, bool writing, char text[1024]) {
    int ends[2];
    if (pipe(ends) != 0) {
        exit(1);
    }
    pid_t child = fork();
    if (child == 0) {
        struct store *s = NULL;
        struct error e = {0};
        bool changed = setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0;
        int rc =
            writing ? store_open_write(&s, path, &STORE_ENCODER, &e) : store_open(&s, path, &e);
        bool reported = write(ends[1], e.text, strlen(e.text)) >= 0;
        rc = rc == 0 && store_verify(s, print_fault, NULL, NULL) != 0 ? 99 : -rc;
        store_close(s);
        _exit(changed && reported ? rc : 100);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], text, 1023);
    text[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    return wait_for(child);
}

static void set_rights(const char *path, mode_t folder, mode_t data, mode_t lock) {
    char file[128];
    CHECK_NUMBER(chmod(path, folder), 0);
    file_of(file, path, "data.mdb");
    CHECK_NUMBER(chmod(file, data), 0);
    file_of(file, path, "lock.mdb");
    CHECK_NUMBER(lock != 0 ? chmod(file, lock) : unlink(file), 0);
}

/* store F1 */
static void a_reader_of_another_user_has_a_snapshot_or_an_error(void) {
    char path[64], text[1024];
    if (geteuid() != 0) {
        printf("# not root: not as another user\n");
        return;
    }
    folder_new(path);
    *strrchr(path, '/') = '\0';
    CHECK_NUMBER(chmod(path, 0755), 0);
    snprintf(path + strlen(path), 8, "/s");
    make_store(path, 3);
    CHECK_NUMBER(open_as_nobody(path, false, text), 0);
    set_rights(path, 0755, 0644, 0644); /* of before */
    CHECK_NUMBER(open_as_nobody(path, false, text), -ERR_IO);
    CHECK(strstr(text, "lock.mdb: may not be written") != NULL);
    CHECK(strstr(text, "its owner mends that by opening the store") != NULL);
    store_close(store_reader(path)); /* its owner */
    CHECK_NUMBER(open_as_nobody(path, false, text), 0);
    set_rights(path, 0755, 0644, 0);
    CHECK_NUMBER(open_as_nobody(path, false, text), -ERR_IO);
    CHECK(strstr(text, "lock.mdb: cannot be made") != NULL);
    store_close(store_new(path));
    set_rights(path, 0777, 0666, 0644); /* all may write, but the lock file is of one user */
    CHECK_NUMBER(open_as_nobody(path, false, text), -ERR_IO);
    CHECK(strstr(text, "lock.mdb: may not be written") != NULL);
    set_rights(path, 0755, 0600, 0666);
    CHECK_NUMBER(open_as_nobody(path, false, text), -ERR_IO);
    CHECK(strstr(text, "data.mdb: Permission denied") != NULL);
    CHECK_NUMBER(open_as_nobody(path, true, text), -ERR_IO);
    set_rights(path, 0777, 0666, 0);
    CHECK_NUMBER(open_as_nobody(path, false, text), 0); /* made by that user, for all */
    CHECK_NUMBER(mode_of(path, "lock.mdb"), 0666);
    folder_end(path);
}

/* ---- Files that are too short -------------------------------------------------------------- */

static void copy_start(const char *from, const char *to, size_t size) {
    struct bytes data;
    char file[128];
    bytes_init(&data, 1 << 26);
    file_of(file, from, "data.mdb");
    CHECK_NUMBER(file_read(file, &data, NULL), 0);
    CHECK(size <= data.size);
    CHECK(mkdir(to, 0777) == 0 || true);
    file_of(file, to, "data.mdb");
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    CHECK_NUMBER(file_write(fd, data.data, size, NULL, NULL), 0);
    close(fd);
    bytes_close(&data);
}

/* store F11 */
static void a_file_that_was_cut_is_named_with_its_length(void) {
    char path[64], copy[80], want[64];
    struct error e;
    struct store *s;
    folder_new(path);
    snprintf(copy, sizeof copy, "%.60s.copy", path);
    make_store(path, 60);
    size_t whole = (size_t)size_of(path);
    const size_t sizes[] = {200,    4096,      5000,         8192,     8193,
                            100000, whole / 2, whole - 4096, whole - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        copy_start(path, copy, sizes[i]);
        snprintf(want, sizeof want, "data.mdb: has %zu bytes, needs %zu", sizes[i], whole);
        CHECK_NUMBER(store_open(&s, copy, &e), ERR_TRUNCATED);
        CHECK(strstr(e.text, want) != NULL);
        CHECK_NUMBER(store_open_write(&s, copy, NULL, &e), ERR_TRUNCATED);
        CHECK(strstr(e.text, want) != NULL);
        CHECK_NUMBER(store_open_write(&s, copy, &STORE_ENCODER, &e), ERR_TRUNCATED);
    }
    copy_start(path, copy, whole);
    check_verified(copy);
    folder_end(path);
}

/* store F11 */
static void an_empty_file_is_no_store(void) {
    char path[64], copy[80];
    struct error e;
    struct store *s;
    folder_new(path);
    snprintf(copy, sizeof copy, "%.60s.copy", path);
    make_store(path, 1);
    copy_start(path, copy, 0);
    CHECK_NUMBER(store_open(&s, copy, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "is not a token store: the file is empty") != NULL);
    CHECK_NUMBER(store_open_write(&s, copy, NULL, &e), ERR_FORMAT);
    CHECK_NUMBER(size_of(copy), 0);
    store_close(store_new(copy)); /* a writer that was killed at once leaves such a one */
    check_verified(copy);
    folder_end(path);
}

static void change_byte(const char *path, off_t offset, unsigned char value) {
    char file[128];
    file_of(file, path, "data.mdb");
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    CHECK_NUMBER(pwrite(fd, &value, 1, offset), 1);
    close(fd);
}

/* store F11: magic, version, page size, last page and its highest byte, of both metas. */
static void a_damaged_first_page_is_an_error(void) {
    static const off_t PLACES[] = {16, 20, 40, 41, 43, 139, 143};
    char path[64], copy[80];
    struct error e;
    struct store *s;
    folder_new(path);
    snprintf(copy, sizeof copy, "%.60s.copy", path);
    make_store(path, 10);
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
        copy_start(path, copy, (size_t)size_of(path));
        change_byte(copy, PLACES[i], 0x77);
        change_byte(copy, 4096 + PLACES[i], 0x77);
        CHECK(store_open(&s, copy, &e) < 0);
        CHECK(strstr(e.text, copy) != NULL);
    }
    folder_end(path);
}

/* LMDB's count of pages, in bytes. */
static off_t length_of(const char *path) {
    MDB_env *env;
    MDB_envinfo info;
    MDB_stat stat;
    CHECK(mdb_env_create(&env) == 0 && mdb_env_open(env, path, MDB_RDONLY, 0666) == 0 &&
          mdb_env_info(env, &info) == 0 && mdb_env_stat(env, &stat) == 0);
    mdb_env_close(env);
    return (off_t)((info.me_last_pgno + 1) * stat.ms_psize);
}

/* store F11: what is taken and given back in one transaction is never written. */
static void a_file_may_lack_free_pages_at_its_end(void) {
    char path[64];
    folder_new(path);
    make_store(path, 10);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 1, 1, 2, 2, "y"); /* leaves free pages, so that the list is at hand */
    CHECK_NUMBER(store_commit(s, NULL), 0);
    put_grid(s, "a/2", 1, 1, 2, 2, "y");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    put_grid(s, "a/big", 1, 4, 200, 200, "x");
    CHECK_NUMBER(store_remove(s, "a/big", NULL), 1);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    CHECK(size_of(path) < length_of(path));
    check_verified(path);
    s = store_new(path);
    put_grid(s, "a/more", 1, 1, 100, 100, "x");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

int main(void) {
    RUN(a_reader_sees_the_store_of_one_moment);
    RUN(a_slow_export_is_no_mixture);
    RUN(a_store_may_grow_while_it_is_opened);
    RUN(a_reader_maps_no_more_than_the_file);
    RUN(who_may_read_the_data_may_write_the_lock);
    RUN(a_reader_of_another_user_has_a_snapshot_or_an_error);
    RUN(a_file_that_was_cut_is_named_with_its_length);
    RUN(an_empty_file_is_no_store);
    RUN(a_damaged_first_page_is_an_error);
    RUN(a_file_may_lack_free_pages_at_its_end);
    return test_finish();
}
