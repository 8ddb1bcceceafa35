/* metadata_test.c - what is made of yt-dlp's and gallery-dl's sidecar files, new and old. */
#include "ingest/sidecars/metadata.h"

#include "store/json.h"
#include "test.h"

/* The parts of a file as yt-dlp 2025 writes it for TikTok: the uploader is the short name, the
 * channel the display name, the title is cut after 69 characters. */
static const char tiktok[] =
    "{\"id\": \"7139980461132074283\", \"_type\": \"video\", \"extractor\": \"TikTok\","
    "\"extractor_key\": \"TikTok\", \"uploader\": \"banana\", \"uploader_id\": \"68107\","
    "\"channel\": \"Banana 🍌\", \"channel_id\": \"MS4wLjABAAAA\", \"artists\": [\"Some Singer\"],"
    "\"title\": \"How we peel a banana in 2022 without any tools, from the wrong end as...\","
    "\"fulltitle\": \"How we peel a banana in 2022 without any tools, from the wrong end as...\","
    "\"description\": \"How we peel a banana in 2022 without any tools, from the wrong end as "
    "monkeys do #fruit #LifeHack\", \"timestamp\": 1662400000, \"upload_date\": \"20220905\","
    "\"duration\": 13.5, \"view_count\": 1500000, \"like_count\": 90210, \"repost_count\": 31,"
    "\"comment_count\": 402, \"save_count\": 77, \"language\": \"en\","
    "\"webpage_url\": \"https://www.tiktok.com/@banana/video/7139980461132074283\"}";

/* One arena and one tree, so that a test is: read, then look. */
static struct fixture {
    struct arena *arena;
    json_t *tree;
    struct metadata m;
    struct error e;
    int rc;
} fixture;

static void close_fixture(void) {
    json_decref(fixture.tree);
    arena_close(fixture.arena);
    fixture = (struct fixture){0};
}

/* Parses `json`, single quotes standing for double ones where there are no double ones. */
static bool open_fixture(const char *json) {
    char text[8192];
    size_t size = strlen(json);
    close_fixture();
    if (!CHECK(size < sizeof text)) {
        return false;
    }
    memcpy(text, json, size + 1);
    for (char *p = strchr(text, '"') ? NULL : text; p && *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    fixture.tree = json_read(text, size, NULL, &fixture.e);
    return CHECK(fixture.tree) && CHECK(arena_open(&fixture.arena, 1 << 20, &fixture.e) == 0);
}

static const struct metadata *read_ytdlp(const char *json) {
    metadata_init(&fixture.m);
    if (open_fixture(json)) {
        fixture.rc = metadata_from_ytdlp(fixture.tree, fixture.arena, &fixture.m, &fixture.e);
    }
    return &fixture.m;
}

static const struct metadata *read_gallery_dl(const char *json) {
    metadata_init(&fixture.m);
    if (open_fixture(json)) {
        fixture.rc = metadata_from_gallery_dl(fixture.tree, fixture.arena, &fixture.m, &fixture.e);
    }
    return &fixture.m;
}

/* The hashtags joined by blanks. */
static const char *hashtags(const struct metadata *m) {
    static char joined[4096];
    size_t size = 0;
    joined[0] = 0;
    for (size_t i = 0; i < m->hashtag_count; i++) {
        int written =
            snprintf(joined + size, sizeof joined - size, "%s%s", i ? " " : "", m->hashtags[i]);
        CHECK(written > 0 && (size_t)written < sizeof joined - size);
        size += (size_t)written;
    }
    return joined;
}

static const char *hashtags_in(const char *text) {
    close_fixture();
    metadata_init(&fixture.m);
    CHECK(arena_open(&fixture.arena, 1 << 20, &fixture.e) == 0);
    CHECK(metadata_add_hashtags(&fixture.m, text, fixture.arena, &fixture.e) == 0);
    return hashtags(&fixture.m);
}

static void tiktok_file_of_today(void) {
    const struct metadata *m = read_ytdlp(tiktok);
    CHECK_NUMBER(fixture.rc, 0);
    CHECK_TEXT(m->id, "7139980461132074283");
    CHECK_TEXT(m->site, "tiktok");
    CHECK_TEXT(m->account, "banana");
    CHECK_TEXT(m->account_name, "Banana 🍌");
    CHECK_TEXT(m->url, "https://www.tiktok.com/@banana/video/7139980461132074283");
    CHECK_TEXT(m->language, "en");
    CHECK_NUMBER(m->created, 1662400000);
    CHECK_NUMBER(m->duration_ms, 13500);
    CHECK_NUMBER(m->views, 1500000);
    CHECK_NUMBER(m->likes, 90210);
    CHECK_NUMBER(m->comments, 402);
    CHECK_NUMBER(m->shares, 31);
    CHECK_NUMBER(m->saves, 77);
    CHECK_TEXT(hashtags(m), "fruit LifeHack");
}

static void cut_title_is_completed_from_the_description(void) {
    const struct metadata *m = read_ytdlp(tiktok);
    CHECK_TEXT(m->title, "How we peel a banana in 2022 without any tools, from the wrong end as "
                         "monkeys do #fruit #LifeHack");
    m = read_ytdlp("{'id': 'x', 'title': 'Wait...', 'description': 'Wait for the end'}");
    CHECK_TEXT(m->title, "Wait...");
}

static void title_made_up_by_the_tool_is_not_a_title(void) {
    CHECK_TEXT(read_ytdlp("{'id': '713', 'title': 'TikTok video #713'}")->title, NULL);
    CHECK_NUMBER(fixture.rc, 0);
    CHECK_TEXT(read_ytdlp("{'id': '713', 'title': 'My video #7134'}")->title, "My video #7134");
}

static void creator_goes_by_all_names_once(void) {
    const struct metadata *m = read_ytdlp(tiktok);
    const char *const want[] = {"banana", "68107", "Banana 🍌", "MS4wLjABAAAA", NULL};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        CHECK_TEXT(m->creator[i], want[i]); /* and not the author of the music */
    }
}

static void tiktok_file_of_old(void) {
    const struct metadata *m = read_ytdlp(
        "{'id': '6742501081818877190', 'extractor': 'TikTok', 'uploader': 'patrox',"
        "'uploader_id': '18702747', 'creator': 'patroX', 'artist': 'Somebody',"
        "'upload_date': '20190930', 'duration_string': '1:02', 'title': 'Balas @yolaliwedding'}");
    CHECK_NUMBER(fixture.rc, 0);
    CHECK_TEXT(m->account, "patrox");
    CHECK_TEXT(m->account_name, "patroX");
    CHECK_NUMBER(m->created, 1569801600); /* 2019-09-30T00:00:00Z */
    CHECK_NUMBER(m->duration_ms, 62000);
    CHECK_TEXT(m->description, NULL);
    CHECK_NUMBER(m->views, -1);
    CHECK_NUMBER(m->hashtag_count, 0);
}

static void account_of_each_site(void) {
    static const struct {
        const char *json, *account, *name;
    } cases[] = {
        {"{'id': 'a', 'extractor': 'youtube', 'uploader': 'MrBeast', 'uploader_id': '@MrBeast',"
         "'channel': 'MrBeast', 'channel_id': 'UCX6'}",
         "MrBeast", "MrBeast"},
        {"{'id': 'a', 'extractor': 'youtube', 'uploader': 'Old Channel', 'uploader_id': 'UCold'}",
         "UCold", "Old Channel"},
        {"{'id': 'a', 'extractor': 'Instagram', 'uploader': 'Jane D.', 'uploader_id': '2815873',"
         "'channel': 'jane.d'}",
         "jane.d", "Jane D."},
        {"{'id': 'a', 'extractor': 'vimeo:album', 'uploader': 'Studio 7', 'uploader_id': 's7'}",
         "s7", "Studio 7"},
        {"{'id': 'a', 'extractor': 'TikTok', 'uploader_id': 6810777}", "6810777", NULL},
        {"{'id': 'a', 'extractor': 'TikTok', 'uploader_id': '@', 'creators': ['A', 'B']}", NULL,
         "A"},
        {"{'id': 'a', 'extractor': 'soundcloud', 'artists': ['First', 'Second']}", NULL, "First"},
        {"{'id': 'a'}", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct metadata *m = read_ytdlp(cases[i].json);
        CHECK_NUMBER(fixture.rc, 0);
        CHECK_TEXT(m->account, cases[i].account);
        CHECK_TEXT(m->account_name, cases[i].name);
    }
    CHECK_TEXT(read_ytdlp(cases[3].json)->site, "vimeo");
}

static void number_as_id_keeps_its_digits(void) {
    CHECK_TEXT(read_ytdlp("{'id': 7139980461132074283}")->id, "7139980461132074283");
    CHECK_TEXT(read_ytdlp("{'id': 42}")->id, "42");
}

static void numbers_in_strings_and_beyond_belief(void) {
    const struct metadata *m =
        read_ytdlp("{'id': '1', 'view_count': '1500', 'like_count': -3, 'comment_count': 1e300,"
                   "'repost_count': 9000000000000, 'save_count': true, 'duration': '12.25',"
                   "'timestamp': '1662400000'}");
    CHECK_NUMBER(fixture.rc, 0);
    CHECK_NUMBER(m->views, 1500);
    CHECK_NUMBER(m->likes, -1);
    CHECK_NUMBER(m->comments, -1);
    CHECK_NUMBER(m->shares, -1);
    CHECK_NUMBER(m->saves, -1);
    CHECK_NUMBER(m->duration_ms, 12250);
    CHECK_NUMBER(m->created, 1662400000);
    m = read_ytdlp("{'id': '1', 'duration': 1e12, 'timestamp': 0, 'upload_date': '20230229'}");
    CHECK_NUMBER(m->duration_ms, -1);
    CHECK_NUMBER(m->created, -1); /* no such day */
}

static void durations_as_text(void) {
    static const struct {
        const char *json;
        long long duration_ms;
    } cases[] = {
        {"{'id': '1', 'duration_string': '45'}", 45000},
        {"{'id': '1', 'duration_string': '12:34'}", 754000},
        {"{'id': '1', 'duration_string': '1:02:03'}", 3723000},
        {"{'id': '1', 'duration_string': '12:34', 'duration': 754.5}", 754500},
        {"{'id': '1', 'duration_string': '1:2:3:4'}", -1},
        {"{'id': '1', 'duration_string': '1:'}", -1},
        {"{'id': '1', 'duration_string': '-5'}", -1},
        {"{'id': '1', 'duration_string': '12.5'}", -1},
        {"{'id': '1', 'duration_string': '0'}", -1},
        {"{'id': '1', 'duration_string': '99999999:00:00'}", -1},
        {"{'id': '1', 'duration_string': '99999999999999999999'}", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_NUMBER(read_ytdlp(cases[i].json)->duration_ms, cases[i].duration_ms);
        CHECK_NUMBER(fixture.rc, 0);
    }
}

static void wrong_types_are_absent(void) {
    const struct metadata *m =
        read_ytdlp("{'id': '1', 'title': 7, 'description': ['x'], 'tags': 'a', 'uploader': {},"
                   "'language': null, 'timestamp': [], 'duration': {}, 'extractor': 3,"
                   "'artists': [5], 'creators': 'none'}");
    CHECK_NUMBER(fixture.rc, 0);
    CHECK_TEXT(m->title, NULL);
    CHECK_TEXT(m->description, NULL);
    CHECK_TEXT(m->account, NULL);
    CHECK_TEXT(m->account_name, NULL);
    CHECK_TEXT(m->site, NULL);
    CHECK_NUMBER(m->created, -1);
    CHECK_NUMBER(m->duration_ms, -1);
    CHECK_NUMBER(m->hashtag_count, 0);
    CHECK(m->creator[0] == NULL);
}

static void refusals_say_why_and_leave_nothing(void) {
    static const struct {
        const char *json;
        int code;
    } cases[] = {
        {"{'id': 'PL1', '_type': 'playlist', 'title': 'All my videos'}", ERR_UNSUPPORTED},
        {"{'id': 'PL1', '_type': 'multi_video'}", ERR_UNSUPPORTED},
        {"{'id': 'PL1', 'entries': []}", ERR_UNSUPPORTED},
        {"[1, 2]", ERR_FORMAT},
        {"{'title': 'x'}", ERR_FORMAT},
        {"{'id': '', 'title': 'x'}", ERR_FORMAT},
        {"{'id': {'a': 1}, 'title': 'x'}", ERR_FORMAT},
        {"{'id': 'a\\u0007b', 'title': 'x'}", ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct metadata *m = read_ytdlp(cases[i].json);
        CHECK_NUMBER(fixture.rc, cases[i].code);
        CHECK_NUMBER(fixture.e.code, cases[i].code);
        CHECK(strlen(fixture.e.text) > 0);
        CHECK(!m->id && !m->title && m->views == -1);
    }
}

static void arena_that_runs_out_is_an_error(void) {
    if (!open_fixture(tiktok)) {
        return;
    }
    struct arena *tiny = NULL;
    CHECK_NUMBER(arena_open(&tiny, 16, NULL), 0);
    CHECK_NUMBER(metadata_from_ytdlp(fixture.tree, tiny, &fixture.m, &fixture.e), ERR_MEMORY);
    CHECK(!fixture.m.id);
    arena_close(tiny);
}

static void hashtags_come_from_tags_description_and_title_once(void) {
    const struct metadata *m =
        read_ytdlp("{'id': '1', 'tags': ['#Fruit', 'sea shanty', '', '#', 5, 'fruit'],"
                   "'description': '#FRUIT #two_words', 'title': 'see #two_words #日本'}");
    CHECK_TEXT(hashtags(m), "Fruit sea shanty two_words 日本");
}

static void hashtags_end_where_words_end(void) {
    CHECK_TEXT(hashtags_in("#one#two, #three.#four"), "one two three four");
    CHECK_TEXT(hashtags_in("(#größe) \"#Москва\" #हिन्दी"), "größe Москва हिन्दी");
    CHECK_TEXT(hashtags_in("#東京、#大阪。＃京都"), "東京 大阪 京都");
    CHECK_TEXT(hashtags_in("#می\u200cخواهم، #عربي؟"), "می\u200cخواهم عربي");
    CHECK_TEXT(hashtags_in("#love\u2764\ufe0f\ufe0f #\u2764\ufe0f"), "love\u2764 \u2764");
    CHECK_TEXT(hashtags_in("#fyp\u00a0text #a\u2026 #b\u2014c"), "fyp a b");
}

static void number_signs_that_begin_no_hashtag(void) {
    CHECK_TEXT(hashtags_in("we're #1, C# and f#minor, # nothing, ##"), "");
    CHECK_TEXT(hashtags_in("I&#39;m at https://example.org/#top and a/b.html#part"), "");
    CHECK_TEXT(hashtags_in("#2022recap but not #2022"), "2022recap");
    CHECK_TEXT(hashtags_in(""), "");
    CHECK_TEXT(hashtags_in(NULL), "");
}

static void hashtags_are_limited_in_number(void) {
    char text[8 * (HASHTAGS_MAX + 50)];
    size_t size = 0;
    for (int i = 0; i < HASHTAGS_MAX + 50; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "#tag%d ", i);
    }
    hashtags_in(text);
    CHECK_NUMBER(fixture.m.hashtag_count, HASHTAGS_MAX);
    CHECK_TEXT(fixture.m.hashtags[HASHTAGS_MAX - 1], "tag255");
}

static void gallery_dl_file_of_a_tiktok_post(void) {
    const struct metadata *m = read_gallery_dl(
        "{'category': 'tiktok', 'subcategory': 'post', 'id': '7240411798536276251',"
        "'desc': 'Rainy day #london', 'title': 'Rainy day #london', 'createTime': '1685784960',"
        "'author': {'id': '6810777', 'uniqueId': 'chillezy', 'nickname': 'CHILLEZY',"
        "'secUid': 'MS4wLj'}, 'user': 'chillezy', 'textLanguage': 'en', 'duration': 0,"
        "'stats': {'playCount': 1, 'diggCount': 2, 'shareCount': 3, 'commentCount': 4},"
        "'statsV2': {'playCount': '1000', 'diggCount': '200', 'collectCount': '55'},"
        "'challenges': [{'id': '1', 'title': 'london'}],"
        "'textExtra': [{'hashtagName': 'weather'}, {'userId': '9'}], 'video': {'duration': 15}}");
    CHECK_NUMBER(fixture.rc, 0);
    CHECK(metadata_is_gallery_dl(fixture.tree));
    CHECK_TEXT(m->id, "7240411798536276251");
    CHECK_TEXT(m->site, "tiktok");
    CHECK_TEXT(m->account, "chillezy");
    CHECK_TEXT(m->account_name, "CHILLEZY");
    CHECK_TEXT(m->title, "Rainy day #london");
    CHECK_TEXT(m->description, "Rainy day #london");
    CHECK_TEXT(m->language, "en");
    CHECK_TEXT(hashtags(m), "london weather");
    CHECK_NUMBER(m->created, 1685784960);
    CHECK_NUMBER(m->duration_ms, 15000);
    CHECK_NUMBER(m->views, 1000); /* statsV2 is exact */
    CHECK_NUMBER(m->likes, 200);
    CHECK_NUMBER(m->comments, 4); /* but may lack some */
    CHECK_NUMBER(m->shares, 3);
    CHECK_NUMBER(m->saves, 55);
    CHECK_TEXT(m->creator[0], "chillezy");
    CHECK_TEXT(m->creator[1], "6810777");
    CHECK_TEXT(m->creator[2], "MS4wLj");
    CHECK(m->creator[3] == NULL); /* the nickname differs only in case */
}

static void gallery_dl_file_of_another_site(void) {
    const struct metadata *m = read_gallery_dl(
        "{'category': 'twitter', 'tweet_id': 1604871312451215360, 'content': 'hello #world',"
        "'author': {'id': 44196397, 'name': 'some_one', 'nick': 'Some One'},"
        "'date': '2022-12-19 16:21:07', 'favorite_count': 12, 'retweet_count': 3,"
        "'hashtags': ['world'], 'lang': 'en'}");
    CHECK_NUMBER(fixture.rc, 0);
    CHECK_TEXT(m->id, "1604871312451215360");
    CHECK_TEXT(m->account, "some_one");
    CHECK_TEXT(m->account_name, "Some One");
    CHECK_TEXT(m->description, "hello #world");
    CHECK_NUMBER(m->created, 1671466867);
    CHECK_NUMBER(m->likes, 12);
    CHECK_NUMBER(m->shares, 3);
    CHECK_TEXT(hashtags(m), "world");
    CHECK_TEXT(m->creator[1], "44196397");
}

static void dates_of_gallery_dl(void) {
    static const struct {
        const char *json;
        long long created;
    } cases[] = {
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 00:00:00'}", 1709164800},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29T01:00:00+01:00'}", 1709164800},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-28T19:00:00.5-0500'}", 1709164800},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29'}", 1709164800},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 00:00 UTC'}", 1709164800},
        {"{'id': '1', 'category': 'x', 'date': '2023-02-29 00:00:00'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 24:00:00'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 junk'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 00:00:0'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 00:00:00+25:00'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '2024-02-29 00:00:00 CET'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '2024-0229'}", -1},
        {"{'id': '1', 'category': 'x', 'date': '1969-12-31 23:59:59'}", -1},
        {"{'id': '1', 'category': 'x', 'date': 'yesterday'}", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_NUMBER(read_gallery_dl(cases[i].json)->created, cases[i].created);
        CHECK_NUMBER(fixture.rc, 0);
    }
}

static void gallery_dl_is_recognised(void) {
    static const char *const others[] = {
        "{'extractor': 'youtube', 'category': 'Music', 'id': '1'}",
        "{'id': '1'}",
        "['category']",
        "{'category': 5}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK(open_fixture(others[i]) && !metadata_is_gallery_dl(fixture.tree));
    }
    CHECK(open_fixture("{'category': 'tiktok'}") && metadata_is_gallery_dl(fixture.tree));
    CHECK(!metadata_is_gallery_dl(NULL));
    read_gallery_dl("{'category': 'tiktok', 'subcategory': 'user'}");
    CHECK_NUMBER(fixture.rc, ERR_FORMAT); /* describes a user, not a post */
    read_gallery_dl("[2, {'category': 'tiktok'}]");
    CHECK_NUMBER(fixture.rc, ERR_FORMAT);
}

int main(void) {
    RUN(tiktok_file_of_today);
    RUN(cut_title_is_completed_from_the_description);
    RUN(title_made_up_by_the_tool_is_not_a_title);
    RUN(creator_goes_by_all_names_once);
    RUN(tiktok_file_of_old);
    RUN(account_of_each_site);
    RUN(number_as_id_keeps_its_digits);
    RUN(numbers_in_strings_and_beyond_belief);
    RUN(durations_as_text);
    RUN(wrong_types_are_absent);
    RUN(refusals_say_why_and_leave_nothing);
    RUN(arena_that_runs_out_is_an_error);
    RUN(hashtags_come_from_tags_description_and_title_once);
    RUN(hashtags_end_where_words_end);
    RUN(number_signs_that_begin_no_hashtag);
    RUN(hashtags_are_limited_in_number);
    RUN(gallery_dl_file_of_a_tiktok_post);
    RUN(gallery_dl_file_of_another_site);
    RUN(dates_of_gallery_dl);
    RUN(gallery_dl_is_recognised);
    close_fixture();
    return test_finish();
}
