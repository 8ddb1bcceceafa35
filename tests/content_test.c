/* content_test.c - what of a sample goes onto pages, against texts written by hand. See
 * pager_stub.h for how they are to be read. */
#include "render/content/content.h"
#include "tests/pager_stub.h"
#include "tests/test.h"

enum { MEMBERS = 16, PICTURE_BYTES = 1 << 16 };

/* A sample in the making, and what became of it. */
struct trial {
    struct stream_member members[MEMBERS];
    struct content_options options;
    size_t count;
    int fail_at, picture_width, rc;
    char *log, *warnings; /* owned */
    size_t spans, sources;
};

static void add(struct trial *t, const char *suffix, const char *text) {
    t->members[t->count++] = (struct stream_member){suffix, text, strlen(text)};
}

static void run_trial(struct trial *t, const char *parts) {
    struct stream_sample sample = {"banana/1", t->members, t->count};
    struct page_sources sources = {0};
    struct pager pager;
    struct error e = {0};
    json_t *warnings = json_array();
    free(t->log);
    free(t->warnings);
    if (!warnings || arena_open(&sources.arena, (size_t)1 << 30, NULL) < 0) {
        abort();
    }
    CHECK_NUMBER(content_parse_parts(&t->options, parts, &e), 0);
    stub_open(&pager, &sample, &sources);
    pager.fail_at = t->fail_at;
    pager.picture_width = t->picture_width ? t->picture_width : pager.picture_width;
    t->rc = content_layout(&pager, &sample, &t->options, &sources, warnings, &e);
    CHECK_NUMBER(e.code, t->rc);
    CHECK_NUMBER(pager.broken, 0);
    t->log = strdup(bytes_text(&pager.log));
    t->warnings = json_dumps(warnings, JSON_COMPACT);
    t->spans = pager.spans;
    t->sources = sources.count;
    stub_close(&pager);
    arena_close(sources.arena);
    json_decref(warnings);
}

static void end_trial(struct trial *t) {
    free(t->log);
    free(t->warnings);
    *t = (struct trial){0};
}

/* One member, one part: what goes to the pager after the language. */
static void expect(const char *suffix, const char *json, const char *part, int marks,
                   const char *want) {
    struct trial t = {.options = {.marks = marks}};
    if (strcmp(suffix, "json") != 0) {
        add(&t, "json", "{}");
    }
    add(&t, suffix, json);
    run_trial(&t, part);
    CHECK_NUMBER(t.rc, 0);
    const char *text = t.log ? strchr(t.log, '\n') : NULL;
    if (!CHECK_TEXT(text ? text + 1 : NULL, want)) {
        printf("# of %s\n", json);
    }
    CHECK_TEXT(t.warnings, "[]");
    end_trial(&t);
}

/* ---- Header, description, hashtags -------------------------------------------- */

static void header_has_what_is_known(void) {
    static const char *const cases[][2] = {
        {"{\"account\": \"banana\", \"created\": 1690000000, \"counts\": {\"views\": 1204553,"
         " \"likes\": 34999, \"comments\": 120, \"shares\": 5}}",
         "header|@{banana} · 2023-07-22 · 1.2M views · 34K likes · 120 comments\n"},
        {"{\"account\": \"@b\", \"created\": null, \"counts\": {\"views\": 1, \"likes\": 0}}",
         "header|{@b} · 1 view · 0 likes\n"},
        {"{\"created\": 0}", "header|1970-01-01\n"},
        {"{\"created\": \"1709251199\"}", "header|2024-02-29\n"},
        {"{\"created\": 253402300799}", "header|9999-12-31\n"},
        {"{\"created\": 253402300800, \"counts\": []}", ""},
        {"{\"created\": -1, \"account\": \"\", \"counts\": {\"views\": -3}}", ""},
        {"{\"account\": 7, \"counts\": {\"comments\": 1}}", "header|1 comment\n"},
        {"{\"account\": \"a\\nb\"}", "header|@{a} {b}\n"},
        {"{}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect("json", cases[i][0], "header", MARKS_NONE, cases[i][1]);
    }
}

static void numbers_are_short(void) {
    static const char *const cases[][2] = {
        {"999", "999"},         {"1000", "1K"},
        {"1099", "1K"},         {"1100", "1.1K"},
        {"9999", "9.9K"},       {"10000", "10K"},
        {"999999", "999K"},     {"1000000", "1M"},
        {"8900000000", "8.9B"}, {"9223372036854775807", "9223372T"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[100], want[100];
        snprintf(json, sizeof json, "{\"counts\": {\"views\": %s}}", cases[i][0]);
        snprintf(want, sizeof want, "header|%s views\n", cases[i][1]);
        expect("json", json, "header", MARKS_NONE, want);
    }
}

static void title_is_left_out_when_it_repeats(void) {
    static const char *const cases[][3] = {
        {"A banana", "A banana", ""},
        {"A bana...", "A banana peels", ""},
        {"A bana…", "A banana peels", ""},
        {"A banana ...", "A  banana\npeels", ""},
        {" A  banana", "A banana", ""},
        {"A ban", "A banana", ""},
        {"...", "A banana", ""},
        {"Abanana", "A banana", "description|{Abanana}\n"},
        {"A pear", "A banana", "description|{A pear}\n"},
        {"A banana peels", "A banana", "description|{A banana peels}\n"},
        {"a banana", "A banana", "description|{a banana}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[200];
        snprintf(want, sizeof want, "%sdescription|{%s}\n", cases[i][2], cases[i][1]);
        json_t *about = json_pack("{s:s, s:s}", "title", cases[i][0], "description", cases[i][1]);
        char *json = json_dumps(about, 0);
        expect("json", json, "description", MARKS_NONE, want);
        free(json);
        json_decref(about);
    }
    expect("json", "{\"title\": \"x\", \"description\": null}", "description", 0,
           "description|{x}\n");
    expect("json", "{\"title\": [], \"description\": {}}", "description", 0, "");
}

static void hashtags_that_are_not_shown_yet(void) {
    static const char *const cases[][2] = {
        {"{\"hashtags\": [\"a\", \"b\"]}", "hashtags|#{a} #{b}\n"},
        {"{\"hashtags\": [\"ban\", \"banana\"], \"description\": \"x #banana\"}",
         "hashtags|#{ban}\n"},
        {"{\"hashtags\": [\"Banana\", \"\\u00c9T\\u00c9\", \"x_1\"], \"title\": \"#BANANA!\","
         " \"description\": \"#\\u00e9t\\u00e9 #x_1.\"}",
         ""},
        {"{\"hashtags\": [\"a\", \"A\", \"a\"]}", "hashtags|#{a}\n"},
        {"{\"hashtags\": [\"a\"], \"description\": \"a, # a, b#a\"}", ""},
        {"{\"hashtags\": [\"a\"], \"description\": \"a, # a\"}", "hashtags|#{a}\n"},
        {"{\"hashtags\": [\"#a\", \"##\", \"\", null, 5, \"b c\\nd\"]}",
         "hashtags|#{a} #{b c} {d}\n"},
        {"{\"hashtags\": [\"\\u98df\"], \"description\": \"#\\u98df\\u3002\"}", ""},
        {"{\"hashtags\": [\"b\"], \"description\": \"#a#b\"}", ""},
        /* render F14 */
        {"{\"hashtags\": [\"タグ\", \"b\", \"c\"], \"description\": \"＃タグ/b ＃B＃c\"}", ""},
        {"{\"hashtags\": [\"＃a\", \"#＃b\", \"A\"], \"title\": \"＃b #\"}", "hashtags|#{a}\n"},
        {"{\"hashtags\": {\"a\": \"b\"}}", ""},
        {"{\"hashtags\": []}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect("json", cases[i][0], "hashtags", MARKS_NONE, cases[i][1]);
    }
}

static void languages_become_bcp_47(void) {
    static const char *const cases[][2] = {
        {"en", "en"},       {"eng", "en"},       {"eng-US", "en-US"}, {"jpn", "ja"},
        {"chi", "zh"},      {"zho", "zh"},       {"zh_TW", "zh-TW"},  {"zh-Hant", "zh-Hant"},
        {"pt-BR", "pt-BR"}, {"", "unknown"},     {"und", "unknown"},  {"../x", "unknown"},
        {"e", "unknown"},   {"en en", "unknown"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[100], want[100];
        struct trial t = {0};
        snprintf(json, sizeof json, "{\"language\": \"%s\"}", cases[i][0]);
        snprintf(want, sizeof want, "language %s\n", cases[i][1]);
        add(&t, "json", json);
        run_trial(&t, "header");
        CHECK_TEXT(t.log, want);
        end_trial(&t);
    }
}

/* ---- Script --------------------------------------------------------------------- */

static void cues_flow_on(void) {
    static const char *const cases[][2] = {
        {"[{\"text\": \"Try it once\\nand\"}, {\"text\": \"never go back.\"}]",
         "script|{Try it once} {and} {never go back.}\n"},
        {"[{\"text\": \" a \\r\\n\\n\\t b\\u0085c\\u2028d\\u2029 \"}, {\"text\": \"\\n\"},"
         " {\"text\": \" e\"}]",
         "script|{a} {b} {c} {d} {e}\n"},
        {"[{\"text\": \"日本\"}, {\"text\": \"語。\\nです\"}, {\"text\": \"ok\"}, {\"text\": "
         "\"네\"},"
         " {\"text\": \"네\"}]",
         "script|{日本}{語。}{です} {ok} {네} {네}\n"},
        {"[{\"text\": \"สวัส\"}, {\"text\": \" ดี\"}, {\"text\": \"123\"}]",
         "script|{สวัส}{ดี} {123}\n"},
        {"[]", ""},
        {"[{\"text\": \"\\u00a0\"}]", "script|{\xC2\xA0}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect("script.json", cases[i][0], "script", MARKS_NONE, cases[i][1]);
    }
    expect("script.json", cases[0][0], "script", MARKS_SPEAKER,
           "script|{Try it once} {and} {never go back.}\n");
}

static void times_mark_sentences(void) {
    expect("script.json",
           "[{\"start_ms\": 500, \"text\": \"One banana. Two\"},"
           " {\"start_ms\": 9000, \"text\": \"bananas. Three bananas.\"},"
           " {\"start_ms\": 10499, \"text\": \"Too early. Still\"},"
           " {\"start_ms\": 61000, \"text\": \"not a sentence\"},"
           " {\"start_ms\": 71000, \"text\": \"here! But this one is? Yes.\"},"
           " {\"start_ms\": 80999, \"text\": \"No.\"},"
           " {\"start_ms\": 81000, \"text\": \"Now.\"},"
           " {\"start_ms\": 3599999, \"text\": \"Late.\"},"
           " {\"start_ms\": 3723000, \"text\": \"Later.\"}]",
           "script", MARKS_TIME,
           "script|[0:00] {One banana. Two} {bananas. Three bananas.} {Too early. Still}"
           " [1:01] {not a sentence} {here! }[1:11] {But this one is? Yes.} {No.} [1:21] {Now.}"
           " [59:59] {Late.} [1:02:03] {Later.}\n");
    /* In the middle of Chinese text; times that are missing, absurd or run backwards. */
    expect("script.json",
           "[{\"text\": \"无。\"}, {\"start_ms\": 0, \"text\": \"一。\"},"
           " {\"start_ms\": \"20000\", \"text\": \"二。三\"}, {\"start_ms\": 5000, \"text\": "
           "\"。四。\"},"
           " {\"start_ms\": -9223372036854775807, \"text\": \"五。\"},"
           " {\"start_ms\": 9223372036854775807, \"text\": \"六。\"}]",
           "script", MARKS_TIME,
           "script|{无。}[0:00] {一。}[0:20] {二。三}{。四。}{五。}[2562047788015:12:55] {六。}\n");
    expect("script.json", "[]", "script", MARKS_TIME, "");
    expect("script.json", "[{\"text\": \"a. b.\"}]", "script", MARKS_TIME, "script|{a. b.}\n");
}

static void speakers_begin_lines(void) {
    expect(
        "script.json",
        "[{\"text\": \"Hm.\"}, {\"text\": \"Hello\", \"speaker\": \"Ann\"},"
        " {\"text\": \"you.\", \"speaker\": \"Ann\"}, {\"text\": \"Hi!\", \"speaker\": \"Bo\\nB\"},"
        " {\"text\": \"(music)\", \"speaker\": null}, {\"text\": \"(more)\", \"speaker\": 5},"
        " {\"speaker\": \"Mute\", \"text\": \" \"},"
        " {\"text\": \"Bye.\", \"speaker\": \"Ann\"}]",
        "script", MARKS_SPEAKER,
        "script|{Hm.}\nscript|{Ann}: {Hello} {you.}\nscript|{Bo} {B}: {Hi!}\n"
        "script|{(music)} {(more)}\nscript|{Mute}: \nscript|{Ann}: {Bye.}\n");
}

/* ---- Comments ------------------------------------------------------------------- */

static const char THREADS[] =
    "[{\"id\": \"a\", \"author\": \"ann\", \"text\": \"first\", \"likes\": 5},"
    " {\"id\": \"a1\", \"parent\": \"a\", \"author\": \"bo\", \"text\": \"reply\", \"likes\": 0},"
    " {\"id\": \"a2\", \"parent\": \"a\", \"author\": \"me\", \"text\": \"better\", \"likes\": 900,"
    "  \"by_creator\": true},"
    " {\"id\": \"a21\", \"parent\": \"a2\", \"text\": \"deep\", \"likes\": null},"
    " {\"id\": \"b\", \"author\": \"cy\", \"text\": \"loud\\nand long\", \"likes\": 1250},"
    " {\"id\": \"c\", \"author\": \"di\", \"text\": \"pinned\", \"likes\": 1, \"pinned\": true},"
    " {\"id\": \"d\", \"author\": \"ed\", \"text\": \"six\", \"likes\": 6}]";

static void check_comments(const char *json, int64_t most, const char *want) {
    struct trial t = {.options = {.comments = most}};
    add(&t, "json", "{}");
    add(&t, "comments.json", json);
    run_trial(&t, "comments");
    CHECK_NUMBER(t.rc, 0);
    CHECK_TEXT(t.log + strlen("language unknown\n"), want);
    end_trial(&t);
}

static void comments_come_by_likes_below_what_they_answer(void) {
    check_comments(THREADS, 0,
                   "comments|{di}: {pinned} ♥1\n"
                   "comments|{cy}: {loud} {and long} ♥1.2K\n"
                   "comments|{ed}: {six} ♥6\n"
                   "comments|{ann}: {first} ♥5\n"
                   "comments 1|{me}★: {better} ♥900\n"
                   "comments 2|{deep}\n"
                   "comments 1|{bo}: {reply}\n");
}

static void most_liked_comments_are_chosen_with_what_they_answer(void) {
    check_comments(THREADS, 1, "comments|{di}: {pinned} ♥1\n");
    check_comments(THREADS, 2,
                   "comments|{di}: {pinned} ♥1\n"
                   "comments|{cy}: {loud} {and long} ♥1.2K\n");
    check_comments(THREADS, 4,
                   "comments|{di}: {pinned} ♥1\n"
                   "comments|{cy}: {loud} {and long} ♥1.2K\n"
                   "comments|{ann}: {first} ♥5\n"
                   "comments 1|{me}★: {better} ♥900\n");
    check_comments(THREADS, 5,
                   "comments|{di}: {pinned} ♥1\n"
                   "comments|{cy}: {loud} {and long} ♥1.2K\n"
                   "comments|{ed}: {six} ♥6\n"
                   "comments|{ann}: {first} ♥5\n"
                   "comments 1|{me}★: {better} ♥900\n");
}

/* Of 200 comments the 20 best liked, by counting instead of a heap. */
static void choice_agrees_with_counting(void) {
    enum { COUNT = 200, MOST = 20 };
    struct bytes json, want;
    bytes_init(&json, 1 << 20);
    bytes_init(&want, 1 << 20);
    for (int i = 0; i < COUNT; i++) {
        bytes_printf(&json, NULL, "%s{\"text\": \"x\", \"likes\": %d}", i ? "," : "[",
                     (i * 83 + 11) % 211 + 1);
    }
    bytes_append_text(&json, "]", NULL);
    int left = MOST;
    for (int likes = 211; likes > 0 && left > 0; likes--) {
        for (int i = 0; i < COUNT && left > 0; i++) {
            if ((i * 83 + 11) % 211 + 1 == likes) {
                bytes_printf(&want, NULL, "comments|{x} ♥%d\n", likes);
                left--;
            }
        }
    }
    check_comments(bytes_text(&json), MOST, bytes_text(&want));
    bytes_close(&json);
    bytes_close(&want);
}

static void rings_and_orphans_lose_nothing(void) {
    check_comments("[{\"id\": \"a\", \"parent\": \"a\", \"text\": \"self\"},"
                   " {\"id\": \"b\", \"parent\": \"c\", \"text\": \"ring 1\", \"likes\": 2},"
                   " {\"id\": \"c\", \"parent\": \"d\", \"text\": \"ring 2\"},"
                   " {\"id\": \"d\", \"parent\": \"b\", \"text\": \"ring 3\"},"
                   " {\"id\": \"e\", \"parent\": \"gone\", \"text\": \"orphan\", \"likes\": 1},"
                   " {\"id\": 12, \"text\": \"number\"}, {\"parent\": \"12\", \"text\": \"reply\"},"
                   " {\"id\": \"d\", \"text\": \"same id\"},"
                   " {\"id\": \"t\", \"parent\": \"d\", \"text\": \"tail\"}]",
                   0,
                   "comments|{ring 1} ♥2\n"
                   "comments 1|{ring 3}\n"
                   "comments 2|{ring 2}\n"
                   "comments 2|{tail}\n"
                   "comments|{orphan} ♥1\n"
                   "comments|{self}\n"
                   "comments|{number}\n"
                   "comments 1|{reply}\n"
                   "comments|{same id}\n");
}

static void indent_has_a_limit(void) {
    check_comments(
        "[{\"id\": \"1\", \"text\": \"a\"}, {\"id\": \"2\", \"parent\": \"1\", \"text\": \"b\"},"
        " {\"id\": \"3\", \"parent\": \"2\", \"text\": \"c\"},"
        " {\"id\": \"4\", \"parent\": \"3\", \"text\": \"d\"},"
        " {\"id\": \"5\", \"parent\": \"4\", \"text\": \"e\"},"
        " {\"id\": \"6\", \"parent\": \"5\", \"text\": \"f\"}]",
        0,
        "comments|{a}\ncomments 1|{b}\ncomments 2|{c}\ncomments 3|{d}\n"
        "comments 4|{e}\ncomments 4|{f}\n");
}

/* A chain, a ring and many roots: done at once, or not in a lifetime. */
static void many_comments_are_quick(void) {
    enum { EACH = 30000 };
    struct bytes json;
    bytes_init(&json, (size_t)1 << 28);
    bytes_append(&json, "[", 1, NULL);
    for (int i = 0; i < 3 * EACH; i++) {
        int parent = i < EACH ? i - 1 : i < 2 * EACH ? (i + 1) % EACH + EACH : -1;
        bytes_printf(&json, NULL, "%s{\"id\": %d, \"parent\": %d, \"text\": \"x\", \"likes\": %d}",
                     i ? "," : "", i, parent, i * 7919 % 1000);
    }
    bytes_append(&json, "]", 1, NULL);
    static const int64_t limits[] = {0, EACH / 2};
    for (size_t i = 0; i < 2; i++) {
        struct trial t = {.options = {.comments = limits[i]}};
        add(&t, "json", "{}");
        add(&t, "comments.json", bytes_text(&json));
        run_trial(&t, "comments");
        CHECK_NUMBER(t.rc, 0);
        CHECK_NUMBER(t.sources, limits[i] ? limits[i] : 3 * EACH);
        end_trial(&t);
    }
    bytes_close(&json);
}

/* ---- Pictures and the whole ------------------------------------------------------- */

static struct stream_member picture_member(const char *suffix, const char *name) {
    static unsigned char data[4][PICTURE_BYTES];
    static size_t next;
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/jpeg/%s", TEST_FOLDER, name);
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        abort();
    }
    unsigned char *place = data[next % 4];
    next++;
    size_t size = fread(place, 1, PICTURE_BYTES, in);
    fclose(in);
    return (struct stream_member){suffix, place, size};
}

static void add_everything(struct trial *t) {
    add(t, "json",
        "{\"account\": \"banana\", \"title\": \"T\", \"description\": \"D\\nE\","
        " \"hashtags\": [\"h\"], \"language\": \"en\"}");
    add(t, "script.json", "[{\"start_ms\": 0, \"text\": \"S\"}]");
    add(t, "comments.json", "[{\"text\": \"C\"}, {\"text\": \"B\"}]");
    t->members[t->count++] = picture_member("000.jpg", "colour-420.jpg");
    t->members[t->count++] = picture_member("001.jpg", "cut.jpg");
    t->members[t->count++] = picture_member("1002.jpg", "tall.jpg");
    t->members[t->count++] = picture_member("mel.pgm", "mel.pgm");
    add(t, "00.jpg", "no thumbnail");
    add(t, "p000.pgm", "of an earlier render");
}

static void parts_come_in_the_order_wanted(void) {
    struct trial t = {0};
    add_everything(&t);
    run_trial(&t, "header,thumbs,description,script,hashtags,comments,audio");
    CHECK_NUMBER(t.rc, 0);
    CHECK_TEXT(t.log, "language en\nheader|@{banana}\nthumbs|64x43 000.jpg, 16x64 1002.jpg\n"
                      "description|{T}\ndescription|{D\nE}\nscript|{S}\n"
                      "hashtags|#{h}\ncomments|{C}\ncomments|{B}\n"
                      "audio|448x64 mel.pgm\n");
    CHECK_TEXT(t.warnings, "[\"001.jpg: a JPEG that ends too early\"]");
    t.picture_width = 960;
    run_trial(&t, "comments,audio,hashtags,description,header");
    CHECK_TEXT(t.log, "language en\ncomments|{C}\ncomments|{B}\naudio|960x64 mel.pgm\n"
                      "hashtags|#{h}\ndescription|{T}\ndescription|{D\nE}\n"
                      "header|@{banana}\n");
    CHECK_TEXT(t.warnings, "[]");
    run_trial(&t, "header,description,hashtags");
    CHECK_TEXT(
        t.log,
        "language en\nheader|@{banana}\ndescription|{T}\ndescription|{D\nE}\nhashtags|#{h}\n");
    end_trial(&t);
}

static void unreadable_members_are_warned_of(void) {
    static const char all[] = "header,thumbs,description,script,hashtags,comments,audio";
    static const struct {
        const char *json, *script, *comments, *want;
    } cases[] = {
        {"[]", "{}", "7",
         "[\"json: not an object\",\"script.json: not a list\",\"comments.json: not a list\"]"},
        {"{}", "[", "[{\"text\": \"\xFF", "\"script.json: invalid JSON at line 1"},
        {"{}", "[{\"text\": 5}, 7, null, {}, {\"text\": \"\"}, {\"text\": \"a\"}]",
         "[{\"id\": \"x\"}, {\"text\": \"a\"}]",
         "[\"script.json: 5 of 6 items have no text\",\"comments.json: 1 of 2 items have no "
         "text\"]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trial t = {0};
        add(&t, "json", cases[i].json);
        add(&t, "script.json", cases[i].script);
        add(&t, "comments.json", cases[i].comments);
        run_trial(&t, all);
        CHECK_NUMBER(t.rc, 0);
        if (!CHECK(strstr(t.warnings, cases[i].want))) {
            printf("# %s\n", t.warnings);
        }
        end_trial(&t);
    }
    struct trial t = {0};
    add(&t, "json", "{}");
    add(&t, "000.jpg", "");
    add(&t, "mel.pgm", "P5 1 1 255");
    run_trial(&t, all);
    CHECK_TEXT(t.log, "language unknown\n");
    CHECK_TEXT(t.warnings, "[\"000.jpg: not a JPEG\",\"mel.pgm: not a binary PGM\"]");
    end_trial(&t);
}

/* Whatever call of the pager fails, the failure comes back, and (by LeakSanitizer)
 * nothing stays. */
static void failures_of_the_pager_come_back(void) {
    struct trial t = {.options = {.marks = MARKS_TIME}};
    add_everything(&t);
    int failed = 0;
    for (t.fail_at = 1; t.fail_at < 50; t.fail_at++) {
        run_trial(&t, "header,thumbs,description,script,hashtags,comments,audio");
        failed += t.rc == ERR_CANCELLED;
        CHECK(t.rc == 0 || t.rc == ERR_CANCELLED);
    }
    CHECK_NUMBER(failed, 10);
    t.fail_at = 0;
    end_trial(&t);
}

/* A flood of lines does not become a flood of spans. */
static void floods_of_newlines_stay_small(void) {
    struct bytes json;
    bytes_init(&json, (size_t)1 << 28);
    bytes_append_text(&json, "[{\"text\": \"", NULL);
    for (int i = 0; i < 2000000; i++) {
        bytes_append(&json, "a\\n", 3, NULL);
    }
    bytes_append_text(&json, "\"}]", NULL);
    struct trial t = {0};
    add(&t, "json", "{}");
    add(&t, "script.json", bytes_text(&json));
    run_trial(&t, "script");
    CHECK_NUMBER(t.rc, 0);
    CHECK_NEAR((double)t.spans, 1 << 20, 8);
    CHECK_NEAR((double)strlen(t.log), 4000000 + 2 * (1 << 19), 64); /* letters, newlines, braces */
    end_trial(&t);
    bytes_close(&json);
}

/* ---- Options ---------------------------------------------------------------------- */

static void lists_of_parts_are_read(void) {
    static const char *const bad[] = {
        "",         ",",       "header,", "header,,script",       "Header",
        "head",     "headers", " header", "header,thumbs,header", "header;",
        "\xFF\n\t", NULL};
    struct content_options o = {.part_count = 3, .parts = {9, 9, 9}};
    for (int i = 0; bad[i]; i++) {
        struct error e = {0};
        CHECK_NUMBER(content_parse_parts(&o, bad[i], &e), ERR_USAGE);
        CHECK(e.text[0]);
        CHECK(o.part_count == 3 && o.parts[0] == 9);
    }
    CHECK_NUMBER(content_parse_parts(&o, "audio,header", NULL), 0);
    CHECK(o.part_count == 2 && o.parts[0] == PART_AUDIO && o.parts[1] == PART_HEADER);
}

int main(void) {
    RUN(header_has_what_is_known);
    RUN(numbers_are_short);
    RUN(title_is_left_out_when_it_repeats);
    RUN(hashtags_that_are_not_shown_yet);
    RUN(languages_become_bcp_47);
    RUN(cues_flow_on);
    RUN(times_mark_sentences);
    RUN(speakers_begin_lines);
    RUN(comments_come_by_likes_below_what_they_answer);
    RUN(most_liked_comments_are_chosen_with_what_they_answer);
    RUN(choice_agrees_with_counting);
    RUN(rings_and_orphans_lose_nothing);
    RUN(indent_has_a_limit);
    RUN(many_comments_are_quick);
    RUN(parts_come_in_the_order_wanted);
    RUN(unreadable_members_are_warned_of);
    RUN(failures_of_the_pager_come_back);
    RUN(floods_of_newlines_stay_small);
    RUN(lists_of_parts_are_read);
    return test_finish();
}
