/* clips_test.c - names of files, and which files make a clip. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/archive/clips.h"
#include "ingest/captions/language.h"
#include "tests/test.h"

/* ---- Names ------------------------------------------------------------- */

static void named(const char *name, enum file_kind kind, const char *stem, const char *short_stem) {
    struct file_name f = file_name_parse(name);
    char text[300];
    bool same = CHECK_NUMBER(f.kind, kind);
    snprintf(text, sizeof text, "%.*s", (int)f.stem_size, name);
    same &= CHECK_TEXT(text, stem);
    snprintf(text, sizeof text, "%.*s", (int)f.short_size, name);
    same &= CHECK_TEXT(text, short_stem);
    if (!same) {
        printf("# for the name '%s'\n", name);
    }
}

static void names_say_what_a_file_is(void) {
    named("A title [71].mp4", FILE_VIDEO, "A title [71]", "A title [71]");
    named("Mr. Beast vol.2 [71].info.json", FILE_INFO, "Mr. Beast vol.2 [71]",
          "Mr. Beast vol.2 [71]");
    named("a.en.vtt", FILE_CAPTION, "a.en", "a");
    named("a.zh-Hans.SRT", FILE_CAPTION, "a.zh-Hans", "a");
    named("vol.2.vtt", FILE_CAPTION, "vol.2", "vol.2");
    named("a.eng-US.json", FILE_JSON, "a.eng-US", "a");
    named("a.description", FILE_DESCRIPTION, "a", "a");
    named("a.comments.json", FILE_COMMENTS, "a", "a");
    named("a_comments.jsonl", FILE_COMMENTS, "a", "a");
    named("71_02.jpg.json", FILE_GALLERY, "71_02", "71_02");
    named("71_02.jpg", FILE_IMAGE, "71_02", "71_02");
    named("cover.image", FILE_IMAGE, "cover", "cover");
    named("a.live_chat.json", FILE_OTHER, "a.live_chat", "a.live_chat");
    named("sound.m4a", FILE_AUDIO, "sound", "sound");
    named("notes.txt", FILE_OTHER, "notes", "notes");
    named("noextension", FILE_UNKNOWN, "noextension", "noextension");
    named("a.live_chat.json3", FILE_CAPTION, "a.live_chat", "a.live_chat");
    named("a [71].maxresdefault.webp", FILE_IMAGE, "a [71].maxresdefault", "a [71]");
    named("a.info (1).json", FILE_INFO, "a", "a");
}

/* ingest 10 */
static void media_of_every_name_are_media(void) {
    static const char *const video[] = {"a.f4v", "a.3g2", "a.divx", "a.ogm",  "a.ogv",
                                        "a.qt",  "a.MPG", "a.mk3d", "a.m2ts", "a.unknown_video"};
    static const char *const audio[] = {"a.mka",  "a.weba", "a.aiff", "a.aif", "a.m4b", "a.m4r",
                                        "a.alac", "a.ape",  "a.f4a",  "a.spx", "a.caf", "a.AC3"};
    for (size_t i = 0; i < sizeof video / sizeof *video; i++) {
        named(video[i], FILE_VIDEO, "a", "a");
    }
    for (size_t i = 0; i < sizeof audio / sizeof *audio; i++) {
        named(audio[i], FILE_AUDIO, "a", "a");
    }
    named("a.mhtml", FILE_OTHER, "a", "a");
    named("a.xyz", FILE_UNKNOWN, "a", "a");
}

/* ingest 17 */
static void captions_that_are_not_read_are_known(void) {
    static const char *const names[] = {"a.en.lrc", "a.en.sbv", "a.en.stl", "a.en.scc",
                                        "a.en.itt", "a.en.smi", "a.en.SUB"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        named(names[i], FILE_UNREAD, "a.en", "a");
    }
}

static void unfinished_downloads_are_known(void) {
    const char *const names[] = {"a.mp4.part",       "a.mp4.ytdl",     "a.temp.mp4",
                                 "a.f137.mp4",       "a.f140-drc.m4a", "a.info.json.x8d2.tmp",
                                 "a.mp4.part-Frag12"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_NUMBER(file_name_parse(names[i]).kind, FILE_PARTIAL);
    }
    CHECK_NUMBER(file_name_parse("f1 race.mp4").kind, FILE_VIDEO);
    CHECK_NUMBER(file_name_parse("a.final.mp4").kind, FILE_VIDEO);
}

static void ids_are_found_in_stems(void) {
    const char *id;
    size_t size;
    CHECK(file_name_bracket_id("A [b] title [dQw4w9WgXcQ]", 25, &id, &size));
    CHECK(size == 11 && memcmp(id, "dQw4w9WgXcQ", 11) == 0);
    CHECK(!file_name_bracket_id("no id", 5, &id, &size));
    CHECK(!file_name_bracket_id("empty []", 8, &id, &size));
    CHECK(!file_name_bracket_id("]", 1, &id, &size));
    CHECK(file_name_bracket_id("A title [71] (1)", 16, &id, &size) && size == 2);
    CHECK_NUMBER(file_name_parse("7139_01.jpg").slide_size, 4);
    CHECK_NUMBER(file_name_parse("7139_01.jpg").number, 1);
    CHECK_NUMBER(file_name_parse("7139_123.jpg").number, 123);
    CHECK_NUMBER(file_name_parse("7139.jpg").slide_size, 0);
    CHECK_NUMBER(file_name_parse("_1.jpg").slide_size, 0);
    CHECK(file_name_is_id("7349999999999999991", 19));
    CHECK(file_name_is_id("dQw4w9WgXcQ", 11));
    CHECK(!file_name_is_id("interviewer", 11));
    CHECK(!file_name_is_id("1080p", 5));
    CHECK(!file_name_is_id("20240131", 8));
}

static void copies_have_the_name_of_the_original(void) {
    static const char *const names[] = {"A [71] (1)",    "A [71](2)",          "A [71] copy",
                                        "A [71] copy 2", "A [71] - Copy",      "A [71] - Copy (3)",
                                        "A [71] (copy)", "A [71] - copy (10)", "A [71]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool same = CHECK_NUMBER(file_name_original(names[i], strlen(names[i])), 6);
        if (!same) {
            printf("# for the name '%s'\n", names[i]);
        }
    }
    CHECK_NUMBER(file_name_original("copy", 4), 4);
    CHECK_NUMBER(file_name_original("(1)", 3), 3);
}

/* `post` NULL: not such a name. */
static void posted(const char *name, const char *post, int number, const char *language) {
    struct file_name f = file_name_parse(name);
    char text[300];
    bool same = CHECK_NUMBER(f.post_size, post ? strlen(post) : 0);
    if (post) {
        same &= CHECK_NUMBER(f.number, number);
        snprintf(text, sizeof text, "%.*s", (int)f.language_size, f.language ? f.language : "");
        same &= CHECK_TEXT(text, language);
    }
    if (!same) {
        printf("# for the name '%s'\n", name);
    }
}

/* ingest 3 */
static void names_of_gallery_dl_begin_with_the_id(void) {
    static const char id[] = "7349999999999999991";
    posted("7349999999999999991 my best pears [700].mp3", id, -1, "");
    posted("7349999999999999991 my best pears.mp4", id, -1, "");
    posted("7349999999999999991_02 my best pears [fid2].jpg", id, 2, "");
    posted("7349999999999999991_2 my v1.5 pears [0a~b].jpg.json", id, 2, "");
    posted("7349999999999999991 pears [originCover].jpg", id, -1, "");
    posted("7349999999999999991 pears [2_eng-US_ASR_1_webvtt].vtt", id, -1, "eng-US");
    posted("7349999999999999991 pears [2_eng-US_ASR_1_webvtt].vtt.json", id, -1, "eng-US");
    posted("7349999999999999991 pears [4_deu-DE_LC_1_creator_caption].json", id, -1, "deu-DE");
    posted("7349999999999999991.en.vtt", id, -1, "en");
    CHECK_NUMBER(file_name_parse("7349999999999999991 a [2_eng-US_MT_1_webvtt].vtt").origin,
                 CAPTION_TRANSLATED);
    posted("10 ways to peel [7349999999999999991].mp4", NULL, 0, "");
    posted("2024 [7349999999999999991].jpg", NULL, 0, "");
    posted("15000000000000000 views [dQw4w9WgXcQ].mp4", NULL, 0, "");
    posted("7349999999999999991x.mp4", NULL, 0, "");
}

static void languages_match_across_spellings(void) {
    CHECK(language_same("en", "eng-US"));
    CHECK(language_same("DE", "ger"));
    CHECK(language_same("zh-Hans", "chi"));
    CHECK(!language_same("en", "es"));
    CHECK(!language_same("en", NULL));
    CHECK_NUMBER(language_rank("fr,en", "eng"), 1);
    CHECK_NUMBER(language_rank("fr,en", "de"), -1);
    CHECK_NUMBER(language_rank("fr,*", "de"), 1);
    CHECK_NUMBER(language_rank("*", NULL), 0);
    CHECK_NUMBER(language_rank("", "en"), -1);
    char from[3];
    CHECK(language_translated("en-de", from) && strcmp(from, "de") == 0);
    CHECK(language_translated("zh-Hans-en", from) && strcmp(from, "en") == 0);
    CHECK(!language_translated("en-US", from) && !language_translated("de-orig", from));
    CHECK(!language_translated("en", from) && !language_translated(NULL, from));
}

/* ---- Folders --------------------------------------------------------------------------------- */

static char root[256];

static void make_root(void) {
    const char *folder = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/occ-clips-XXXXXX", folder ? folder : "/tmp");
    CHECK(mkdtemp(root) != NULL && chdir(root) == 0);
}

static void write_file(const char *path, const char *content) {
    char folder[256];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *p = strchr(folder, '/'); p; p = strchr(p + 1, '/')) {
        *p = 0;
        CHECK(mkdir(folder, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(content, file) >= 0 && fclose(file) == 0);
}

static void scan(struct clips *c, const char *const *operands) {
    CHECK(clips_open(c, NULL) == 0);
    for (; *operands; operands++) {
        CHECK(clips_add(c, *operands, NULL) == 0);
    }
    struct pool_options pool = {.workers = 1, .stall_ms = 10000};
    CHECK(clips_join(c, &pool, NULL, NULL) == 0);
}

#define SCAN(c, ...) scan(c, (const char *const[]){__VA_ARGS__, NULL})

static void remove_root(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK(chdir("/") == 0 && system(command) == 0);
}

static void sidecars_join_by_stem_in_a_folder(void) {
    struct clips c;
    make_root();
    write_file("a/Mr. X [1].mp4", "");
    write_file("a/Mr. X [1].info.json", "{}");
    write_file("a/Mr. X [1].en.vtt", "");
    write_file("a/Mr. X [1].de.vtt", "");
    write_file("a/Mr. X [1].jpg", "");
    write_file("a/b.mp4", "");
    write_file("a/IMG_001.jpg", "");
    write_file("a/.hidden.mp4", "");
    SCAN(&c, "a");
    CHECK_NUMBER(c.count, 3);
    CHECK_TEXT(c.items[0].path, "a/IMG_001.jpg");
    CHECK_TEXT(c.items[0].reason, "orphan");
    CHECK_TEXT(c.items[1].path, "a/Mr. X [1].mp4");
    CHECK_NUMBER(c.items[1].count, 5);
    CHECK_TEXT(clip_file_of(&c.items[1], FILE_CAPTION)->language, "de");
    CHECK_TEXT(c.items[2].path, "a/b.mp4");
    CHECK_NUMBER(c.items[2].count, 1);
    clips_close(&c);
    remove_root();
}

static void sidecars_join_by_id_across_folders(void) {
    struct clips c;
    make_root();
    write_file("video/Some title [71].mp4", "");
    write_file("video/other.mp4", "");
    write_file("video/other.info.json", "{\"id\": \"99\"}");
    write_file("meta/x.info.json", "{\"id\": \"71\", \"title\": \"t\"}");
    write_file("subs/Some title [71].en.srt", "");
    write_file("chat/export.json", "{\"comments\": [{\"cid\": \"1\", \"aweme_id\": \"99\", "
                                   "\"text\": \"hi\"}]}");
    SCAN(&c, "chat", "meta", "subs", "video");
    CHECK_NUMBER(c.count, 2);
    CHECK_TEXT(c.items[0].path, "video/Some title [71].mp4");
    CHECK(clip_file_of(&c.items[0], FILE_INFO) != NULL);
    CHECK(clip_file_of(&c.items[0], FILE_CAPTION) != NULL);
    CHECK(clip_file_of(&c.items[1], FILE_COMMENTS) != NULL);
    clips_close(&c);
    remove_root();
}

static void one_export_serves_many_clips(void) {
    struct clips c;
    make_root();
    write_file("1.mp4", "");
    write_file("2.mp4", "");
    write_file("3.mp4", "");
    write_file("all.json", "[{\"id\":\"a\",\"text\":\"x\",\"video_id\":\"1\"},"
                           "{\"id\":\"b\",\"text\":\"y\",\"video_id\":\"3\"}]");
    SCAN(&c, ".");
    CHECK_NUMBER(c.count, 3);
    CHECK(clip_file_of(&c.items[0], FILE_COMMENTS) != NULL);
    CHECK(clip_file_of(&c.items[1], FILE_COMMENTS) == NULL);
    CHECK(clip_file_of(&c.items[2], FILE_COMMENTS) != NULL);
    clips_close(&c);
    remove_root();
}

static void slides_belong_to_their_post(void) {
    struct clips c;
    make_root();
    write_file("71.m4a", "");
    write_file("71_01.jpg", "");
    write_file("71_02.jpg", "");
    write_file("72_01.jpg", "");
    write_file("72_01.jpg.json", "{\"category\": \"tiktok\", \"id\": \"72\"}");
    SCAN(&c, ".");
    CHECK_NUMBER(c.count, 2);
    CHECK_NUMBER(c.items[0].count, 3);
    CHECK_TEXT(c.items[1].stem, "72");
    CHECK(clip_file_of(&c.items[1], FILE_IMAGE) != NULL);
    clips_close(&c);
    remove_root();
}

static void an_orphan_is_reported_and_the_rest_ignored(void) {
    struct clips c;
    make_root();
    write_file("lost.en.vtt", "WEBVTT\n");
    write_file("package.json", "{\"name\": \"x\"}");
    write_file("cover.jpg", "");
    write_file("half.mp4.part", "");
    SCAN(&c, ".");
    CHECK_NUMBER(c.count, 2);
    CHECK_TEXT(c.items[0].path, "./cover.jpg");
    CHECK_TEXT(c.items[0].reason, "orphan");
    CHECK_TEXT(c.items[1].reason, "orphan");
    clips_close(&c);
    remove_root();
}

static void a_named_file_brings_its_sidecars_only(void) {
    struct clips c;
    make_root();
    write_file("a/1.mp4", "");
    write_file("a/1.info.json", "{}");
    write_file("a/2.mp4", "");
    write_file("odd.bin", "");
    SCAN(&c, "odd.bin", "a/1.mp4", "a/1.mp4");
    CHECK_NUMBER(c.count, 2);
    CHECK_TEXT(c.items[0].path, "odd.bin");
    CHECK_TEXT(c.items[1].path, "a/1.mp4");
    CHECK_NUMBER(c.items[1].count, 2);
    clips_close(&c);
    remove_root();
}

static void loops_and_unreadable_folders_end_well(void) {
    struct clips c;
    make_root();
    write_file("a/1.mp4", "");
    CHECK(symlink("..", "a/up") == 0 && symlink("self.mp4", "a/self.mp4") == 0);
    CHECK(mkfifo("a/pipe.mp4", 0600) == 0);
    SCAN(&c, ".", "missing.mp4");
    CHECK_NUMBER(c.count, 4);
    int problems = 0;
    for (size_t i = 0; i < c.count; i++) {
        problems += c.items[i].problem != NULL;
    }
    CHECK_NUMBER(problems, 3);
    CHECK_TEXT(c.items[3].path, "missing.mp4");
    CHECK_TEXT(c.items[3].reason, "unreadable");
    clips_close(&c);
    remove_root();
}

int main(void) {
    RUN(names_say_what_a_file_is);
    RUN(media_of_every_name_are_media);
    RUN(captions_that_are_not_read_are_known);
    RUN(unfinished_downloads_are_known);
    RUN(ids_are_found_in_stems);
    RUN(copies_have_the_name_of_the_original);
    RUN(names_of_gallery_dl_begin_with_the_id);
    RUN(languages_match_across_spellings);
    RUN(sidecars_join_by_stem_in_a_folder);
    RUN(sidecars_join_by_id_across_folders);
    RUN(one_export_serves_many_clips);
    RUN(slides_belong_to_their_post);
    RUN(an_orphan_is_reported_and_the_rest_ignored);
    RUN(a_named_file_brings_its_sidecars_only);
    RUN(loops_and_unreadable_folders_end_well);
    return test_finish();
}
