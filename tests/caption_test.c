/* caption_test.c - markup taken off, creator captions, rolling captions. Files and tracks are the
 * matter of caption_track_test.c. */
#include "ingest/captions/caption.h"

#include "store/json.h"
#include "tests/cues.h"

/* ---- markup ---------------------------------------------------------------------------------- */

typedef int strip_function(struct bytes *out, const char *text, size_t size, struct error *e);

static void check_strip(strip_function *strip, const char *text, const char *wanted, int line) {
    struct bytes out;
    bytes_init(&out, 1000);
    CHECK_NUMBER(strip(&out, text, strlen(text), NULL), 0);
    test_text(bytes_text(&out), wanted, __FILE__, line);
    bytes_close(&out);
}
#define CHECK_STRIP(text, wanted) check_strip(caption_strip_ass, (text), (wanted), __LINE__)
#define CHECK_SUBRIP(text, wanted) check_strip(caption_strip_subrip, (text), (wanted), __LINE__)

static void override_blocks_go_and_line_breaks_become_newlines(void) {
    CHECK_STRIP("{\\an8\\pos(10,20)}Top{\\i1}most{\\i0}", "Topmost");
    CHECK_STRIP("one\\Ntwo\\nthree\\hfour", "one\ntwo\nthree four");
    CHECK_STRIP("{}{\\b1}{a comment}", "");
    CHECK_STRIP("{outer {inner} rest", "rest"); /* a block ends at the first '}', as in libass */
    CHECK_STRIP("smile :-{ and go", "smile :-{ and go");
    CHECK_STRIP("a } b", "a } b");
}

static void escaped_braces_and_backslashes_are_text(void) {
    CHECK_STRIP("set = \\{1, 2\\}", "set = {1, 2}");
    CHECK_STRIP("set = \\{{}1\\}", "set = {1}"); /* as FFmpeg 6 and later escape a brace */
    CHECK_STRIP("C:\\\\new", "C:\\new");
    CHECK_STRIP("C:\\\xE2\x81\xA0new", "C:\\new"); /* as FFmpeg 6 and later escape a backslash */
    CHECK_STRIP("end \\", "end \\");
}

static void drawings_are_not_text(void) {
    CHECK_STRIP("{\\p1}m 0 0 l 100 0 100 50{\\p0}caption", "caption");
    CHECK_STRIP("{\\an7\\p4\\bord0}m 0 0\\N<b> l 1 &amp; {not drawn}", "");
    CHECK_STRIP("{\\pos(1,2)\\pbo10}caption", "caption"); /* other overrides with a p */
    CHECK_STRIP("{\\p1}m 0 0{\\p}caption", "caption");
}

/* ingest 12 */
static void html_is_text_in_ass(void) {
    CHECK_STRIP("use <b> and <br>, &amp; and &lt;", "use <b> and <br>, &amp; and &lt;");
    CHECK_STRIP("so<00:00:00.560> <c>it</c>", "so<00:00:00.560> <c>it</c>");
}

static void known_html_goes_from_subrip_and_look_alikes_stay(void) {
    CHECK_SUBRIP("<i>Hi</i> <FONT color=\"#ff0000\" face='x'>red</FONT>", "Hi red");
    CHECK_SUBRIP("so<00:00:00.560><c> today</c><c.colorE5E5E5> we</c>", "so today we");
    CHECK_SUBRIP("<v Bob>one<br/>two", "one\ntwo");
    CHECK_SUBRIP("I <3 you, a < b > c, <- here, x<y>z", "I <3 you, a < b > c, <- here, x<y>z");
    CHECK_SUBRIP("<i unclosed <b>", "<i unclosed");
    CHECK_SUBRIP("Tom &amp; Jerry &lt;3 &#39;x&#x27; &quot;&apos;", "Tom & Jerry <3 'x' \"'");
    CHECK_SUBRIP("&lt;i&gt; &amp;amp;", "<i> &amp;"); /* resolved once */
    CHECK_SUBRIP("R&D, AT&T; &bogus; &#; &#0; &#xD800; &#99999999;",
                 "R&D, AT&T; &bogus; &#; &#0; &#xD800; &#99999999;");
}

/* ingest 12 */
static void subrip_keeps_braces_backslashes_and_names_of_characters(void) {
    CHECK_SUBRIP("set = {1, 2} {you} \\{x\\}", "set = {1, 2} {you} \\{x\\}");
    CHECK_SUBRIP("{\\an8}Top{\\i1}most {y:i}{unclosed", "Topmost {unclosed");
    CHECK_SUBRIP("in C:\\New\\home", "in C:\\New\\home");
    CHECK_SUBRIP("C:\\new", "C:\\new");
    CHECK_SUBRIP("a \\o/ \\N", "a \\o/ \\N");
    CHECK_SUBRIP("{\\an8}one\\Ntwo\\h\\hthree", "one\ntwo three"); /* converted ASS and teletext */
    CHECK_SUBRIP("caf&eacute;&hellip; &lt;b&gt; &eacute", "caf\u00E9\u2026 <b> &eacute");
}

static void blanks_collapse_and_zero_width_edges_go(void) {
    CHECK_STRIP(" \t a   b\\h\\h c \\N \\N\r\n d\u00A0\u00A0e ", "a b c\nd e");
    CHECK_STRIP("\xEF\xBB\xBF\xE2\x80\x8B hello \xE2\x80\x8B\xE2\x80\x8E", "hello");
    CHECK_STRIP("\xE2\x80\x8B\\N\xE2\x80\x8B", "");
    CHECK_STRIP("one\xE2\x80\x8B\\N\xE2\x80\x8B\\Ntwo", "one\ntwo");
    CHECK_STRIP("\xD9\x85\xDB\x8C\xE2\x80\x8C\xD8\xAE", "\xD9\x85\xDB\x8C\xE2\x80\x8C\xD8\xAE");
    CHECK_STRIP("bell\x07tab\x0B\x7Fx", "bell tab x");
    CHECK_STRIP("caf\xE9 au lait", "caf\xEF\xBF\xBD au lait");
}

static void strip_appends_and_leaves_nothing_behind_when_it_fails(void) {
    struct bytes out;
    struct error e = {0};
    bytes_init(&out, 12);
    CHECK_NUMBER(bytes_append_text(&out, "- ", NULL), 0);
    CHECK_NUMBER(caption_strip_ass(&out, " {x}hello", 9, NULL), 0);
    CHECK_TEXT(bytes_text(&out), "- hello");
    CHECK_NUMBER(caption_strip_ass(&out, "too long", 8, &e), ERR_LIMIT);
    CHECK_TEXT(bytes_text(&out), "- hello");
    bytes_close(&out);
}

/* ---- creator captions ------------------------------------------------------------------------ */

static int read_creator(const char *json) {
    struct error e = {0};
    json_t *root = json_read(json, strlen(json), NULL, &e);
    CHECK(root != NULL);
    int rc = caption_read_creator_json(&cues, root, &e);
    json_decref(root);
    return rc;
}

static void creator_captions_are_read(void) {
    cues_begin();
    CHECK_NUMBER(
        read_creator("{\"utterances\": ["
                     "{\"start_time\": 1840, \"end_time\": 3000, \"text\": \"wait {for} it <3\"},"
                     "{\"start_time\": 40, \"end_time\": 1840, \"text\": \"\\ufeffthis is\\n \"},"
                     "{\"start_time\": \"4000\", \"text\": \"no end\"},"
                     "{\"start_time\": 5000, \"end_time\": 5000, \"text\": \"nor here\"},"
                     "{\"start_time\": 99999999999999999, \"end_time\": 1, \"text\": \"never\"},"
                     "{\"text\": \"no start\"}, {\"start_time\": 1}, 7, null]}"),
        0);
    CHECK_CUES("40-1840 this is;1840-3000 wait {for} it <3;4000-5000 no end;5000-12000 nor here;");
    CHECK_NUMBER(read_creator("{\"utterances\": []}"), ERR_FORMAT);
    CHECK_NUMBER(read_creator("{\"utterances\": \"x\"}"), ERR_FORMAT);
    CHECK_NUMBER(read_creator("[1, 2]"), ERR_FORMAT);
    CHECK_NUMBER(cues.count, 4);
    cues_end();
}

/* ---- rolling captions ------------------------------------------------------------------------ */

static void a_line_that_grows_word_by_word_gives_its_final_text(void) {
    cues_begin();
    add(0, 500, "I");
    add(500, 900, "I am");
    add(900, 2000, "I am here");
    add(2000, 2400, "I am here\nand");
    add(2400, 3000, "I am here\nand you");
    add(3000, 3500, "and you are");
    add(3500, 4000, "and you are\nthere");
    add(9000, 9500, "\u4ECA\u65E5"); /* no blanks between words in Japanese */
    add(9500, 9900, "\u4ECA\u65E5\u306F");
    add(9900, 10000, "\u4ECA\u65E5\u306F\u96E8");
    caption_collapse_rolling(&cues);
    CHECK_CUES("0-2000 I am here;2000-3500 and you are;3500-4000 there;"
               "9000-10000 \u4ECA\u65E5\u306F\u96E8;");
    cues_end();
}

/* ingest 16 */
static void lines_of_two_words_grow_among_others(void) {
    cues_begin();
    add(0, 300, "one");
    add(300, 600, "one two");
    add(600, 900, "one two three");
    add(900, 1200, "ten");
    add(1200, 1500, "ten eleven");
    add(1500, 1800, "four");
    add(1800, 2100, "four five");
    add(2100, 2400, "four five six");
    caption_collapse_rolling(&cues);
    CHECK_CUES("0-900 one two three;900-1500 ten eleven;1500-2400 four five six;");
    cues_end();
    cues_begin(); /* only such lines, one said twice, and one of one word */
    add(0, 300, "one");
    add(300, 600, "one two");
    add(600, 900, "yes");
    add(900, 1200, "one");
    add(1200, 1500, "one two");
    add(4000, 4300, "three");
    add(4300, 4600, "three four");
    caption_collapse_rolling(&cues);
    CHECK_CUES("0-600 one two;600-900 yes;900-1500 one two;4000-4600 three four;");
    cues_end();
}

static void a_window_of_three_lines_that_scrolls_gives_each_line_once(void) {
    cues_begin();
    add(0, 1000, "GOOD EVENING.\nI'M ANN.");
    add(1000, 2000, "GOOD EVENING.\nI'M ANN.\nTONIGHT:");
    add(2000, 3000, "I'M ANN.\nTONIGHT:\nTHE WEATHER.");
    add(3000, 4000, "TONIGHT:\nTHE WEATHER.\nRAIN AGAIN");
    add(4000, 5000, "RAIN AGAIN AND SNOW\n>> THANKS, ANN.");
    caption_collapse_rolling(&cues);
    CHECK_CUES("0-1000 GOOD EVENING.|I'M ANN.;1000-2000 TONIGHT:;2000-3000 THE WEATHER.;"
               "3000-5000 RAIN AGAIN AND SNOW|>> THANKS, ANN.;");
    cues_end();
}

/* The first window comes up with two lines and one of them is gone when the other one grows. */
static void words_are_never_lost_when_part_of_a_first_cue_scrolls_away(void) {
    cues_begin();
    add(0, 1000, "Hello\nI");
    add(1000, 2000, "I am");
    add(2000, 3000, "I am here");
    caption_collapse_rolling(&cues);
    CHECK_CUES("0-1000 Hello|I;1000-3000 am here;");
    cues_end();
}

static void check_unchanged(int line) {
    struct cue before[16];
    size_t count = cues.count;
    CHECK(count > 0 && count <= 16);
    memcpy(before, cues.items, count * sizeof *before);
    caption_collapse_rolling(&cues);
    test_number((long long)cues.count, (long long)count, __FILE__, line);
    for (size_t i = 0; i < count && i < cues.count; i++) {
        test_text(cues.items[i].text, before[i].text, __FILE__, line);
        test_number(cues.items[i].start_ms, before[i].start_ms, __FILE__, line);
        test_number(cues.items[i].end_ms, before[i].end_ms, __FILE__, line);
    }
}

static void ordinary_captions_are_left_alone(void) {
    cues_begin(); /* two frames apart, as people time captions */
    add(0, 1000, "Ha!");
    add(1083, 2000, "Ha!");
    add(2083, 3000, "Ha!\nHa!");
    add(3083, 4000, "Ha! Ha!");
    check_unchanged(__LINE__);
    cues_end();
    cues_begin(); /* touching, with repeated lines in a song */
    add(0, 2000, "Hey there\nna na na");
    add(2000, 4000, "na na na\nhey there");
    add(4000, 6000, "Good night");
    add(6000, 8000, "Good night, my dear");
    add(8000, 10000, "Hey there\nna na na");
    check_unchanged(__LINE__);
    cues_end();
    cues_begin(); /* touching, one beginning like the other by chance */
    add(0, 1500, "I know");
    add(1500, 3000, "I know you are there");
    add(3000, 4000, "How?");
    add(4000, 5000, "However you like.");
    add(4500, 5500, "- At the same time.");
    check_unchanged(__LINE__);
    cues_end();
}

static void add_spoken(int64_t start_ms, int64_t end_ms, const char *speaker, const char *text) {
    add(start_ms, end_ms, text);
    cues.items[cues.count - 1].speaker = speaker;
}

static void texts_of_different_speakers_are_not_joined(void) {
    cues_begin();
    add_spoken(0, 1000, "Ann", "Yes.");
    add_spoken(1000, 2000, "Bob", "Yes.");
    add_spoken(2000, 3000, NULL, "Yes.");
    add_spoken(3000, 4000, "Bob", "Yes.\nWell");
    add_spoken(4000, 5000, "Ann", "Yes.\nWell\nno.");
    check_unchanged(__LINE__);
    CHECK_TEXT(cues.items[1].speaker, "Bob");
    cues_end();
    cues_begin(); /* one speaker's window scrolls, then another one's */
    add_spoken(0, 1000, "Ann", "one\ntwo");
    add_spoken(1000, 2000, "Ann", "two\nthree");
    add_spoken(2000, 3000, "Ann", "three\nfour");
    add_spoken(3000, 4000, "Bob", "four\nfive");
    add_spoken(4000, 4010, "Bob", "five");
    add_spoken(4010, 5000, "Bob", "five\nsix");
    caption_collapse_rolling(&cues);
    CHECK_CUES("0-1000 one|two;1000-2000 three;2000-3000 four;3000-4010 four|five;4010-5000 six;");
    CHECK_TEXT(cues.items[2].speaker, "Ann");
    CHECK_TEXT(cues.items[4].speaker, "Bob");
    cues_end();
}

static void repeats_that_touch_are_joined_and_lists_put_into_order(void) {
    cues_begin();
    add(5000, 6000, "second");
    add(1000, 1040, "sign"); /* one caption a frame, as in animated ASS */
    add(1080, 1120, "sign");
    add(1040, 1080, "sign");
    add(3000, 4000, "shadow"); /* two layers of the same text */
    add(3000, 4000, "shadow");
    caption_collapse_rolling(&cues);
    CHECK_CUES("1000-1120 sign;3000-4000 shadow;5000-6000 second;");
    cues_end();
    cues_begin();
    caption_collapse_rolling(&cues); /* an empty list */
    CHECK_NUMBER(cues.count, 0);
    cues_end();
}

static void long_recordings_are_collapsed_too(void) {
    enum { LINES = 50000 };
    cues_begin();
    for (int i = 0; i < LINES; i++) {
        char text[64];
        snprintf(text, sizeof text, "line number %d\nline number %d", i, i + 1);
        add((int64_t)i * 2000, (int64_t)i * 2000 + 1990, text);
        snprintf(text, sizeof text, "line number %d", i + 1);
        add((int64_t)i * 2000 + 1990, (int64_t)i * 2000 + 2000, text);
    }
    caption_collapse_rolling(&cues);
    CHECK_NUMBER(cues.count, LINES);
    CHECK_TEXT(cues.items[0].text, "line number 0\nline number 1");
    CHECK_TEXT(cues.items[LINES - 1].text, "line number 50000");
    CHECK_NUMBER(cues.items[LINES - 1].end_ms, LINES * 2000);
    cues_end();
}

int main(void) {
    RUN(override_blocks_go_and_line_breaks_become_newlines);
    RUN(escaped_braces_and_backslashes_are_text);
    RUN(drawings_are_not_text);
    RUN(html_is_text_in_ass);
    RUN(known_html_goes_from_subrip_and_look_alikes_stay);
    RUN(subrip_keeps_braces_backslashes_and_names_of_characters);
    RUN(blanks_collapse_and_zero_width_edges_go);
    RUN(strip_appends_and_leaves_nothing_behind_when_it_fails);
    RUN(creator_captions_are_read);
    RUN(a_line_that_grows_word_by_word_gives_its_final_text);
    RUN(lines_of_two_words_grow_among_others);
    RUN(a_window_of_three_lines_that_scrolls_gives_each_line_once);
    RUN(words_are_never_lost_when_part_of_a_first_cue_scrolls_away);
    RUN(ordinary_captions_are_left_alone);
    RUN(texts_of_different_speakers_are_not_joined);
    RUN(repeats_that_touch_are_joined_and_lists_put_into_order);
    RUN(long_recordings_are_collapsed_too);
    return test_finish();
}
