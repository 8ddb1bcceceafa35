/* webvtt_test.c - WebVTT files and the text of their cues, as the W3C text says it.
 *
 * The cases are ours, made after those of two public suites and named after them. Of the 239 files
 * with expected cues in videojs/vtt.js (tests/), 226 give the same times and text. The other 13:
 *   bom-garbage-data, bom-tab-webvtt, newline-before-webvtt, tab-after-bom-before-header,
 *   bad-double-webvtt, fraction-digits, min-mid-digits: no header, or times with other numbers of
 *     digits; we read them, nothing is lost by it
 *   header-no-new-line, id: the suite expects what an older draft said; a line with "-->" begins a
 *     cue today
 *   no-end-gt, cue-content: a tag without '>': the draft drops the rest, we keep it
 *   minimum-spots-over-sixty: "120:00.000" is two hours here, 120 hours there, no time in the draft
 *   spec-example: control characters in the text, which we drop
 * Of web-platform-tests (webvtt/parsing/file-parsing) arrows, ids, newlines, whitespace-chars,
 * stylesheets-newlines and timings-omitted-hours give the cues that are wanted there; so does
 * nulls, but for three of its invalid times, which only have other numbers of digits, as those of
 * timings-too-short and timings-too-long have; the cues of timings-negative get an end after their
 * start. */
#include "tests/caption_file.h"

#define HEAD "WEBVTT\n\n"
#define FIRST "00:01.000 --> 00:02.000\n"
#define SECOND "00:03.000 --> 00:04.000\n"

static void check_bytes(const char *text, size_t size, size_t untimed, const char *wanted,
                        int line) {
    check_file(text, size, "vtt", untimed, wanted, __FILE__, line);
}
#define CHECK_VTT(text, wanted) check_bytes((text), sizeof(text) - 1, 0, (wanted), __LINE__)
#define CHECK_LOST(text, untimed, wanted)                                                          \
    check_bytes((text), sizeof(text) - 1, (untimed), (wanted), __LINE__)

/* The text of one cue. */
static void check_text(const char *text, const char *wanted, int line) {
    char file[600], cue[300];
    snprintf(file, sizeof file, HEAD FIRST "%s\n", text);
    snprintf(cue, sizeof cue, *wanted ? "1000-2000 %s;" : "%s", wanted);
    check_bytes(file, strlen(file), 0, cue, line);
}
#define CHECK_TEXT_OF(text, wanted) check_text((text), (wanted), __LINE__)

/* ---- files ----------------------------------------------------------------------------------- */

/* ingest 11 */
static void a_line_with_an_arrow_ends_a_cue_and_begins_the_next(void) {
    CHECK_VTT(HEAD FIRST "yeah\nwhat\n" SECOND "this\n\n00:05.000 --> 00:06.000\nend\n",
              "1000-2000 yeah|what;3000-4000 this;5000-6000 end;");
    CHECK_VTT(HEAD FIRST "a\n" SECOND "b\n00:05.000 --> 00:06.000\nc", /* cue-spacing */
              "1000-2000 a;3000-4000 b;5000-6000 c;");
    CHECK_VTT(HEAD "1\n" FIRST "a\n2\n" SECOND "b\n", "1000-2000 a|2;3000-4000 b;");
    CHECK_VTT(HEAD FIRST
              "a\n00:02.000 --> 00:03.000 align:start position:0%\n \nb", /* youtube_dl */
              "1000-2000 a;2000-3000 b;");
    CHECK_VTT(HEAD "-->\n" FIRST "a\nfoo-->\n" SECOND
                   "b\n--->\n00:05.000 --> 00:06.000\nc\n" /* arrows */
                   "-->-->\n00:06.000 --> 00:07.000\nd\n\n00:07.000 - -->\n\n00:08.000 -- -->",
              "1000-2000 a;3000-4000 b;5000-6000 c;6000-7000 d;");
    CHECK_VTT("WEBVTT\n" FIRST "a", "1000-2000 a;");              /* header-timings */
    CHECK_VTT("WEBVTT\nKind: x\n" FIRST "a", "1000-2000 a;");     /* metadata_headers */
    CHECK_VTT(HEAD "NOTE\n" FIRST "a\n", "1000-2000 a;");         /* an identifier */
    CHECK_VTT(HEAD "STYLE\n::cue{}\n" FIRST "a", "1000-2000 a;"); /* no blank line after it */
    CHECK_VTT(HEAD "NOTE a\nb\n" FIRST "c\n", "1000-2000 c;");
    CHECK_LOST(HEAD FIRST "Text\n- --> 5\nText\n", 1, "1000-2000 Text;"); /* invalid_timeframe */
}

static void identifiers_and_blocks_of_other_kinds_are_not_text(void) {
    CHECK_VTT(HEAD " leading space\n" FIRST "a\n\n-- >\n" SECOND
                   "b\n\n \n00:05.000 --> 00:06.000\nc",
              "1000-2000 a;3000-4000 b;5000-6000 c;"); /* ids */
    CHECK_VTT(
        "WEBVTT - \xE2\x98\xBA\nLanguage: en\n\nNOTE\n\nNOTE a\nb -> c\n\nNOTE\td\n\nSTYLE \n::cue "
        "{\n}\n\nREGION\nid:a\n\n" FIRST "x\n\nNOTE y\n\nSTYLE\n::cue { }",
        "1000-2000 x;"); /* many-comments, styles */
    CHECK_VTT(HEAD FIRST "NOTES\n\n" SECOND "STYLE\nfree", "1000-2000 NOTES;3000-4000 STYLE|free;");
    CHECK_VTT("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n" FIRST
              "a\n\nWEBVTT\n\n" SECOND "b", /* the parts of a stream */
              "1000-2000 a;3000-4000 b;");
    CHECK_VTT(FIRST "no header", "1000-2000 no header;");
    CHECK_VTT("\xEF\xBB\xBFWEBVTT\tx\n\n" FIRST "a",
              "1000-2000 a;"); /* webvtt-with-bom, webvtt-tab */
    CHECK_VTT("WEBVTT", "");   /* signature-no-newline */
}

/* The blank line parts the text from its times: by the standard the cue is empty and the text
 * dropped. */
static void text_after_a_blank_line_is_kept_or_counted(void) {
    CHECK_VTT(HEAD FIRST "\ncongratulations\n\n" SECOND "last\n",
              "1000-2000 congratulations;3000-4000 last;");
    CHECK_VTT(HEAD "1\n" FIRST "\n\na\nb\n\nc\n\n2\n" SECOND "\n\nNOTE d\n\n10\n",
              "1000-2000 a|b;1000-2000 c;3000-4000 10;");
    CHECK_VTT(HEAD FIRST "\n2\n" SECOND "b\n", "3000-4000 b;"); /* an empty cue */
    CHECK_LOST(HEAD "who\n\n" FIRST "a\n\nsays\nthis\n\n" SECOND "b\n\n00:99 --> soon\nwhen\n", 3,
               "1000-2000 a;3000-4000 b;");
}

/* ingest 14 */
static void every_line_end_ends_a_line(void) {
    CHECK_VTT("WEBVTT\r\r00:01.000 --> 00:02.000\ras\rmore\r\r00:03.000 --> 00:04.000\rbeta\r",
              "1000-2000 as|more;3000-4000 beta;");
    CHECK_VTT("WEBVTT\r\n\r\n00:01.000 --> 00:02.000\r\nas\r\nmore\r\n\r\nx\r\n00:03.000 --> "
              "00:04.000\r\nb",
              "1000-2000 as|more;3000-4000 b;");
    CHECK_VTT("WEBVTT\n\ncr\r00:01.000 --> 00:02.000\ra\r\rlf\n" SECOND
              "b\n\ncrlf\r\n00:05.000 --> 00:06.000\r\nc\r\n\n\r00:07.000 --> 00:08.000\nd\n\r",
              "1000-2000 a;3000-4000 b;5000-6000 c;7000-8000 d;"); /* newlines */
    CHECK_VTT("WEBVTT\r\r\n\r\r\n00:01.000 --> 00:02.000\r\r\na\r\r\nb\r\r\n", "1000-2000 a|b;");
}

/* ingest 14 */
static void blanks_stand_before_and_between_times(void) {
    CHECK_VTT(HEAD "  00:01.000 --> 00:02.000\n  alpha\n\n\t00:03.000 --> 00:04.000\n\tbeta\n",
              "1000-2000 alpha;3000-4000 beta;");
    CHECK_VTT(HEAD "\f\f00:01.000\f-->\t 00:02.000\f\na\n\n00:03.000-->00:04.000align:end\nb",
              "1000-2000 a;3000-4000 b;");
    CHECK_LOST(HEAD "\v00:01.000 --> 00:02.000\na\n\n" SECOND "b", 1, "3000-4000 b;");
}

/* ingest 15 */
static void times_have_any_number_of_digits(void) {
    CHECK_VTT(HEAD "0:1:5.2 --> 0:1:7.25\na\n\n1:00:10.123456 --> 1:00:10.999999999\nb",
              "65200-67250 a;3610123-3610999 b;");
    CHECK_VTT(HEAD "00:00.0 --> 00:01,5\na\n\n00:02.1000 --> 00:03.1001\nb",
              "0-1500 a;3000-3100 b;");
    CHECK_VTT(HEAD "00:01 --> 00:00:02\na\n", "1000-2000 a;");
    CHECK_VTT(HEAD "100:00:01.000 --> 0000000100:00:02.000\na\n\n123456:00:00.000 --> "
                   "123456:00:01.000\nb\n",
              "360001000-360002000 a;444441600000-444441601000 b;");
    CHECK_VTT(HEAD "-00:00:01.000 --> 00:00:01.000\na", "0-1000 a;");
}

/* ingest 13 */
static void a_cue_that_does_not_end_after_its_start_gets_an_end(void) {
    CHECK_VTT(HEAD FIRST "beta\n\n00:05.000 --> 00:03.000\nalpha\n",
              "1000-2000 beta;5000-12000 alpha;");
    CHECK_VTT(
        HEAD
        "00:01.000 --> 00:00.999\na\n\n00:02.500 --> 00:02.500\nb\n\n00:20.000 --> 00:01.000\nc",
        "1000-2500 a;2500-9500 b;20000-27000 c;"); /* timings-negative */
    CHECK_VTT(HEAD "00:05.000 --> 00:04.000\nb\n\n00:01.000 --> 00:00.000\na\n\n00:01.000 --> "
                   "00:00.000\nA\n",
              "1000-5000 a;1000-5000 A;5000-12000 b;");
    CHECK_VTT(HEAD "00:05.000 --> 00:04.000\n<v A>a<v B>b\n\n00:06.000 --> 00:07.000\n<c> </c>\n",
              "5000-6000 a;5000-6000 b;");
    CHECK_VTT(HEAD "00:01.000 --> 99999999999999999999:00:00.000\na", "1000-8000 a;");
    CHECK_LOST(HEAD "99999999999999999999:00:00.000 --> 00:01.000\na\n\n" FIRST "b", 1,
               "1000-2000 b;");
}

static void zero_bytes_are_replaced(void) {
    CHECK_VTT("WEBVTT\n\0\nstill the header\n" FIRST "a\n\n\0 id\n" SECOND "\0b\0003\n\n"
              "00:05.000 --> 00:06.000\0align:end\nc",
              "1000-2000 a;3000-4000 \uFFFDb\uFFFD3;5000-6000 c;"); /* nulls */
    CHECK_LOST(HEAD "00:0\0001.000 --> 00:02.000\na\n\n" SECOND "b", 1, "3000-4000 b;");
}

/* ---- text ------------------------------------------------------------------------------------ */

/* ingest 12 */
static void references_are_resolved_once_and_are_not_markup(void) {
    CHECK_TEXT_OF("use &lt;b&gt; for bold, &lt;br&gt; to break", "use <b> for bold, <br> to break");
    CHECK_TEXT_OF("write &amp;lt; for less, &amp;amp;", "write &lt; for less, &amp;");
    CHECK_TEXT_OF("see &lt;00:10.000&gt; &#60;i&#62; there", "see <00:10.000> <i> there");
    CHECK_TEXT_OF("caf&eacute;&hellip; &copy;&nbsp;&hearts;", "caf\u00E9\u2026 \u00A9 \u2665");
    CHECK_TEXT_OF("a&lrm;b&rlm;c a&shy;b", "a\u200Eb\u200Fc a\u00ADb");
    CHECK_TEXT_OF("&#233;&#xE9;&#XE9 &#x1F34C; &#128; &#0; &#xD800; &#99999999999;",
                  "\u00E9\u00E9\u00E9 \U0001F34C \u20AC \uFFFD \uFFFD \uFFFD");
    CHECK_TEXT_OF("&lt &ampx &notit; &notin; &eacute &NotEqualTilde;",
                  "< &x \u00ACit; \u2209 \u00E9 \u2242\u0338");
    CHECK_TEXT_OF("& &; &1; && &# &#; &#x; &am; &hellip &bogus; R&D",
                  "& &; &1; && &# &#; &#x; &am; &hellip &bogus; R&D");
    CHECK_TEXT_OF("&AElig;&zwj;a &CounterClockwiseContourIntegral; &yuml;&zwnj;b",
                  "\u00C6\u200Da \u2233 \u00FF\u200Cb"); /* the ends of the table */
}

/* ingest 12 */
static void backslashes_and_braces_are_text(void) {
    CHECK_TEXT_OF("in C:\\New\\home", "in C:\\New\\home");
    CHECK_TEXT_OF("\\N \\\\n \\h {\\an8} {you}", "\\N \\\\n \\h {\\an8} {you}");
}

static void tags_leave_no_trace(void) {
    CHECK_TEXT_OF("<c.yellow.bg_blue>a</c> <i>b</i> <b.x>c</b> <u>d</u> <lang en-GB>e</lang>",
                  "a b c d e");
    CHECK_TEXT_OF("so<00:00:01.560><c> it</c> <ruby>\u6F22<rt>kan</rt>\u5B57<rt>ji</rt></ruby>",
                  "so it \u6F22kan\u5B57ji");
    CHECK_TEXT_OF("<>a< b >c<d e>f</d></>g<.x>h<i\nj>k", "acfghk");
    CHECK_TEXT_OF("<i <b>x</i>", "x");
    CHECK_TEXT_OF("a<br>b <BR/> c", "a|b|c");
    CHECK_TEXT_OF("I <3 you, a < b", "I <3 you, a < b");
    CHECK_TEXT_OF("I <3 <i>you</i> <5", "I <3 you <5");
    CHECK_TEXT_OF("text <b", "text");
    CHECK_TEXT_OF("a > b", "a > b");
}

static void voices_are_separated(void) {
    cues_begin();
    CHECK_NUMBER(
        read_text(HEAD FIRST "<v Bob &lt;b&gt; {x}>a</v> b <v.loud\tAnn>c <vol>d<v Ann>e", "vtt"),
        0);
    CHECK_CUES("1000-2000 a;1000-2000 b;1000-2000 c de;");
    CHECK_SPEAKERS("Bob <b> {x};-;Ann;");
    cues_end();
}

/* A scan that began again at each character would not end. */
static void long_texts_of_markup_take_no_time(void) {
    enum { COUNT = 1000000 };
    static const char head[] = HEAD FIRST;
    static const char *const patterns[] = {"<",    "&", "&l", "<v>", "<1",
                                           "{\\1", "-", "{",  "\\",  "<c"};
    size_t used = sizeof head - 1;
    char *file = malloc(used + COUNT);
    if (!CHECK(file != NULL)) {
        return;
    }
    memcpy(file, head, used);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t size = strlen(patterns[i]);
        for (size_t k = 0; k < COUNT; k++) {
            file[used + k] = patterns[i][k % size];
        }
        file[used + COUNT - 1] = '>';
        cues_begin();
        int rc = read_bytes(file, used + COUNT, "vtt", NULL);
        CHECK(rc == 0 || rc == ERR_FORMAT);
        cues_end();
    }
    free(file);
}

int main(void) {
    RUN(a_line_with_an_arrow_ends_a_cue_and_begins_the_next);
    RUN(identifiers_and_blocks_of_other_kinds_are_not_text);
    RUN(text_after_a_blank_line_is_kept_or_counted);
    RUN(every_line_end_ends_a_line);
    RUN(blanks_stand_before_and_between_times);
    RUN(times_have_any_number_of_digits);
    RUN(a_cue_that_does_not_end_after_its_start_gets_an_end);
    RUN(zero_bytes_are_replaced);
    RUN(references_are_resolved_once_and_are_not_markup);
    RUN(backslashes_and_braces_are_text);
    RUN(tags_leave_no_trace);
    RUN(voices_are_separated);
    RUN(long_texts_of_markup_take_no_time);
    return test_finish();
}
