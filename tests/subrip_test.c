/* subrip_test.c - SubRip and ASS files as people and programs write them. */
#include "tests/caption_file.h"

/* ---- SubRip ---------------------------------------------------------------------------------- */

/* ingest 15 */
static void fractions_of_any_length_are_read(void) {
    CHECK_FILE("1\n00:00:01,5 --> 00:00:02,75\nalpha\n", "srt", "1500-2750 alpha;");
    CHECK_FILE(
        "1\n0:00:01.500000 --> 0:00:02.750000\nalpha\n\n2\n0:00:03.25 --> 0:00:04.125000999\nb",
        "srt", "1500-2750 alpha;3250-4125 b;");
    CHECK_FILE("00:00:04,08 --> 00:00:05,005\na\n", "srt", "4080-5005 a;");
    CHECK_FILE("00:00:00,1000 --> 00:00:02,0000\na", "srt", "1000-2000 a;"); /* a rounded second */
    CHECK_FILE("0:1:5 --> 00:01:06\na\n", "srt", "65000-66000 a;");
    CHECK_FILE("00: 0: 1, 20 --> 00: 0:12,  5\na\n", "srt", "1020-12005 a;"); /* printf("%3d") */
    CHECK_FILE("1\n00:00:00,500 --> 00:-16:-47,-300\na\n\n2\n00:-16:-47,-300 --> 00:00:02,000\nb",
               "srt", "0-2000 b;500-7500 a;");
}

/* ingest 14 */
static void every_line_end_and_blanks_before_times_are_read(void) {
    CHECK_FILE(
        "1\r00:00:01,000 --> 00:00:02,000\ras\rmore\r\r2\r00:00:03,000 --> 00:00:04,000\rb\r",
        "srt", "1000-2000 as|more;3000-4000 b;");
    CHECK_FILE(
        " 1\n  00:00:01,000  -->\t00:00:02,000\n  a\n\n\t2\n\t00:00:03,000 -> 00:00:04,000\nb",
        "srt", "1000-2000 a;3000-4000 b;");
    CHECK_FILE("\xEF\xBB\xBF\xEF\xBB\xBF"
               "1\r\r\n00:00:01,000 --> 00:00:02,000\r\r\na\r\r\nb\r\r\n",
               "srt", "1000-2000 a|b;");
}

/* ingest 13 */
static void a_last_caption_without_an_end_gets_seven_seconds(void) {
    CHECK_FILE("1\n00:00:01,000 --> 00:00:01,000\na\n\n2\n00:00:05,000 --> 00:00:03,000\nb\n",
               "srt", "1000-5000 a;5000-12000 b;");
}

static void numbers_and_blank_lines_are_text_where_they_can_be(void) {
    CHECK_FILE(
        "1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:03,000 --> 00:00:04,000\n\na\n\nb\n\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\n10\n",
        "srt", "1000-2000 42;3000-4000 a|b;5000-6000 10;");
    CHECK_FILE("1\n00:00:01,000 --> 00:00:02,000\na\n2\n00:00:03,000 --> 00:00:04,000\nb\n", "srt",
               "1000-2000 a;3000-4000 b;");
    CHECK_FILE("00:00:01,000 --> 00:00:02,000\n3\n00:00:02,000 --> 00:00:03,000\n2\n"
               "00:00:03,000 --> 00:00:04,000\n1\n\n7\n00:00:05,000 --> 00:00:06,000\nb",
               "srt", "1000-2000 3;2000-3000 2;3000-4000 1;5000-6000 b;");
    CHECK_FILE("1\n00:00:01,000 --> 00:00:02,000\nx --> y, 12:30 --> 13:30\n2 apples\n\n2\n"
               "00:00:03,000 --> 00:00:04,000\nb\n",
               "srt", "1000-2000 x --> y, 12:30 --> 13:30|2 apples;3000-4000 b;");
    CHECK_FILE("WEBVTT\nKind: captions\n\n00:00:01.000 --> 00:00:02.000\na\n", "srt",
               "1000-2000 a;");
    static const char lost[] = "the end of a line\n\n2\n00:00:03,000 --> 00:00:04,000\nb\n";
    check_file(lost, sizeof lost - 1, "srt", 1, "3000-4000 b;", __FILE__, __LINE__);
}

/* ingest 12 */
static void text_that_only_looks_like_markup_stays(void) {
    CHECK_FILE(
        "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}in C:\\New\\home {you} <i>I <3</i> &lt;b&gt;\n",
        "srt", "1000-2000 in C:\\New\\home {you} I <3 <b>;");
}

/* ---- ASS ------------------------------------------------------------------------------------- */

#define EVENTS "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
#define FORMAT "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"

/* ingest 14 */
static void ass_files_have_any_line_end(void) {
    CHECK_FILE("[Events]\rDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,a, b\r  dialogue: "
               "0,0:00:03.00,0:00:04.00,Default,,0,0,0,,c\r",
               "ass", "1000-2000 a, b;3000-4000 c;");
}

/* Fields in an order of the file's own. */
static void the_format_line_tells_the_order_of_fields(void) {
    CHECK_FILE(EVENTS
               "Format: Start, End, Style, Text\nDialogue: 0:00:01.00,0:00:02.00,Default,a, b\n",
               "ass", "1000-2000 a, b;");
    CHECK_FILE("[V4+ Styles]\nFormat: Name, Fontname\nStyle: D,Arial\n" EVENTS
               "Format:Text , Name,End,Start\nDialogue: a, b\\Nc,Ann,0:00:02.00,0:00:01.00\n",
               "ssa", "1000-2000 a, b|c;");
    CHECK_FILE(EVENTS FORMAT "Dialogue: Marked=0,0:00:01.00,0:00:02.00,*Default,NTP,0,0,0,,a\n",
               "ssa", "1000-2000 a;");
    static const char lost[] =
        EVENTS FORMAT "Dialogue: 0,soon,0:00:02.00,Default,,0,0,0,,a\n"
                      "Dialogue: 0,0:00:01.00\n"
                      "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,b\n";
    check_file(lost, sizeof lost - 1, "ass", 2, "3000-4000 b;", __FILE__, __LINE__);
}

/* ingest 12 and 13; hundredths whatever their digits, as players count them */
static void text_and_times_of_ass_are_taken_as_they_are(void) {
    CHECK_FILE(EVENTS FORMAT
               "Dialogue: 0,0:00:01.500,0:00:08.05,Default,,0,0,0,,use <b> &amp; {\\i1}C:\\x\n"
               "Dialogue: 0,0:00:09.00,0:00:08.00,Default,,0,0,0,,end\n",
               "ass", "6000-8050 use <b> &amp; C:\\x;9000-16000 end;");
}

int main(void) {
    RUN(fractions_of_any_length_are_read);
    RUN(every_line_end_and_blanks_before_times_are_read);
    RUN(a_last_caption_without_an_end_gets_seven_seconds);
    RUN(numbers_and_blank_lines_are_text_where_they_can_be);
    RUN(text_that_only_looks_like_markup_stays);
    RUN(ass_files_have_any_line_end);
    RUN(the_format_line_tells_the_order_of_fields);
    RUN(text_and_times_of_ass_are_taken_as_they_are);
    return test_finish();
}
