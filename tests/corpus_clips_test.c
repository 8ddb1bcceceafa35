/* corpus_clips_test.c - captions and scripts of clips, from the stream and from a store. */
#include <fcntl.h>

#include "store/json.h"
#include "store/spans.h"
#include "tests/corpus_folder.h"

static struct corpus_folder folder;

/* ---- The stream ------------------------------------------------------------------------ */

struct clip {
    const char *key, *json, *script;
};

static char *write_stream(const char *name, const struct clip *clips, size_t count) {
    struct stream_writer *w = NULL;
    struct bytes out;
    char *path = path_in(&folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(stream_writer_open(&w, fd, "a test", NULL, NULL, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        struct stream_member members[2] = {{"json", clips[i].json, strlen(clips[i].json)},
                                           {"script.json", clips[i].script,
                                            clips[i].script != NULL ? strlen(clips[i].script) : 0}};
        bytes_clear(&out);
        CHECK_NUMBER(
            stream_encode(&out, clips[i].key, members, clips[i].script != NULL ? 2 : 1, NULL), 0);
        CHECK_NUMBER(stream_write(w, out.data, out.size, NULL), 0);
    }
    const struct stream_counts counts = {.samples = (int64_t)count};
    CHECK_NUMBER(stream_writer_finish(w, &counts, NULL, NULL), 0);
    stream_writer_close(w);
    bytes_close(&out);
    close(fd);
    return path;
}

static const struct clip CLIPS[] = {
    {"banana/1",
     "{\"id\": \"1\", \"account\": \"Banana & Co\", \"created\": 1700000001, \"title\": \"cut\", "
     "\"description\": \" whole\\n \"}",
     "[{\"text\": \"Two a\\nday. \"}, {\"text\": \"\"}, {\"text\": 3}, {\"text\": \"Or more.\"}]"},
    {"banana/2",
     "{\"id\": \"2\", \"account\": \"Banana & Co\", \"created\": 1700000002, \"title\": \"only\", "
     "\"description\": \"\"}",
     NULL},
    {"kiwi/1", "{\"id\": \"1\", \"account\": \"kiwi\"}", "[]"},
    {"kiwi/2", "{\"id\": \"2\", \"account\": \"kiwi\"}",
     "[{\"text\": \"\xE9\xA6\x99\xE8\x95\x89\"}, {\"text\": \"\xE3\x81\xAF\"}, {\"text\": \"x\"}]"},
    {"kiwi/pack%3A000000", "{\"id\": \"pack:000000\", \"account\": \"kiwi\", \"title\": \"no\"}",
     NULL},
};
enum { CLIP_COUNT = sizeof CLIPS / sizeof *CLIPS };

static void clips_give_captions_and_scripts(void) {
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = corpus_of(&o, write_stream("clips.tar", CLIPS, CLIP_COUNT));
    check_sequences(c, CORPUS_TRAINING,
                    "Account: Banana & Co/Caption:[ only$]\n"
                    "Account: Banana & Co/Caption:[ whole$]\n"
                    "Account: Banana & Co/Script:[ Two a day. Or more.$]\n"
                    "Account: kiwi/Script:[ \xE9\xA6\x99\xE8\x95\x89\xE3\x81\xAF x$]\n");
    struct corpus_counts n = corpus_counts(c, CORPUS_TRAINING);
    CHECK(n.documents == 4 && n.accounts == 2 && n.empty == 3);
    corpus_close(c);
}

static void what_came_from_a_clip_is_not_split(void) {
    struct corpus_options o = corpus_options_of(&folder);
    static const struct clip TWO[] = {
        {"kiwi/new", "{\"account\": \"kiwi\", \"created\": 1700000009, \"title\": \"new\"}",
         "[{\"text\": \"spoken\"}]"},
        {"kiwi/old", "{\"account\": \"kiwi\", \"created\": 1600000009, \"title\": \"old\"}",
         "[{\"text\": \"said\"}]"}};
    o.held_out = 0.3;
    struct corpus *c = corpus_of(&o, write_stream("two.tar", TWO, 2));
    check_sequences(c, CORPUS_HELD_OUT,
                    "Account: kiwi/Caption:[ new$]\nAccount: kiwi/Script:[ spoken$]\n");
    check_sequences(c, CORPUS_TRAINING,
                    "Account: kiwi/Caption:[ old$]\nAccount: kiwi/Script:[ said$]\n");
    corpus_close(c);
}

static void a_clip_is_taken_once(void) {
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = NULL;
    char *paths[] = {write_stream("clips.tar", CLIPS, CLIP_COUNT),
                     write_stream("again.tar", CLIPS + 1, 2)};
    CHECK_NUMBER(corpus_open(&c, &o, paths, 2, NULL, NULL), 0);
    CHECK_NUMBER(corpus_counts(c, CORPUS_TRAINING).documents, 4);
    corpus_close(c);
}

static void a_stream_that_ends_early_is_refused(void) {
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = NULL;
    struct error e = {0};
    char *path = write_stream("cut.tar", CLIPS, CLIP_COUNT);
    CHECK_NUMBER(truncate(path, 2048), 0);
    CHECK_NUMBER(corpus_open(&c, &o, &path, 1, NULL, &e), ERR_TRUNCATED);
    CHECK(strstr(e.text, "cut.tar") != NULL);
    static const struct clip BAD = {"kiwi/1", "{\"account\": \"kiwi\"}", "[{\"text\": \"a"};
    path = write_stream("bad.tar", &BAD, 1);
    CHECK_NUMBER(corpus_open(&c, &o, &path, 1, NULL, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "kiwi/1.script.json") != NULL);
}

/* ---- A store --------------------------------------------------------------------------- */

static void put(struct store *s, const char *key, const char *json, const char *text,
                const char *record) {
    struct bytes cells;
    struct error e = {0};
    bytes_init(&cells, 1 << 20);
    json_t *root = record != NULL ? json_loads(record, 0, NULL) : NULL;
    if (record != NULL && !CHECK_NUMBER(spans_pack(&cells, root, &e), 1)) {
        printf("# %s\n", e.text);
    }
    const struct store_sample sample = {.key = key,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .text = text,
                                        .text_size = strlen(text),
                                        .cells = bytes_text(&cells),
                                        .cells_size = cells.size,
                                        .input = "i",
                                        .options = ""};
    CHECK_NUMBER(store_put(s, &sample, NULL), 0);
    json_decref(root);
    bytes_close(&cells);
}

/* What `occ render` would write of a page: its cells, and where the text of each ends. */
#define RECORD(samples, sources, cells, ends)                                                      \
    "{\"samples\": [" samples "], \"sources\": [" sources "], \"pages\": [{\"cells\": [" cells     \
    "], \"ends\": [" ends "]}]}"
#define SOURCE(sample, member, pointer)                                                            \
    "{\"sample\": " sample ", \"member\": \"" member "\", \"pointer\": \"" pointer "\"}"

/* Two samples on two packs; the script of the second goes on on the other pack, whose key comes
 * first. People write the signs of parts, too. */
static void fill_store(struct store *s) {
    put(s, "kiwi/1",
        "{\"account\": \"kiwi\", \"created\": 1700000001, \"description\": \"o\xE2\x96\xA5"
        "e\"}",
        "", NULL);
    put(s, "kiwi/2", "{\"account\": \"kiwi\", \"created\": 1700000002, \"title\": \"two\"}", "",
        NULL);
    put(s, "kiwi/3", "{\"account\": \"kiwi\", \"created\": 1700000003, \"title\": \"three\"}", "",
        NULL);
    put(s, "kiwi/pack%3Ab", "{\"samples\": [\"kiwi/1\", \"kiwi/2\"]}",
        "\xE2\x96\xA4o\xE2\x96\xA5"
        "e\xE2\x96\xA5Say \xE2\x96\xA5. Do\xE2\x96\xA7.\xE2\x96\xA7who: what \xE2\x96\xA5\n"
        "\xE2\x96\xA4two\xE2\x96\xA5"
        "Begin",
        RECORD(
            "\"kiwi/1\", \"kiwi/2\"",
            SOURCE("0", "json", "/description") "," SOURCE("0", "script.json", "/0/text") "," SOURCE(
                "0", "script.json",
                "/1/text") "," SOURCE("0", "comments.json",
                                      "/0/text") "," SOURCE("1", "json",
                                                            "/title") "," SOURCE("1", "script.json",
                                                                                 "/0/text"),
            "[[\"description\", 0, 0, 5], [\"script\", 1, 0, 2]],"
            "[[\"script\", 1, 2, 8], [\"script\", 2, 0, 6], [\"comments\", 3, 0, 4]],"
            "[[\"comments\", 3, 4, 14]], [],"
            "[[\"header\", 4, 0, 3], [\"script\", 5, 0, 5]]",
            "13, 33, 43, 43, 57"));
    put(s, "kiwi/pack%3Aa", "{\"samples\": [\"kiwi/2\", \"kiwi/3\"]}",
        " and end.\xE2\x96\xA6#tag\xE2\x96\xA4three",
        RECORD("\"kiwi/2\", \"kiwi/3\"",
               SOURCE("0", "script.json", "/0/text") "," SOURCE(
                   "0", "json", "/hashtags") "," SOURCE("1", "json", "/title"),
               "[[\"script\", 0, 5, 14], [\"hashtags\", 1, 0, 4]], [[\"header\", 2, 0, 5]]",
               "16, 24"));
    /* In rows: what is a script cannot be known. */
    put(s, "pear/1", "{\"account\": \"pear\", \"title\": \"rows\"}", "rows\nspoken\n", NULL);
    CHECK_NUMBER(store_commit(s, NULL), 0);
}

static void scripts_are_found_on_the_pages_of_a_store(void) {
    struct corpus_options o = corpus_options_of(&folder);
    char *path = path_in(&folder, "store");
    struct store *s = store_new(path);
    fill_store(s);
    store_close(s);
    struct corpus *c = corpus_of(&o, path);
    check_sequences(c, CORPUS_TRAINING,
                    "Account: kiwi/Caption:[ o\xE2\x96\xA5"
                    "e$]\n"
                    "Account: kiwi/Caption:[ three$]\n"
                    "Account: kiwi/Caption:[ two$]\n"
                    "Account: kiwi/Script:[ Begin and end.$]\n"
                    "Account: kiwi/Script:[ Say \xE2\x96\xA5. Do\xE2\x96\xA7.$]\n"
                    "Account: pear/Caption:[ rows$]\n");
    CHECK_NUMBER(corpus_counts(c, CORPUS_TRAINING).empty, 0);
    corpus_close(c);
}

static void what_was_forgotten_is_not_there(void) {
    struct corpus_options o = corpus_options_of(&folder);
    char *path = path_in(&folder, "store");
    struct store *s = NULL;
    int64_t bytes = 0;
    CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, NULL), 0);
    CHECK_NUMBER(store_forget_text(s, "kiwi/1", &bytes, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    struct corpus *c = corpus_of(&o, path);
    char *got = sequences_of(c, CORPUS_TRAINING);
    CHECK(strstr(got, "o\xE2\x96\xA5") == NULL && strstr(got, "Say") == NULL &&
          strstr(got, "two") != NULL);
    free(got);
    corpus_close(c);
}

int main(void) {
    corpus_folder_new(&folder);
    RUN(clips_give_captions_and_scripts);
    RUN(what_came_from_a_clip_is_not_split);
    RUN(a_clip_is_taken_once);
    RUN(a_stream_that_ends_early_is_refused);
    RUN(scripts_are_found_on_the_pages_of_a_store);
    RUN(what_was_forgotten_is_not_there);
    corpus_folder_end(&folder);
    return test_finish();
}
