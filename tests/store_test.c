/* store_test.c - errors, memory, bytes, UTF-8, JSON, table, files: what the rest relies on. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/arena.h"
#include "store/array.h"
#include "store/buffer.h"
#include "store/cpu_count.h"
#include "store/file.h"
#include "store/json.h"
#include "store/table.h"
#include "store/utf8.h"
#include "tests/test.h"

/* ---- error ------------------------------------------------------------- */

static void error_context_goes_in_front(void) {
    struct error e;
    CHECK_NUMBER(error_set(&e, ERR_FORMAT, "no header"), ERR_FORMAT);
    CHECK_NUMBER(error_context(&e, "page %d", 7), ERR_FORMAT);
    CHECK_TEXT(e.text, "page 7: no header");
}

static void a_full_disk_is_called_so(void) {
    struct error e;
    CHECK_NUMBER(error_errno(&e, ENOSPC, "x.tar"), ERR_NO_SPACE);
    CHECK_TEXT(e.text, "x.tar: disk full");
}

static void memory_says_for_what(void) {
    struct error e;
    CHECK_NUMBER(error_memory(&e, "pages"), ERR_MEMORY);
    CHECK_TEXT(e.text, "out of memory for pages");
    CHECK_NUMBER(error_memory(&e, NULL), ERR_MEMORY);
    CHECK_TEXT(e.text, "out of memory");
    CHECK_NUMBER(error_memory(NULL, "pages"), ERR_MEMORY);
    CHECK_NUMBER(error_set(NULL, ERR_LIMIT, "%d", 1), ERR_LIMIT);
}

static void long_context_is_cut_not_overrun(void) {
    struct error e;
    char name[600];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    error_set(&e, ERR_IO, "%s", name);
    CHECK_NUMBER(strlen(e.text), sizeof e.text - 1);
    error_context(&e, "%s", name);
    CHECK_NUMBER(strlen(e.text), sizeof e.text - 1);
}

/* ---- arena ------------------------------------------------------------- */

static void arena_gives_zeroed_aligned_memory(void) {
    struct arena *a;
    CHECK(arena_open(&a, 1 << 20, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        unsigned char *p = arena_alloc(a, 33, 1);
        CHECK(p && (uintptr_t)p % 16 == 0 && p[0] == 0 && p[32] == 0);
        memset(p, 0xFF, 33);
    }
    arena_reset(a);
    unsigned char *again = arena_alloc(a, 33, 1);
    CHECK(again && again[0] == 0 && again[32] == 0);
    arena_close(a);
}

static void arena_rewind_gives_memory_back(void) {
    struct arena *a;
    CHECK(arena_open(&a, 256 << 10, NULL) == 0);
    char *kept = arena_text(a, "kept", 4);
    for (int round = 0; round < 1000; round++) { /* 100 MB through a limit of 256 KiB */
        struct arena_mark mark = arena_mark(a);
        CHECK(arena_alloc(a, 100 << 10, 1) != NULL);
        arena_rewind(a, mark);
    }
    CHECK_TEXT(kept, "kept");
    arena_close(a);
}

static void arena_refuses_limit_and_overflow(void) {
    struct arena *a;
    CHECK(arena_open(&a, 1 << 20, NULL) == 0);
    CHECK(arena_alloc(a, 2 << 20, 1) == NULL);
    CHECK(arena_alloc(a, SIZE_MAX / 2, 4) == NULL);
    CHECK(arena_alloc(a, SIZE_MAX, 1) == NULL);
    CHECK(arena_alloc(a, 1, 1) != NULL);
    arena_close(a);
}

/* ---- bytes ------------------------------------------------------------- */

static void arrays_grow_and_keep_what_they_hold(void) {
    struct error e;
    int *items = NULL;
    size_t capacity = 0;
    bool same = true;
    for (int i = 0; i < 1000; i++) {
        int *grown = array_grow(items, &capacity, (size_t)i + 1, sizeof *items, &e);
        CHECK(grown != NULL && capacity > (size_t)i && capacity <= 2048);
        items = grown;
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++) {
        same = same && items[i] == i;
    }
    CHECK(same);
    capacity = 1000;
    CHECK(array_grow(items, &capacity, SIZE_MAX / 8, 16, &e) == NULL); /* the product overflows */
    CHECK(array_grow(items, &capacity, SIZE_MAX, 1, &e) == NULL);
    CHECK_NUMBER(e.code, ERR_MEMORY);
    CHECK_TEXT(e.text, "out of memory");
    CHECK(capacity == 1000 && items[999] == 999);
    free(items);
}

static void buffers_grow_to_the_largest(void) {
    struct error e;
    struct buffer b = {.data = NULL};
    CHECK_NUMBER(buffer_reserve(&b, 0, 4, &e), 0);
    CHECK(b.data != NULL);
    CHECK_NUMBER(buffer_reserve(&b, 1000, sizeof(float), &e), 0);
    const void *large = b.data;
    CHECK(b.size >= 4000 && (uintptr_t)large % BUFFER_ALIGNMENT == 0);
    CHECK_NUMBER(buffer_reserve(&b, 10, sizeof(float), &e), 0);
    CHECK(b.data == large && b.size >= 4000);
    CHECK_NUMBER(buffer_reserve(&b, SIZE_MAX / 4, 8, &e), ERR_MEMORY);
    CHECK(b.data == NULL && b.size == 0);
    buffer_free(&b);
}

static void cores_are_those_that_this_process_may_use(void) {
    cpu_set_t all, one;
    CHECK_NUMBER(sched_getaffinity(0, sizeof all, &all), 0);
    CHECK_NUMBER(cpu_count(), CPU_COUNT(&all));
    int core = 0;
    while (!CPU_ISSET(core, &all)) {
        core++;
    }
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    CHECK_NUMBER(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_NUMBER(cpu_count(), 1);
    CHECK_NUMBER(sched_setaffinity(0, sizeof all, &all), 0);
}

static void bytes_stop_at_their_limit(void) {
    struct bytes b;
    struct error e;
    bytes_init(&b, 10);
    CHECK_TEXT(bytes_text(&b), "");
    CHECK(bytes_append_text(&b, "1234567890", &e) == 0);
    CHECK_NUMBER(bytes_append(&b, "x", 1, &e), ERR_LIMIT);
    CHECK_TEXT(bytes_text(&b), "1234567890");
    bytes_clear(&b);
    CHECK(bytes_printf(&b, &e, "%d-%s", 42, "ab") == 0);
    CHECK_TEXT(bytes_text(&b), "42-ab");
    bytes_close(&b);
}

/* ---- UTF-8 ------------------------------------------------------------- */

static void repaired(const char *input, size_t size, const char *want, size_t want_count) {
    struct bytes out;
    size_t count = 0;
    bytes_init(&out, 1000);
    CHECK(utf8_repair(&out, input, size, &count, NULL) == 0);
    CHECK_TEXT(bytes_text(&out), want);
    CHECK_NUMBER(count, want_count);
    CHECK(utf8_is_valid(bytes_text(&out), out.size));
    bytes_close(&out);
}

static void utf8_follows_the_unicode_table(void) {
#define REPLACED "\xEF\xBF\xBD"
    repaired("plain ASCII, long enough for words", 34, "plain ASCII, long enough for words", 0);
    repaired("\xF0\x9F\x8D\x8C", 4, "\xF0\x9F\x8D\x8C", 0);
    repaired("\xED\xA0\x80", 3, REPLACED REPLACED REPLACED, 3);              /* a surrogate */
    repaired("\xC0\xAF", 2, REPLACED REPLACED, 2);                           /* overlong '/' */
    repaired("\xF4\x90\x80\x80", 4, REPLACED REPLACED REPLACED REPLACED, 4); /* > U+10FFFF */
    /* Unicode 15, section 3.9, table 3-8: one mark for each maximal subpart */
    repaired("a\xF1\x80\x80\xE1\x80\xC2"
             "b\x80"
             "c\x80\xBF"
             "d",
             13, "a" REPLACED REPLACED REPLACED "b" REPLACED "c" REPLACED REPLACED "d", 6);
    repaired("cut \xE2\x82", 6, "cut " REPLACED, 1);
}

static void utf8_encodes_what_it_decodes(void) {
    bool same = true;
    for (uint32_t c = 1; c <= 0x10FFFF; c += 7) {
        bool surrogate = c >= 0xD800 && c <= 0xDFFF, valid;
        char text[4];
        uint32_t back;
        size_t size = utf8_encode(c, text);
        same &= utf8_decode(text, size, &back, &valid) == size && valid &&
                back == (surrogate ? UTF8_REPLACEMENT : c);
    }
    CHECK(same);
}

static void utf8_floor_never_splits(void) {
    const char *text = "ab\xE2\x82\xAC"; /* "ab" and the euro sign */
    CHECK_NUMBER(utf8_floor(text, 5), 5);
    CHECK_NUMBER(utf8_floor(text, 4), 2);
    CHECK_NUMBER(utf8_floor(text, 3), 2);
    CHECK_NUMBER(utf8_floor(text, 2), 2);
}

/* ---- JSON -------------------------------------------------------------- */

static void json_mends(const char *input, const char *want, size_t want_count) {
    struct error e = {0};
    struct bytes out;
    size_t count = 0;
    bytes_init(&out, 1000);
    json_t *tree = json_read(input, strlen(input), &count, &e);
    CHECK(tree != NULL);
    CHECK(tree && json_append(&out, tree, &e) == 0);
    CHECK_TEXT(bytes_text(&out), want);
    CHECK_NUMBER(count, want_count);
    json_decref(tree);
    bytes_close(&out);
}

static void json_reads_what_tools_really_write(void) {
    json_mends("\xEF\xBB\xBF{\"a\": 1}", "{\"a\":1}", 0);
    json_mends("[7139980461132074283]", "[7139980461132074283]", 0);
    json_mends("[-99999999999999999999999]", "[\"-99999999999999999999999\"]", 1);
    json_mends("[123456789012345678, 1.5, 1e3, -0]", "[123456789012345678,1.5,1000.0,0]", 0);
    json_mends("[\"cut \\ud83d\"]", "[\"cut \xEF\xBF\xBD\"]", 1);
    json_mends("[\"\\uD83C\\uDF4C\"]", "[\"\xF0\x9F\x8D\x8C\"]", 0);
    json_mends("[\"a\\u0000b\"]",
               "[\"a\xEF\xBF\xBD"
               "b\"]",
               1);
    json_mends("[\"bad \xFF byte\"]", "[\"bad \xEF\xBF\xBD byte\"]", 1);
    json_mends("[\"raw\ttab\"]", "[\"raw\\ttab\"]", 1);
    json_mends("{\"12345678901234567890\": \"\\\\\"}", "{\"12345678901234567890\":\"\\\\\"}", 0);
}

/* ingest 19 */
static void json_numbers_that_are_none_are_null(void) {
    json_mends("{\"tbr\": NaN, \"x\": [Infinity,-Infinity]}", "{\"tbr\":null,\"x\":[null,null]}",
               3);
    json_mends("[\"NaN\", \"a \\\" NaN, -Infinity\", NaN]",
               "[\"NaN\",\"a \\\" NaN, -Infinity\",null]", 1);
    json_mends("{\"NaN\": -1.5e2, \"Infinity\": NaN}", "{\"NaN\":-150.0,\"Infinity\":null}", 1);
    json_mends("[1e999, -1e999, 1e-999, 2.5]", "[null,null,0.0,2.5]", 2);
    json_mends("NaN", "null", 1);
    const char *const refused[] = {"[NaNcy]", "[Inf]", "[--Infinity]", "[N", "I", "[-", "[1NaN]"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(json_read(refused[i], strlen(refused[i]), NULL, NULL) == NULL);
    }
}

/* The tree of a file that holds `text` in UTF-16. */
static json_t *json_of_utf16(const char *path, const char *text, bool big, bool mark,
                             size_t *repaired) {
    struct output_file out;
    struct bytes content;
    bytes_init(&content, 1000);
    const unsigned char order[2] = {big ? 0xFE : 0xFF, big ? 0xFF : 0xFE};
    CHECK(!mark || bytes_append(&content, order, 2, NULL) == 0);
    for (size_t at = 0, size = strlen(text); at < size;) {
        uint32_t c;
        bool valid;
        at += utf8_decode(text + at, size - at, &c, &valid);
        uint32_t units[2] = {c, 0};
        if (c > 0xFFFF) {
            units[0] = 0xD800 + ((c - 0x10000) >> 10);
            units[1] = 0xDC00 + (c & 0x3FF);
        }
        for (int i = 0; i < 1 + (c > 0xFFFF); i++) {
            unsigned char pair[2] = {(unsigned char)(units[i] >> 8), (unsigned char)units[i]};
            unsigned char turned[2] = {pair[1], pair[0]};
            CHECK(bytes_append(&content, big ? pair : turned, 2, NULL) == 0);
        }
    }
    CHECK(output_file_open(&out, path, NULL) == 0);
    CHECK(file_write(out.fd, content.data, content.size, NULL, NULL) == 0);
    CHECK(output_file_commit(&out, NULL) == 0);
    bytes_close(&content);
    return json_read_file(path, 1000, repaired, NULL);
}

/* ingest 19 */
static void json_files_may_be_utf16(void) {
    char folder[] = "/tmp/occ-store-test.XXXXXX", path[64];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/a.info.json", folder);
    for (int i = 0; i < 4; i++) {
        size_t repaired = 0;
        json_t *tree = json_of_utf16(path, "{\"t\": \"d\u00E9j\u00E0 \U0001F34C\", \"x\": NaN}",
                                     i & 1, i & 2, &repaired);
        CHECK_TEXT(json_get_text(tree, "t"), "d\u00E9j\u00E0 \U0001F34C");
        CHECK(json_is_null(json_object_get(tree, "x")));
        CHECK_NUMBER(repaired, 1);
        json_decref(tree);
    }
    CHECK(unlink(path) == 0);
    snprintf(path, sizeof path, "%s/a.jsonl", folder);
    json_t *lines = json_of_utf16(path, "{\"a\":1}\r\n{\"a\":2}\r\n", false, true, NULL);
    CHECK_NUMBER(json_array_size(lines), 2);
    json_decref(lines);
    CHECK(json_read_file(path, 10, NULL, NULL) == NULL); /* larger than the limit */
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

static void json_says_where_it_is_wrong(void) {
    struct error e = {0};
    const char *text = "{\n  \"a\": ]\n}";
    CHECK(json_read(text, strlen(text), NULL, &e) == NULL);
    CHECK_NUMBER(e.code, ERR_FORMAT);
    CHECK(strstr(e.text, "line 2") != NULL);
    CHECK(json_read("", 0, NULL, &e) == NULL);
}

static void json_ids_keep_their_digits(void) {
    struct arena *a;
    const char *text = "{\"n\": 42, \"big\": 7139980461132074283, \"s\": \"007\", \"e\": \"\"}";
    CHECK(arena_open(&a, 1 << 20, NULL) == 0);
    json_t *tree = json_read(text, strlen(text), NULL, NULL);
    CHECK_TEXT(json_get_id(tree, "n", a), "42");
    CHECK_TEXT(json_get_id(tree, "big", a), "7139980461132074283");
    CHECK_TEXT(json_get_id(tree, "s", a), "007");
    CHECK(json_get_id(tree, "e", a) == NULL);
    CHECK_NUMBER(json_get_integer(tree, "big", -1), 7139980461132074283);
    CHECK_NUMBER(json_get_integer(tree, "s", -1), 7);
    CHECK_NUMBER(json_get_integer(tree, "missing", -1), -1);
    CHECK_NUMBER(json_get_integer(NULL, "n", -1), -1);
    json_decref(tree);
    arena_close(a);
}

static void json_lines_survive_a_bad_one(void) {
    const char *text = "{\"a\":1}\nnot json\n\n  \n{\"a\":2}";
    size_t bad = 0;
    json_t *list = json_read_lines(text, strlen(text), &bad, NULL);
    CHECK_NUMBER(json_array_size(list), 2);
    CHECK_NUMBER(bad, 1);
    json_decref(list);
}

/* ---- table ------------------------------------------------------------- */

static void table_finds_what_was_added(void) {
    struct table *t, *u;
    char text[32];
    CHECK(table_open(&t, NULL) == 0 && table_open(&u, NULL) == 0);
    for (size_t i = 0; i < 10000; i++) {
        snprintf(text, sizeof text, "key %zu", i);
        CHECK(table_add(t, text, i, NULL, NULL) == 1);
        snprintf(text, sizeof text, "key %zu", 9999 - i);
        CHECK(table_add(u, text, 0, NULL, NULL) == 1);
    }
    size_t value = 0;
    CHECK(table_add(t, "key 77", 5, &value, NULL) == 0);
    CHECK_NUMBER(value, 77);
    CHECK(table_find(t, "key 9999", &value));
    CHECK_NUMBER(value, 9999);
    CHECK(!table_find(t, "key 10000", &value));
    CHECK_NUMBER(table_count(t), 10000);
    CHECK(table_fingerprint(t) == table_fingerprint(u)); /* same texts, other order */
    CHECK(table_add(u, "one more", 0, NULL, NULL) == 1);
    CHECK(table_fingerprint(t) != table_fingerprint(u));
    table_close(t);
    table_close(u);
}

/* ---- files ------------------------------------------------------------- */

static void scratch_path(char path[256], const char *name) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, 256, "%s/occ-store-test-%d-%s", folder ? folder : "/tmp", (int)getpid(), name);
}

static void output_file_appears_when_it_is_complete(void) {
    char path[256];
    struct output_file o;
    struct bytes content;
    bytes_init(&content, 100);
    scratch_path(path, "out");
    CHECK(output_file_open(&o, path, NULL) == 0);
    CHECK(file_write(o.fd, "hello", 5, NULL, NULL) == 0);
    CHECK(access(path, F_OK) != 0);
    CHECK(output_file_commit(&o, NULL) == 0);
    CHECK(file_read(path, &content, NULL) == 0);
    CHECK_TEXT(bytes_text(&content), "hello");
    CHECK(output_file_open(&o, path, NULL) == 0);
    CHECK(file_write(o.fd, "half", 4, NULL, NULL) == 0);
    output_file_discard(&o); /* the old content stays */
    bytes_clear(&content);
    CHECK(file_read(path, &content, NULL) == 0);
    CHECK_TEXT(bytes_text(&content), "hello");
    unlink(path);
    bytes_close(&content);
}

static void reading_is_limited_and_never_blocks(void) {
    char path[256], fifo[256];
    struct error e;
    struct bytes content;
    scratch_path(path, "five");
    scratch_path(fifo, "fifo");
    FILE *file = fopen(path, "w");
    CHECK(file && fputs("12345", file) >= 0 && fclose(file) == 0);
    bytes_init(&content, 5);
    CHECK(file_read(path, &content, &e) == 0); /* exactly full is no error */
    bytes_close(&content);
    bytes_init(&content, 4);
    CHECK_NUMBER(file_read(path, &content, &e), ERR_LIMIT);
    CHECK(mkfifo(fifo, 0600) == 0);
    CHECK_NUMBER(file_read(fifo, &content, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "is a FIFO") != NULL);
    CHECK_NUMBER(file_read("/", &content, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "is a folder") != NULL);
    CHECK_NUMBER(file_read("/nowhere/at/all", &content, &e), ERR_IO);
    unlink(fifo);
    unlink(path);
    bytes_close(&content);
}

static void writing_stops_when_cancelled(void) {
    volatile sig_atomic_t cancel = 1;
    struct error e;
    int fd = open("/dev/null", O_WRONLY);
    CHECK_NUMBER(file_write(fd, "x", 1, &cancel, &e), ERR_CANCELLED);
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    CHECK_NUMBER(file_write(fd, "x", 1, NULL, &e), ERR_NO_SPACE);
    close(fd);
}

int main(void) {
    RUN(error_context_goes_in_front);
    RUN(a_full_disk_is_called_so);
    RUN(memory_says_for_what);
    RUN(long_context_is_cut_not_overrun);
    RUN(arena_gives_zeroed_aligned_memory);
    RUN(arena_rewind_gives_memory_back);
    RUN(arena_refuses_limit_and_overflow);
    RUN(arrays_grow_and_keep_what_they_hold);
    RUN(buffers_grow_to_the_largest);
    RUN(cores_are_those_that_this_process_may_use);
    RUN(bytes_stop_at_their_limit);
    RUN(utf8_follows_the_unicode_table);
    RUN(utf8_encodes_what_it_decodes);
    RUN(utf8_floor_never_splits);
    RUN(json_reads_what_tools_really_write);
    RUN(json_numbers_that_are_none_are_null);
    RUN(json_files_may_be_utf16);
    RUN(json_says_where_it_is_wrong);
    RUN(json_ids_keep_their_digits);
    RUN(json_lines_survive_a_bad_one);
    RUN(table_finds_what_was_added);
    RUN(output_file_appears_when_it_is_complete);
    RUN(reading_is_limited_and_never_blocks);
    RUN(writing_stops_when_cancelled);
    return test_finish();
}
