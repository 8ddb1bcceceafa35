/* comments_test.c - comments of every export in one schema, and their order in threads. */
#include "ingest/sidecars/comments.h"

#include <time.h>

#include "store/json.h"
#include "test.h"

/* An arena, a list and the last tree, so that a test is: add, then look. */
static struct fixture {
    struct arena *arena;
    json_t *tree;
    struct comment_list list;
    struct error e;
} fixture;

static const char *const creator[] = {"banana", "68107", "Banana 🍌", NULL};

static void close_fixture(void) {
    json_decref(fixture.tree);
    arena_close(fixture.arena);
    fixture = (struct fixture){0};
}

static void empty_list(void) {
    close_fixture();
    CHECK_NUMBER(arena_open(&fixture.arena, (size_t)1 << 32, &fixture.e), 0);
    fixture.list.arena = fixture.arena;
}

/* The tree of `json`, in which single quotes stand for double ones. */
static const json_t *parse(const char *json) {
    size_t size = strlen(json);
    char *text = malloc(size + 1);
    json_decref(fixture.tree);
    fixture.tree = NULL;
    if (CHECK(text)) {
        memcpy(text, json, size + 1);
        for (char *p = text; *p; p++) {
            *p = *p == '\'' ? '"' : *p;
        }
        fixture.tree = json_read(text, size, NULL, &fixture.e);
    }
    free(text);
    CHECK(fixture.tree);
    return fixture.tree;
}

static int add_of(const char *json, const char *video_id) {
    return comments_add(&fixture.list, parse(json), video_id, creator, &fixture.e);
}

static int add(const char *json) {
    return add_of(json, NULL);
}

/* The n-th comment; one that equals nothing expected when there are fewer. */
static const struct comment *at(size_t n) {
    static const struct comment none = {"absent", "absent", "absent", "absent", "absent",
                                        -99,      -99,      false,    false};
    return CHECK(n < fixture.list.count) ? &fixture.list.items[n] : &none;
}

/* The texts in the order of the list, joined by blanks. */
static const char *order(void) {
    static char joined[4096];
    size_t size = 0;
    joined[0] = 0;
    for (size_t i = 0; i < fixture.list.count; i++) {
        int written = snprintf(joined + size, sizeof joined - size, "%s%s", i ? " " : "",
                               fixture.list.items[i].text);
        CHECK(written > 0 && (size_t)written < sizeof joined - size);
        size += (size_t)written;
    }
    return joined;
}

static const char *order_in_threads(const char *json) {
    empty_list();
    CHECK_NUMBER(add(json), 0);
    CHECK_NUMBER(comments_thread(&fixture.list, &fixture.e), 0);
    return order();
}

/* ---- shapes ---- */

static void ytdlp_info_file(void) {
    empty_list();
    CHECK_NUMBER(
        add_of("{'id': 'dQw4w9WgXcQ', 'extractor': 'youtube', 'comment_count': 3, 'comments': ["
               "{'id': 'Ugz1', 'parent': 'root', 'text': 'first!', 'like_count': 7,"
               " 'author': '@viewer', 'author_id': 'UCv', 'author_is_uploader': false,"
               " 'is_pinned': false, 'timestamp': 1662500000},"
               "{'id': 'Ugz1.9a', 'parent': 'Ugz1', 'text': 'thanks', 'author': '@other',"
               " 'author_is_uploader': true, 'timestamp': 1662500600},"
               "{'id': 'Ugz2', 'parent': 'root', 'text': 'read this', 'author': '@Banana',"
               " 'is_pinned': true, 'like_count': null}]}",
               "dQw4w9WgXcQ"),
        0);
    CHECK_NUMBER(fixture.list.count, 3);
    CHECK_NUMBER(fixture.list.dropped, 0);
    CHECK_TEXT(at(0)->id, "Ugz1");
    CHECK_TEXT(at(0)->parent, NULL);
    CHECK_TEXT(at(0)->author, "viewer");
    CHECK_TEXT(at(0)->text, "first!");
    CHECK_NUMBER(at(0)->likes, 7);
    CHECK_NUMBER(at(0)->created, 1662500000);
    CHECK(!at(0)->by_creator && !at(0)->pinned);
    CHECK_TEXT(at(1)->parent, "Ugz1");
    CHECK(at(1)->by_creator);
    CHECK_TEXT(at(2)->author, "Banana");
    CHECK_NUMBER(at(2)->likes, 0);
    CHECK_NUMBER(at(2)->created, -1);
    CHECK(at(2)->by_creator && at(2)->pinned); /* known by name, in any case and with '@' */
}

static void tiktok_web_page_with_nested_replies(void) {
    empty_list();
    CHECK_NUMBER(
        add("{'status_code': 0, 'cursor': 20, 'has_more': 1, 'total': 3, 'comments': ["
            "{'cid': '7140000000000000001', 'aweme_id': '713', 'text': 'how?',"
            " 'create_time': 1662400100, 'digg_count': 12, 'reply_comment_total': 2,"
            " 'reply_id': '0', 'reply_to_reply_id': '0', 'author_pin': true,"
            " 'user': {'uid': '5', 'unique_id': 'asker', 'nickname': 'Asker'},"
            " 'reply_comment': [{'cid': '7140000000000000002', 'aweme_id': '713', 'text': 'slowly',"
            "  'reply_id': '7140000000000000001', 'reply_to_reply_id': '0', 'digg_count': 3,"
            "  'label_text': 'creator', 'user': {'uid': '9', 'nickname': 'Nick'}},"
            "  {'cid': '7140000000000000003', 'aweme_id': '713', 'text': 'ok',"
            "   'reply_id': '7140000000000000001', 'reply_to_reply_id': '7140000000000000002',"
            "   'user': {'uid': 68107, 'unique_id': 'renamed'}}]}]}"),
        0);
    CHECK_NUMBER(fixture.list.count, 3);
    CHECK_TEXT(at(0)->id, "7140000000000000001");
    CHECK_TEXT(at(0)->parent, NULL);
    CHECK_TEXT(at(0)->author, "asker");
    CHECK_NUMBER(at(0)->likes, 12);
    CHECK_NUMBER(at(0)->created, 1662400100);
    CHECK(at(0)->pinned && !at(0)->by_creator);
    CHECK_TEXT(at(1)->parent, "7140000000000000001");
    CHECK_TEXT(at(1)->thread, NULL); /* the parent already says it */
    CHECK_TEXT(at(1)->author, "Nick");
    CHECK(at(1)->by_creator); /* by TikTok's label */
    CHECK_TEXT(at(2)->parent, "7140000000000000002");
    CHECK_TEXT(at(2)->thread, "7140000000000000001");
    CHECK(at(2)->by_creator); /* by the number of the account */
}

static void nested_reply_without_links_answers_the_comment_around_it(void) {
    empty_list();
    CHECK_NUMBER(add("{'comments': [{'cid': 'a', 'text': 'root', 'replies': ["
                     "{'cid': 'b', 'text': 'reply', 'replies': [{'text': 'deeper'}]},"
                     "{'cid': 'c', 'text': 'reply to root', 'reply_id': '0'}]}]}"),
                 0);
    CHECK_NUMBER(fixture.list.count, 4);
    CHECK_TEXT(at(0)->parent, NULL);
    CHECK_TEXT(at(1)->parent, "a");
    CHECK_TEXT(at(2)->parent, "b");
    CHECK_TEXT(at(2)->id, "");
    CHECK_TEXT(at(3)->parent, "a");
}

static void tiktok_research_page(void) {
    empty_list();
    CHECK_NUMBER(
        add_of("{'data': {'comments': [{'id': 7140000000000000001, 'video_id': 713,"
               " 'text': 'nice **', 'like_count': 2, 'reply_count': 1, 'create_time': 1662400100,"
               " 'parent_comment_id': 713}, {'id': 7140000000000000002, 'video_id': 713,"
               " 'text': 'yes', 'parent_comment_id': 7140000000000000001}], 'has_more': false},"
               " 'error': {'code': 'ok'}}",
               "713"),
        0);
    CHECK_NUMBER(fixture.list.count, 2);
    CHECK_TEXT(at(0)->id, "7140000000000000001");
    CHECK_TEXT(at(0)->parent, NULL); /* the clip itself is what a root answers here */
    CHECK_TEXT(at(0)->author, NULL);
    CHECK_NUMBER(at(0)->likes, 2);
    CHECK_TEXT(at(1)->parent, "7140000000000000001");
}

/* Whether the clip is known from the entry or from the caller alone. */
static void clip_as_parent_means_root(void) {
    empty_list();
    CHECK_NUMBER(add("{'data': {'comments': [{'id': 1, 'text': 'a', 'video_id': 713,"
                     " 'parent_comment_id': 713}]}}"),
                 0);
    CHECK_NUMBER(add_of("{'data': {'comments': [{'id': 2, 'text': 'b',"
                        " 'parent_comment_id': 713}]}}",
                        "713"),
                 0);
    CHECK_TEXT(order(), "a b");
    CHECK_TEXT(at(0)->parent, NULL);
    CHECK_TEXT(at(1)->parent, NULL);
}

static void scraper_export(void) {
    empty_list();
    CHECK_NUMBER(add("[{'videoWebUrl': 'https://www.tiktok.com/@banana/video/713', 'cid': '1',"
                     " 'createTimeISO': '2022-09-05T17:46:40.000Z', 'text': ' wow\\n',"
                     " 'diggCount': '15', 'repliesToId': null, 'replyCommentTotal': 1,"
                     " 'uid': '77', 'uniqueId': 'fan_1', 'pinnedByAuthor': true},"
                     "{'commentId': 2, 'text': 'indeed', 'createTime': 1662400000123,"
                     " 'parentCommentId': 1, 'uniqueId': '@BANANA'}]"),
                 0);
    CHECK_NUMBER(fixture.list.count, 2);
    CHECK_TEXT(at(0)->text, "wow");
    CHECK_TEXT(at(0)->author, "fan_1");
    CHECK_NUMBER(at(0)->created, 1662400000);
    CHECK_NUMBER(at(0)->likes, 15);
    CHECK(at(0)->pinned && !at(0)->by_creator);
    CHECK_TEXT(at(1)->id, "2");
    CHECK_TEXT(at(1)->parent, "1");
    CHECK_NUMBER(at(1)->created, 1662400000); /* from milliseconds */
    CHECK(at(1)->by_creator);
}

static void lines_of_comments_and_lines_of_pages(void) {
    static const char lines[] = "{\"cid\": \"1\", \"text\": \"one\"}\n"
                                "{\"comments\": [{\"cid\": \"2\", \"text\": \"two\"}]}\n"
                                "{\"data\": [{\"cid\": \"3\", \"text\": \"three\"}]}\n";
    empty_list();
    fixture.tree = json_read_lines(lines, strlen(lines), NULL, &fixture.e);
    CHECK(fixture.tree);
    CHECK_NUMBER(comments_add(&fixture.list, fixture.tree, NULL, NULL, &fixture.e), 0);
    CHECK_TEXT(order(), "one two three");
}

static void lists_without_comments(void) {
    static const char *const empty[] = {"[]", "{'comments': []}", "{'data': {'comments': []}}",
                                        "{'comments': null, 'total': 0}"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        empty_list();
        CHECK_NUMBER(add(empty[i]), 0);
        CHECK_NUMBER(fixture.list.count, 0);
    }
    static const char *const none[] = {
        "{'id': '713', 'title': 'a clip without comments', 'comment_count': 3}",
        "{'id': '713', 'comments': 12}",
        "{'comments': {'count': 12}}",
        "{'cid': '1', 'text': 'a lone comment is no list'}",
        "[1, 'two', null]",
        "[{'start': 0.5, 'end': 2, 'text': 'a caption'}]",
        "[{'id': '713', 'text': 'a clip', 'playCount': 5, 'authorMeta': {'name': 'banana'}}]",
        "{'data': {'user': {}}}",
        "[{'id': '713', 'title': 'a clip', 'replies': []}]",
        "'comments'",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        empty_list();
        CHECK_NUMBER(add(none[i]), ERR_FORMAT);
        CHECK_NUMBER(fixture.list.count, 0);
        CHECK_NUMBER(fixture.list.dropped, 0);
    }
}

/* ---- what is kept ---- */

static void entries_without_text_are_counted(void) {
    empty_list();
    CHECK_NUMBER(add("{'comments': [{'cid': '1', 'text': ''}, {'cid': '2', 'text': ' \\n '},"
                     " {'cid': '3'}, 'x', null, {'cid': '4', 'html': '<br>'},"
                     " {'cid': '5', 'text': 'kept'}]}"),
                 0);
    CHECK_TEXT(order(), "kept");
    CHECK_NUMBER(fixture.list.dropped, 6);
}

static void repeated_ids_are_dropped_over_files_too(void) {
    empty_list();
    CHECK_NUMBER(add("[{'cid': '1', 'text': 'a'}, {'cid': 1, 'text': 'b'}]"), 0);
    CHECK_NUMBER(add("[{'cid': '2', 'text': 'c'}, {'cid': '1', 'text': 'd'}]"), 0);
    CHECK_TEXT(order(), "a c");
    CHECK_NUMBER(fixture.list.dropped, 2);
}

static void entries_without_id_are_never_repeats(void) {
    empty_list();
    CHECK_NUMBER(add("{'comments': [{'text': 'same'}, {'text': 'same'}]}"), 0);
    CHECK_TEXT(order(), "same same");
}

static void comments_of_other_clips_are_left_out(void) {
    static const char export[] =
        "[{'cid': '1', 'aweme_id': '713', 'text': 'a'}, {'cid': '2', 'videoId': 999, 'text': 'b'},"
        "{'cid': '3', 'text': 'c', 'videoWebUrl': 'https://www.tiktok.com/@x/video/713?lang=en'},"
        "{'cid': '4', 'text': 'd', 'videoWebUrl': 'https://www.tiktok.com/@x/video/7131'},"
        "{'cid': '5', 'text': 'e', 'videoUrl': 'https://v16.tiktokcdn.com/video/720p/7/'},"
        "{'video_id': '999', 'comments': [{'cid': '6', 'text': 'f'}]},"
        "{'cid': '7', 'video_id': '999', 'text': 'g', 'replies': [{'cid': '8', 'text': 'h'}]},"
        "{'id': '999', 'extractor': 'youtube', 'comments': [{'id': '9', 'text': 'i'}]}]";
    empty_list();
    CHECK_NUMBER(add_of(export, "713"), 0);
    CHECK_TEXT(order(), "a c e");
    CHECK_NUMBER(fixture.list.dropped, 0);
    empty_list();
    CHECK_NUMBER(add(export), 0);
    CHECK_TEXT(order(), "a b c d e f g h i");
}

static void clips_of_a_file(void) {
    const char **ids = NULL;
    size_t count = 0;
    empty_list();
    CHECK_NUMBER(comments_video_ids(parse("[{'cid': '1', 'aweme_id': '713', 'text': 'a'},"
                                          "{'cid': '2', 'video_id': 999, 'text': 'b'},"
                                          "{'cid': '3', 'aweme_id': '713', 'text': 'c'},"
                                          "{'cid': '4', 'text': 'd', 'videoUrl':"
                                          " 'https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1'}]"),
                                    fixture.arena, &ids, &count, &fixture.e),
                 0);
    if (CHECK(count == 3)) {
        CHECK_TEXT(ids[0], "713");
        CHECK_TEXT(ids[1], "999");
        CHECK_TEXT(ids[2], "dQw4w9WgXcQ");
    }
    CHECK_NUMBER(comments_video_ids(parse("{'comments': [{'text': 'a'}]}"), fixture.arena, &ids,
                                    &count, &fixture.e),
                 0);
    CHECK_NUMBER(count, 0);
    CHECK_NUMBER(
        comments_video_ids(parse("{'title': 'x'}"), fixture.arena, &ids, &count, &fixture.e), 0);
    CHECK_NUMBER(count, 0);
}

static void absurd_numbers_are_unknown(void) {
    empty_list();
    CHECK_NUMBER(add("[{'cid': '1', 'text': 'a', 'digg_count': -5, 'create_time': -1},"
                     "{'cid': '2', 'text': 'b', 'digg_count': 1e30, 'create_time': 1e18},"
                     "{'cid': '3', 'text': 'c', 'votes': '1.2K', 'created_at': 'a year ago'}]"),
                 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK_NUMBER(at(i)->likes, 0);
        CHECK_NUMBER(at(i)->created, -1);
    }
}

static void html_becomes_plain_text(void) {
    static const struct {
        const char *html, *text;
    } cases[] = {
        {"Tom &amp; Jerry &lt;3 &#39;90s &#x1F602;", "Tom & Jerry <3 '90s 😂"},
        {"one<br>two<BR/>\\n three", "one\ntwo\nthree"},
        {"<p>one</p><p>two</p>", "one\ntwo"},
        {"see <a href=\\u0022/watch?v=1&amp;t=2\\u0022>1:02</a>, <b>bold</b>!", "see 1:02, bold!"},
        {"i <3 you & 2 < 3 > 1 &bogus; &#; &#xyz;", "i <3 you & 2 < 3 > 1 &bogus; &#; &#xyz;"},
        {"unclosed <b tag", "unclosed <b tag"},
        {"a<!-- hidden -->b", "ab"},
        {"&nbsp; spaced &#9; out &nbsp;", "spaced out"},
        {"&#0;&#xD800;&#x110000;&#7;x", "\uFFFD\uFFFD\uFFFD x"},
        {"&amp;lt;b&amp;gt;", "&lt;b&gt;"}, /* decoded once, not twice */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512];
        snprintf(json, sizeof json, "{\"comments\": [{\"id\": 1, \"html\": \"%s\"}]}",
                 cases[i].html);
        empty_list();
        fixture.tree = json_read(json, strlen(json), NULL, &fixture.e);
        CHECK_NUMBER(comments_add(&fixture.list, fixture.tree, NULL, NULL, &fixture.e), 0);
        CHECK_TEXT(at(0)->text, cases[i].text);
    }
    empty_list();
    CHECK_NUMBER(add("{'comments': [{'text': '1 &lt; 2', 'html': '<b>x</b>'}]}"), 0);
    CHECK_TEXT(at(0)->text, "1 &lt; 2"); /* text is plain already */
}

/* Searching for the end of each of a million tags, in vain, would take minutes. */
static void html_of_unclosed_tags_takes_linear_time(void) {
    enum { TAGS = 1 << 20 };
    char *html = malloc(2 * TAGS + 1);
    if (!CHECK(html)) {
        return;
    }
    for (size_t i = 0; i < TAGS; i++) {
        memcpy(html + 2 * i, "<a", 2);
    }
    html[2 * TAGS] = 0;
    empty_list();
    fixture.tree = json_pack("{s:[{s:s}]}", "comments", "html", html);
    struct timespec begin, end;
    CHECK_NUMBER(clock_gettime(CLOCK_MONOTONIC, &begin), 0);
    CHECK_NUMBER(comments_add(&fixture.list, fixture.tree, NULL, NULL, &fixture.e), 0);
    CHECK_NUMBER(clock_gettime(CLOCK_MONOTONIC, &end), 0);
    CHECK(end.tv_sec - begin.tv_sec < 10);
    CHECK_TEXT(at(0)->text, html);
    free(html);
}

static void only_names_of_accounts_mark_the_creator(void) {
    empty_list();
    CHECK_NUMBER(add("[{'cid': '1', 'text': 'a', 'user': {'unique_id': 'x', 'nickname': 'banana'}},"
                     "{'cid': '2', 'text': 'b', 'author': 'bananas'},"
                     "{'cid': '3', 'text': 'c', 'label_text': 'Friend', 'author': 'y'},"
                     "{'cid': '4', 'text': 'd', 'author_is_uploader': 'false', 'author': ''},"
                     "{'cid': '5', 'text': 'e', 'author_id': 68107},"
                     "{'cid': '6', 'text': 'f', 'author': {'uniqueId': 'Banana'}}]"),
                 0);
    CHECK_NUMBER(fixture.list.count, 6);
    for (size_t i = 0; i < 4; i++) {
        CHECK(!at(i)->by_creator); /* anybody may take a nickname */
    }
    CHECK(at(4)->by_creator && at(5)->by_creator);
}

static void failure_leaves_the_list_as_it_was(void) {
    empty_list();
    CHECK_NUMBER(add("[{'cid': '1', 'text': 'a'}]"), 0);
    struct arena *full = NULL;
    CHECK_NUMBER(arena_open(&full, 1 << 17, &fixture.e), 0);
    struct comment_list list = {.arena = full};
    CHECK_NUMBER(comments_add(&list, fixture.tree, NULL, NULL, &fixture.e), 0);
    json_t *many = json_array();
    for (int i = 0; many && i < 5000; i++) {
        json_array_append_new(many, json_pack("{s:i, s:s}", "cid", 100 + i, "text", "b"));
    }
    CHECK_NUMBER(json_array_size(many), 5000);
    CHECK_NUMBER(comments_add(&list, many, NULL, NULL, &fixture.e), ERR_MEMORY);
    CHECK_NUMBER(list.count, 1);
    CHECK_TEXT(list.items[0].text, "a");
    json_decref(many);
    arena_close(full);
}

/* A million opening brackets are refused by the parser; what it lets through is bounded here. */
static void deep_nesting_is_dropped(void) {
    enum { LEVELS = 500 };
    char json[LEVELS * 64 + 1];
    size_t size = 0;
    for (int i = 0; i < LEVELS; i++) {
        size +=
            (size_t)snprintf(json + size, sizeof json - size,
                             "%s{'cid':'%d','text':'t','replies':", i ? "[" : "{'comments':[", i);
    }
    size += (size_t)snprintf(json + size, sizeof json - size, "[]");
    for (int i = 0; i < LEVELS; i++) {
        size += (size_t)snprintf(json + size, sizeof json - size, "}]");
    }
    snprintf(json + size, sizeof json - size, "}");
    empty_list();
    CHECK_NUMBER(add(json), 0);
    CHECK(fixture.list.count >= 8 && fixture.list.count < 64);
    CHECK_NUMBER(fixture.list.dropped, 1);
}

/* ---- threads ---- */

static void replies_go_after_the_comment_they_answer(void) {
    CHECK_TEXT(order_in_threads("[{'cid': 'a', 'text': 'A'}, {'cid': 'b', 'text': 'B'},"
                                "{'cid': 'b1', 'text': 'B1', 'parent': 'b'},"
                                "{'cid': 'a1', 'text': 'A1', 'parent': 'a'},"
                                "{'cid': 'a11', 'text': 'A11', 'parent': 'a1'},"
                                "{'cid': 'a2', 'text': 'A2', 'parent': 'a'},"
                                "{'cid': 'a12', 'text': 'A12', 'parent': 'a1'}]"),
               "A A1 A11 A12 A2 B B1");
}

static void reply_that_comes_before_its_root(void) {
    CHECK_TEXT(order_in_threads("[{'cid': 'a1', 'text': 'A1', 'parent': 'a'},"
                                "{'cid': 'b', 'text': 'B'}, {'cid': 'a', 'text': 'A'}]"),
               "B A A1");
}

static void reply_without_its_parent_stays(void) {
    CHECK_TEXT(order_in_threads("[{'cid': 'a', 'text': 'A'},"
                                "{'cid': 'x', 'text': 'X', 'parent': 'gone'},"
                                "{'cid': 'x1', 'text': 'X1', 'parent': 'x'},"
                                "{'cid': 'b', 'text': 'B'}, {'text': 'N', 'author': 'n'}]"),
               "A X X1 B N");
    CHECK_TEXT(at(1)->parent, "gone");
}

static void reply_without_its_parent_stays_in_its_thread(void) {
    CHECK_TEXT(order_in_threads("[{'cid': 'a', 'text': 'A'}, {'cid': 'b', 'text': 'B'},"
                                "{'cid': 'a2', 'text': 'A2', 'reply_id': 'a',"
                                " 'reply_to_reply_id': 'gone'}]"),
               "A A2 B");
}

static void rings_of_parents_are_cut_at_the_first(void) {
    CHECK_TEXT(order_in_threads("[{'cid': 'r', 'text': 'R'},"
                                "{'cid': 'tail', 'text': 'TAIL', 'parent': 'c'},"
                                "{'cid': 'a', 'text': 'A', 'parent': 'c'},"
                                "{'cid': 'b', 'text': 'B', 'parent': 'a'},"
                                "{'cid': 'c', 'text': 'C', 'parent': 'b'},"
                                "{'cid': 's', 'text': 'S', 'parent': 's'}]"),
               "R A B C TAIL S");
    CHECK_TEXT(at(5)->id, "s");
    CHECK_TEXT(at(5)->parent, NULL); /* nothing answers itself */
}

/* 2^20 comments: a chain of half of them, each the answer to the one before, in reverse order, and
 * as many replies to one root. A quadratic step would take hours. */
static void million_comments_are_threaded_in_seconds(void) {
    enum { HALF = 1 << 19 };
    empty_list();
    struct comment_list *list = &fixture.list;
    char(*ids)[16] = calloc(2 * HALF, sizeof *ids);
    list->items = calloc(2 * HALF, sizeof *list->items);
    if (!CHECK(ids && list->items)) {
        return;
    }
    for (size_t i = 0; i < 2 * HALF; i++) {
        snprintf(ids[i], sizeof ids[i], "%zu", i);
    }
    for (size_t i = 0; i < 2 * HALF; i++) {
        const char *parent = i + 1 < HALF ? ids[i + 1] : i > HALF ? ids[HALF] : NULL;
        list->items[i] = (struct comment){.id = ids[i], .parent = parent, .text = "t"};
    }
    list->count = 2 * HALF;
    struct timespec begin, end;
    CHECK_NUMBER(clock_gettime(CLOCK_MONOTONIC, &begin), 0);
    CHECK_NUMBER(comments_thread(list, &fixture.e), 0);
    CHECK_NUMBER(clock_gettime(CLOCK_MONOTONIC, &end), 0);
    CHECK(end.tv_sec - begin.tv_sec < 60);
    CHECK_TEXT(list->items[0].id, ids[HALF - 1]); /* the chain's root, then down the chain */
    CHECK_TEXT(list->items[1].id, ids[HALF - 2]);
    CHECK_TEXT(list->items[HALF - 1].id, ids[0]);
    CHECK_TEXT(list->items[HALF].id, ids[HALF]);
    CHECK_TEXT(list->items[2 * HALF - 1].id, ids[2 * HALF - 1]);
    free(list->items);
    free(ids);
}

/* ---- what is written ---- */

static void json_of_the_list(void) {
    empty_list();
    CHECK_NUMBER(add("[{'cid': '1', 'text': 'a \\u201cquote\\u201d', 'uniqueId': 'banana',"
                     " 'diggCount': 3, 'createTime': 1662400000, 'pinnedByAuthor': true},"
                     "{'cid': '2', 'text': 'b', 'repliesToId': '1'}]"),
                 0);
    json_t *written = comments_to_json(&fixture.list);
    struct bytes text;
    bytes_init(&text, 1 << 20);
    CHECK(written && json_append(&text, written, &fixture.e) == 0);
    CHECK_TEXT(bytes_text(&text),
               "[{\"id\":\"1\",\"parent\":null,\"author\":\"banana\",\"text\":\"a “quote”\","
               "\"likes\":3,\"created\":1662400000,\"by_creator\":true,\"pinned\":true},"
               "{\"id\":\"2\",\"parent\":\"1\",\"author\":null,\"text\":\"b\","
               "\"likes\":0,\"created\":null,\"by_creator\":false,\"pinned\":false}]");
    bytes_close(&text);
    json_decref(written);
}

static void json_of_the_list_reads_back(void) {
    empty_list();
    CHECK_NUMBER(add("{'comments': [{'cid': '1', 'text': 'a', 'uniqueId': 'banana', 'likes': 3,"
                     " 'createTime': 1662400000, 'pinned': true},"
                     "{'cid': '2', 'text': 'b', 'repliesToId': '1'}, {'text': 'c'}]}"),
                 0);
    json_t *written = comments_to_json(&fixture.list);
    struct comment_list again = {.arena = fixture.arena};
    CHECK_NUMBER(comments_add(&again, written, "713", NULL, &fixture.e), 0);
    if (CHECK(again.count == 3)) {
        CHECK_TEXT(again.items[0].author, "banana");
        CHECK_NUMBER(again.items[0].likes, 3);
        CHECK_NUMBER(again.items[0].created, 1662400000);
        CHECK(again.items[0].by_creator && again.items[0].pinned);
        CHECK_TEXT(again.items[1].parent, "1");
        CHECK_NUMBER(again.items[1].created, -1);
        CHECK_TEXT(again.items[2].text, "c");
    }
    json_decref(written);
}

int main(void) {
    RUN(ytdlp_info_file);
    RUN(tiktok_web_page_with_nested_replies);
    RUN(nested_reply_without_links_answers_the_comment_around_it);
    RUN(tiktok_research_page);
    RUN(clip_as_parent_means_root);
    RUN(scraper_export);
    RUN(lines_of_comments_and_lines_of_pages);
    RUN(lists_without_comments);
    RUN(entries_without_text_are_counted);
    RUN(repeated_ids_are_dropped_over_files_too);
    RUN(entries_without_id_are_never_repeats);
    RUN(comments_of_other_clips_are_left_out);
    RUN(clips_of_a_file);
    RUN(absurd_numbers_are_unknown);
    RUN(html_becomes_plain_text);
    RUN(html_of_unclosed_tags_takes_linear_time);
    RUN(only_names_of_accounts_mark_the_creator);
    RUN(failure_leaves_the_list_as_it_was);
    RUN(deep_nesting_is_dropped);
    RUN(replies_go_after_the_comment_they_answer);
    RUN(reply_that_comes_before_its_root);
    RUN(reply_without_its_parent_stays);
    RUN(reply_without_its_parent_stays_in_its_thread);
    RUN(rings_of_parents_are_cut_at_the_first);
    RUN(million_comments_are_threaded_in_seconds);
    RUN(json_of_the_list);
    RUN(json_of_the_list_reads_back);
    close_fixture();
    return test_finish();
}
