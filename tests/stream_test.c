/* stream_test.c - the sample stream: what is written is read, and what is torn or hostile
 * is reported. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/file.h"
#include "store/key_set.h"
#include "store/stream.h"
#include "tests/test.h"

/* A stream in an unlinked file: written, then read from its start. */
static int scratch(void) {
    FILE *file = tmpfile();
    int fd = file ? dup(fileno(file)) : -1;
    if (file) {
        fclose(file);
    }
    CHECK(fd >= 0);
    return fd;
}

static void put(struct stream_writer *w, const char *key, const char *json, const char *script) {
    struct stream_member members[2] = {{"json", json, strlen(json)},
                                       {"script.json", script, script ? strlen(script) : 0}};
    struct bytes records;
    bytes_init(&records, 1 << 20);
    CHECK(stream_encode(&records, key, members, script ? 2 : 1, NULL) == 0);
    CHECK(stream_write(w, records.data, records.size, NULL) == 0);
    bytes_close(&records);
}

/* Two samples; the file is left open at its start. */
static int two_samples(void) {
    int fd = scratch();
    struct stream_writer *w;
    struct stream_counts counts = {.samples = 2, .failed = 1};
    json_t *options = json_pack("{s:i}", "thumbs", 4);
    json_t *extra = json_pack("{s:i}", "inputs", 3);
    CHECK(stream_writer_open(&w, fd, "test 1", options, NULL, NULL) == 0);
    put(w, "banana/1", "{\"id\":\"1\"}", "[1]");
    put(w, "banana/2", "{\"id\":\"2\"}", NULL);
    CHECK(stream_writer_finish(w, &counts, extra, NULL) == 0);
    stream_writer_close(w);
    json_decref(extra);
    json_decref(options);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void keys_are_plain_and_short(void) {
    char key[STREAM_KEY_BYTES], other[STREAM_KEY_BYTES];
    stream_key(key, "banana", "7139980461132074283");
    CHECK_TEXT(key, "banana/7139980461132074283");
    stream_key(key, "Mr. Beast", "a/b:\xC3\xA9");
    CHECK_TEXT(key, "Mr%2E%20Beast/a%2Fb%3A%C3%A9");
    stream_key(key, NULL, "");
    CHECK_TEXT(key, "_/_");
    stream_key(key, "..", ".");
    CHECK_TEXT(key, "%2E%2E/%2E");
    char name[400];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    stream_key(key, name, name);
    CHECK_NUMBER(strlen(key), 2 * STREAM_KEY_PART + 1);
    name[sizeof name - 2] = 'y'; /* a difference after the cut still shows */
    stream_key(other, name, name);
    CHECK(strcmp(key, other) != 0);
    name[STREAM_KEY_PART] = 0;
    stream_key(key, name, "1");
    CHECK_NUMBER(strlen(key), STREAM_KEY_PART + 2); /* exactly fits: not cut */
    CHECK(strchr(key, '~') == NULL);
}

static void keys_say_their_account_and_what_is_a_pack(void) {
    char text[STREAM_KEY_BYTES];
    CHECK_NUMBER(stream_account_size("a%20b/1"), 5);
    stream_account(text, "a%20b/1");
    CHECK_TEXT(text, "a%20b");
    stream_key(text, "a", "pack:000012");
    CHECK(stream_is_pack(text) && stream_is_numbered_pack(text));
    stream_pack_key(text, "a%20b/7", "00ff");
    CHECK_TEXT(text, "a%20b/pack%3A00ff");
    CHECK(stream_is_pack(text) && !stream_is_numbered_pack(text));
    CHECK(!stream_is_numbered_pack("a/pack%3A00012"));
    CHECK(!stream_is_pack("a/pack") && !stream_is_pack("pack%3A000012/1") && !stream_is_pack("a"));
}

static void what_is_written_is_read(void) {
    int fd = two_samples();
    struct stream_reader *r;
    struct stream_sample s;
    struct error e = {0};
    CHECK(stream_reader_open(&r, fd, &e) == 0);
    CHECK_TEXT(json_get_text(stream_reader_header(r), "tool"), "test 1");
    CHECK_NUMBER(stream_next(r, &s, &e), 1);
    CHECK_TEXT(s.key, "banana/1");
    CHECK_NUMBER(s.count, 2);
    CHECK_TEXT(s.members[1].suffix, "script.json");
    CHECK(s.members[1].size == 3 && memcmp(s.members[1].data, "[1]", 3) == 0);
    CHECK(stream_member_find(&s, "json") == &s.members[0]);
    CHECK(stream_member_find(&s, "jpg") == NULL);
    CHECK_NUMBER(stream_next(r, &s, &e), 1);
    CHECK_TEXT(s.key, "banana/2");
    CHECK_NUMBER(stream_next(r, &s, &e), 0);
    CHECK_NUMBER(json_get_integer(stream_reader_end(r), "failed", -1), 1);
    CHECK_NUMBER(json_get_integer(stream_reader_end(r), "inputs", -1), 3);
    stream_reader_close(r);
    close(fd);
}

/* How reading ends when only the first `size` bytes arrive. */
static int read_cut(int fd, size_t size, struct error *e) {
    struct stream_reader *r;
    struct stream_sample s;
    CHECK(ftruncate(fd, (off_t)size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    int rc = stream_reader_open(&r, fd, e);
    if (rc < 0) {
        return rc;
    }
    do {
        rc = stream_next(r, &s, e);
    } while (rc == 1);
    stream_reader_close(r);
    return rc;
}

static void a_cut_at_any_place_is_noticed(void) {
    int fd = two_samples();
    off_t whole = lseek(fd, 0, SEEK_END);
    close(fd);
    CHECK(whole > 4096);
    for (off_t size = 0; size < whole - 1024; size += 61) { /* the last 1,024 are tar's end mark */
        struct error e = {0};
        fd = two_samples();
        int rc = read_cut(fd, (size_t)size, &e);
        bool reported = rc == ERR_TRUNCATED || (rc == ERR_FORMAT && size < 1024);
        if (!reported) {
            printf("# cut at %lld of %lld: %d %s\n", (long long)size, (long long)whole, rc, e.text);
        }
        CHECK(reported);
        close(fd);
    }
}

/* What the reader says of a tar with one odd member after the header. */
static int read_odd(const char *name, int type, const char *link, struct error *e) {
    int fd = scratch();
    struct stream_writer *w;
    CHECK(stream_writer_open(&w, fd, "test 1", NULL, NULL, NULL) == 0);
    stream_writer_close(w);
    struct archive *tar = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_pax(tar);
    archive_write_open_fd(tar, fd);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, (unsigned)type);
    archive_entry_set_size(entry, 0);
    if (link && type == AE_IFLNK) {
        archive_entry_set_symlink(entry, link);
    } else if (link) {
        archive_entry_set_hardlink(entry, link);
    }
    CHECK(archive_write_header(tar, entry) == ARCHIVE_OK);
    archive_entry_free(entry);
    archive_write_free(tar);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    struct stream_reader *r;
    struct stream_sample s;
    int rc = stream_reader_open(&r, fd, e);
    if (rc == 0) {
        rc = stream_next(r, &s, e);
        stream_reader_close(r);
    }
    close(fd);
    return rc;
}

static void hostile_members_are_refused(void) {
    struct error e;
    CHECK_NUMBER(read_odd("../up.json", AE_IFREG, NULL, &e), ERR_FORMAT);
    CHECK_NUMBER(read_odd("a/../up.json", AE_IFREG, NULL, &e), ERR_FORMAT);
    CHECK_NUMBER(read_odd("/etc/x.json", AE_IFREG, NULL, &e), ERR_FORMAT);
    CHECK_NUMBER(read_odd("a/link.json", AE_IFLNK, "/etc/passwd", &e), ERR_FORMAT);
    CHECK_NUMBER(read_odd("a/hard.json", AE_IFREG, "a/b", &e), ERR_FORMAT);
    CHECK_NUMBER(read_odd("a/folder.json", AE_IFDIR, NULL, &e), ERR_FORMAT);
    CHECK_NUMBER(read_odd("a/1.jpg", AE_IFREG, NULL, &e), ERR_FORMAT); /* no .json first */
    CHECK_NUMBER(read_odd("a/plain", AE_IFREG, NULL, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "a/plain") != NULL);
}

static void other_tars_are_told_apart(void) {
    struct error e;
    struct stream_reader *r;
    int fd = scratch();
    CHECK(file_write(fd, "this is no tar at all, just text", 32, NULL, NULL) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_NUMBER(stream_reader_open(&r, fd, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "not a sample stream") != NULL);
    close(fd);
    fd = scratch();
    CHECK_NUMBER(stream_reader_open(&r, fd, &e), ERR_TRUNCATED);
    CHECK(strstr(e.text, "wrote nothing") != NULL);
    close(fd);
}

static void a_wrong_count_is_noticed(void) {
    int fd = scratch();
    struct stream_writer *w;
    struct stream_counts counts = {.samples = 5};
    struct error e;
    CHECK(stream_writer_open(&w, fd, "test 1", NULL, NULL, NULL) == 0);
    put(w, "a/1", "{}", NULL);
    CHECK(stream_writer_finish(w, &counts, NULL, NULL) == 0);
    stream_writer_close(w);
    off_t whole = lseek(fd, 0, SEEK_END);
    CHECK_NUMBER(read_cut(fd, (size_t)whole, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "counts 5 samples, but 1") != NULL);
    close(fd);
}

static void bad_samples_are_not_written(void) {
    struct bytes out;
    bytes_init(&out, 1 << 20);
    struct stream_member first = {"jpg", "x", 1};
    struct stream_member slash[2] = {{"json", "{}", 2}, {"../x", "x", 1}};
    struct stream_member huge[2] = {{"json", "{}", 2}, {"jpg", "x", STREAM_MEMBER_LIMIT + 1}};
    CHECK_NUMBER(stream_encode(&out, "a/1", &first, 1, NULL), ERR_USAGE);
    CHECK_NUMBER(stream_encode(&out, "a/1", slash, 2, NULL), ERR_USAGE);
    CHECK_NUMBER(stream_encode(&out, "a/1", huge, 2, NULL), ERR_LIMIT);
    CHECK_NUMBER(out.size, 0);
    bytes_close(&out);
}

static void a_reader_that_leaves_is_told_apart(void) {
    int ends[2];
    struct error e;
    struct stream_writer *w;
    signal(SIGPIPE, SIG_IGN);
    CHECK(pipe(ends) == 0);
    close(ends[0]);
    CHECK_NUMBER(stream_writer_open(&w, ends[1], "test 1", NULL, NULL, &e), ERR_CLOSED);
    close(ends[1]);
}

static void the_same_samples_give_the_same_bytes(void) {
    struct bytes a, b;
    bytes_init(&a, 1 << 20);
    bytes_init(&b, 1 << 20);
    for (int i = 0; i < 2; i++) {
        int fd = two_samples();
        char buffer[65536];
        ssize_t size = read(fd, buffer, sizeof buffer);
        CHECK(size > 0 && bytes_append(i ? &b : &a, buffer, (size_t)size, NULL) == 0);
        close(fd);
    }
    CHECK(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    CHECK(a.size % 512 == 0);
    bytes_close(&a);
    bytes_close(&b);
}

/* ---- Streams one after another ------------------------------------------ */

/* A stream of the samples `keys`, as bytes. */
static void append_stream(struct bytes *out, const char *const *keys) {
    unsigned char buffer[65536];
    struct stream_counts counts = {.failed = 1};
    struct stream_writer *w;
    int fd = scratch();
    CHECK(stream_writer_open(&w, fd, "test 1", NULL, NULL, NULL) == 0);
    for (; *keys; keys++, counts.samples++) {
        put(w, *keys, "{}", NULL);
    }
    CHECK(stream_writer_finish(w, &counts, NULL, NULL) == 0);
    stream_writer_close(w);
    ssize_t size = lseek(fd, 0, SEEK_SET) == 0 ? read(fd, buffer, sizeof buffer) : -1;
    CHECK(size > 0 && bytes_append(out, buffer, (size_t)size, NULL) == 0);
    close(fd);
}

static void append_zeros(struct bytes *out, size_t size) {
    CHECK(bytes_reserve(out, size, NULL) == 0);
    memset(out->data + out->size, 0, size);
    out->size += size;
}

enum { END_MARK = 1024 };

/* Two streams, `zeros` zero bytes in the place of the first one's end mark. */
static void two_streams(struct bytes *out, const char *const *first, const char *const *second,
                        size_t zeros) {
    bytes_init(out, 1 << 20);
    append_stream(out, first);
    out->size -= END_MARK;
    append_zeros(out, zeros);
    append_stream(out, second);
}

/* Reads all; the keys, each with a space after it and those that came before in brackets. */
static int read_all(const struct bytes *in, char keys[200], int64_t *streams, json_t **end,
                    struct error *e) {
    struct stream_reader *r;
    struct stream_sample s;
    int fd = scratch();
    CHECK(file_write(fd, in->data, in->size, NULL, NULL) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    keys[0] = 0;
    int rc = stream_reader_open(&r, fd, e);
    if (rc == 0) {
        for (rc = stream_next(r, &s, e); rc > 0; rc = stream_next(r, &s, e)) {
            size_t used = strlen(keys);
            snprintf(keys + used, 200 - used, rc == STREAM_AGAIN ? "(%s) " : "%s ", s.key);
        }
        *streams = stream_reader_number(r);
        *end = rc == 0 ? json_deep_copy(stream_reader_end(r)) : NULL;
        stream_reader_close(r);
    }
    close(fd);
    return rc;
}

static const char *const ONE[] = {"a/1", "a/2", NULL}, *const TWO[] = {"b/1", NULL};

/* render F5, store F6: `cat a.tar b.tar` gave the samples of a.tar, and no error. */
static void streams_follow_each_other(void) {
    static const size_t ZEROS[] = {END_MARK, 0, 512, 10240, 300 * 1024};
    char keys[200];
    int64_t streams;
    json_t *end;
    for (size_t i = 0; i < sizeof ZEROS / sizeof *ZEROS; i++) {
        struct bytes in;
        struct error e = {0};
        two_streams(&in, ONE, TWO, ZEROS[i]);
        append_zeros(&in, 9000 + 100 * i); /* padding, whole blocks or not */
        CHECK_NUMBER(read_all(&in, keys, &streams, &end, &e), 0);
        CHECK_TEXT(keys, "a/1 a/2 b/1 ");
        CHECK_NUMBER(streams, 2);
        CHECK_NUMBER(json_get_integer(end, "samples", -1), 3);
        CHECK_NUMBER(json_get_integer(end, "failed", -1), 2);
        json_decref(end);
        bytes_close(&in);
    }
}

/* What reading says of one stream and `size` bytes of `tail` after it. */
static int read_with_tail(const void *tail, size_t size, size_t zeros, struct error *e) {
    char keys[200];
    int64_t streams;
    json_t *end;
    struct bytes in;
    bytes_init(&in, 1 << 20);
    append_stream(&in, ONE);
    in.size -= END_MARK;
    append_zeros(&in, zeros);
    CHECK(bytes_append(&in, tail, size, NULL) == 0);
    int rc = read_all(&in, keys, &streams, &end, e);
    CHECK(strncmp(keys, "a/1 a/2 ", 8) == 0);
    json_decref(rc == 0 ? end : NULL);
    bytes_close(&in);
    return rc;
}

/* store F6: and whatever else stood after __end__ was not looked at. */
static void nothing_else_follows_the_end(void) {
    char noise[3000], place[64];
    struct error e;
    struct bytes other;
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (char)(i * 37 + 11);
    }
    for (size_t size = 1; size <= sizeof noise; size += 2999) {
        for (size_t zeros = 0; zeros <= END_MARK; zeros += 512) {
            int rc = read_with_tail(noise, size, zeros, &e);
            snprintf(place, sizeof place, "after __end__, byte %zu: ", 4096 + zeros);
            CHECK(rc == ERR_FORMAT || rc == ERR_TRUNCATED);
            CHECK(strstr(e.text, place) != NULL);
        }
    }
    bytes_init(&other, 1 << 20);
    append_stream(&other, TWO);
    for (size_t size = 100; size < other.size - END_MARK; size += 300) { /* a torn stream */
        CHECK(read_with_tail(other.data, size, END_MARK, &e) < 0);
    }
    char *at = strstr((char *)other.data + 512, "\"version\":1"); /* the content of __stream__ */
    CHECK(at != NULL);
    at[10] = '7';
    CHECK_NUMBER(read_with_tail(other.data, other.size, END_MARK, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "stream 2: stream version 7") != NULL);
    bytes_close(&other);
}

static void a_stream_without_its_end_is_noticed_among_others(void) {
    char keys[200];
    int64_t streams;
    json_t *end;
    struct error e;
    struct bytes in, whole;
    bytes_init(&in, 1 << 20);
    bytes_init(&whole, 1 << 20);
    append_stream(&whole, ONE);
    CHECK(bytes_append(&in, whole.data, whole.size - END_MARK - 1024, NULL) == 0);
    append_stream(&in, TWO);
    CHECK_NUMBER(read_all(&in, keys, &streams, &end, &e), ERR_TRUNCATED);
    CHECK(strstr(e.text, "another stream begins after 2 samples, without __end__") != NULL);
    bytes_close(&in);
    bytes_close(&whole);
}

/* render F5: but the numbers of packs are places, which each stream has for itself. */
static void a_key_that_comes_again_is_told(void) {
    static const char *const first[] = {"a/1", "a/pack%3A000000", "a/2", "a/1", NULL};
    static const char *const second[] = {"a/2", "a/3", "a/pack%3A000000", "a/pack%3Ax", NULL};
    static const char *const third[] = {"a/pack%3Ax", NULL};
    char keys[200];
    int64_t streams;
    json_t *end;
    struct error e;
    struct bytes in;
    two_streams(&in, first, second, END_MARK);
    append_stream(&in, third);
    CHECK_NUMBER(read_all(&in, keys, &streams, &end, &e), 0);
    CHECK_TEXT(keys, "a/1 a/pack%3A000000 a/2 (a/1) (a/2) a/3 a/pack%3A000000 a/pack%3Ax "
                     "(a/pack%3Ax) ");
    CHECK_NUMBER(streams, 3);
    CHECK_NUMBER(json_get_integer(end, "samples", -1), 9);
    json_decref(end);
    bytes_close(&in);
}

static void write_file(const char *path, const char *const *keys) {
    struct bytes out;
    bytes_init(&out, 1 << 20);
    append_stream(&out, keys);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(out.data, 1, out.size, file) == out.size && fclose(file) == 0);
    bytes_close(&out);
}

static void files_are_read_one_after_another(void) {
    char folder[] = "/tmp/stream_test.XXXXXX", one[64], two[64], none[64];
    char *paths[] = {one, two, none};
    struct stream_reader *r;
    struct stream_sample s;
    struct error e = {0};
    CHECK(mkdtemp(folder) != NULL);
    snprintf(one, sizeof one, "%s/one.tar", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    snprintf(none, sizeof none, "%s/none.tar", folder);
    write_file(one, ONE);
    write_file(two, TWO);
    CHECK_NUMBER(stream_reader_open_files(&r, paths, 3, NULL, &e), ERR_IO);
    CHECK(strstr(e.text, "none.tar: ") != NULL);
    CHECK(stream_reader_open_files(&r, paths, 2, NULL, &e) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(stream_next(r, &s, &e), 1);
        CHECK_TEXT(s.key, i < 2 ? ONE[i] : TWO[0]);
        CHECK_TEXT(stream_reader_input(r), i < 2 ? one : two);
    }
    CHECK_NUMBER(stream_next(r, &s, &e), 0);
    stream_reader_close(r);
    CHECK(truncate(two, 2000) == 0);
    CHECK(stream_reader_open_files(&r, paths, 2, NULL, &e) == 0);
    int rc;
    do {
        rc = stream_next(r, &s, &e);
    } while (rc > 0);
    CHECK_NUMBER(rc, ERR_TRUNCATED);
    CHECK(strstr(e.text, "/two: the upstream stage stopped early") != NULL);
    stream_reader_close(r);
    CHECK(stream_recognise(one) && stream_recognise(two) && stream_recognise(none));
    CHECK(stream_recognise("-") && stream_recognise("/dev/null") && !stream_recognise(folder));
    CHECK(unlink(one) == 0 && unlink(two) == 0 && rmdir(folder) == 0);
}

static void a_signal_ends_the_wait_for_input(void) {
    static volatile sig_atomic_t cancel = 1;
    struct stream_reader *r;
    struct error e;
    int ends[2], standard = dup(STDIN_FILENO);
    CHECK(standard >= 0 && pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    CHECK_NUMBER(stream_reader_open_files(&r, NULL, 0, &cancel, &e), ERR_CANCELLED);
    CHECK(dup2(standard, STDIN_FILENO) == STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
    close(standard);
}

static void compressed_streams_are_told(void) {
    struct stream_reader *r;
    struct error e;
    int fd = scratch();
    CHECK(file_write(fd, "\x1F\x8B\x08\0\0\0\0\0", 8, NULL, NULL) == 0 &&
          lseek(fd, 0, SEEK_SET) == 0);
    CHECK_NUMBER(stream_reader_open(&r, fd, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "compressed by gzip; use 'zcat FILE") != NULL);
    close(fd);
}

static void key_sets_hold_what_was_added(void) {
    enum { COUNT = 20000 };
    struct key_set *set;
    char key[32];
    int added = 0, known = 0, strange = 0;
    CHECK(key_set_open(&set, NULL) == 0);
    for (int i = 0; i < 2 * COUNT; i++) { /* each twice */
        snprintf(key, sizeof key, "a/%d", i / 2);
        added += key_set_add(set, key, NULL);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "a/%d", i);
        known += key_set_has(set, key);
        snprintf(key, sizeof key, "b/%d", i);
        strange += key_set_has(set, key);
    }
    CHECK_NUMBER(added, COUNT);
    CHECK_NUMBER(known, COUNT);
    CHECK_NUMBER(strange, 0);
    key_set_close(set);
}

int main(void) {
    RUN(keys_are_plain_and_short);
    RUN(keys_say_their_account_and_what_is_a_pack);
    RUN(what_is_written_is_read);
    RUN(a_cut_at_any_place_is_noticed);
    RUN(hostile_members_are_refused);
    RUN(other_tars_are_told_apart);
    RUN(a_wrong_count_is_noticed);
    RUN(bad_samples_are_not_written);
    RUN(a_reader_that_leaves_is_told_apart);
    RUN(the_same_samples_give_the_same_bytes);
    RUN(streams_follow_each_other);
    RUN(nothing_else_follows_the_end);
    RUN(a_stream_without_its_end_is_noticed_among_others);
    RUN(a_key_that_comes_again_is_told);
    RUN(files_are_read_one_after_another);
    RUN(a_signal_ends_the_wait_for_input);
    RUN(compressed_streams_are_told);
    RUN(key_sets_hold_what_was_added);
    return test_finish();
}
