/* timed_text_test.c - the captions of video sites in JSON and XML: json3, srv1 to srv3, TTML. */
#include "tests/caption_file.h"

/* What is left when rolling captions are collapsed. */
static void check_script(const char *text, const char *format, const char *wanted, int line) {
    cues_begin();
    test_number(read_text(text, format), 0, __FILE__, line);
    caption_collapse_rolling(&cues);
    check_cues(wanted, __FILE__, line);
    cues_end();
}
#define CHECK_SCRIPT(text, format, wanted) check_script((text), (format), (wanted), __LINE__)

static void check_error(const char *text, const char *format, const char *reason, int line) {
    struct error e = {0};
    cues_begin();
    add(0, 1, "from another file");
    int rc = caption_read_file(&cues, text, strlen(text), format, NULL, &e);
    test_number(rc < 0 && rc == e.code, 1, __FILE__, line);
    test_number(strstr(e.text, reason) != NULL, 1, __FILE__, line);
    CHECK_CUES("0-1 from another file;");
    cues_end();
}
#define CHECK_ERROR(text, format, reason) check_error((text), (format), (reason), __LINE__)

/* ---- YouTube --------------------------------------------------------------------------------- */

/* ingest 17 */
static void json3_is_read(void) {
    CHECK_SCRIPT("{\"wireMagic\":\"pb3\",\"events\":[{\"tStartMs\":0,\"dDurationMs\":1000,"
                 "\"segs\":[{\"utf8\":\"alpha\"},{\"utf8\":\" beta\",\"tOffsetMs\":300}]}]}",
                 "json3", "0-1000 alpha beta;");
    CHECK_SCRIPT(
        "\xEF\xBB\xBF{\"pens\":[{}],\"events\":[{\"tStartMs\":0,\"id\":1,\"wpWinPosId\":1},"
        "{\"tStartMs\":5000,\"dDurationMs\":1000,\"segs\":[{\"utf8\":\"- a <b> &amp;\\n- "
        "C:\\\\New\"}]},"
        "{\"tStartMs\":1000,\"segs\":[{\"utf8\":\"\\ufeffno end\"},7,{\"utf8\":null}]},"
        "{\"tStartMs\":7000,\"dDurationMs\":-5,\"segs\":[{\"utf8\":\"last\"}]}]}",
        "JSON3", "1000-5000 no end;5000-6000 - a <b> &amp;|- C:\\New;7000-14000 last;");
    static const char lost[] =
        "{\"events\":[{\"segs\":[{\"utf8\":\"when\"}]},{\"tStartMs\":99999999999999,"
        "\"segs\":[{\"utf8\":\"never\"}]},{\"tStartMs\":1,\"dDurationMs\":2,"
        "\"segs\":[{\"utf8\":\"a\"}]}]}";
    check_file(lost, sizeof lost - 1, "json3", 2, "1-3 a;", __FILE__, __LINE__);
}

#define LINE(start, duration, text)                                                                \
    "{\"tStartMs\":" #start ",\"dDurationMs\":" #duration                                          \
    ",\"wWinId\":1,\"segs\":[{\"utf8\":\"" text "\"}]},"
#define APPEND(start, text)                                                                        \
    "{\"tStartMs\":" #start ",\"dDurationMs\":2000,\"wWinId\":1,\"aAppend\":1,"                    \
    "\"segs\":[{\"utf8\":\"" text "\"}]},"

/* ingest 17: each event stands as long as its line is in sight, and says a line again only where it
 * is said again */
static void rolling_json3_gives_each_word_once(void) {
    CHECK_SCRIPT(
        "{\"events\":[{\"tStartMs\":0,\"dDurationMs\":99999,\"id\":1,\"wsWinStyleId\":1}," LINE(
            160, 4240, "so today we're") APPEND(2390, "\\n") LINE(2400, 3590, "going")
            APPEND(4230, "\\n") LINE(4240, 3000, "going") APPEND(5990, "\\n")
                LINE(9000, 1500, "[Music]") "{}]}",
        "json3", "160-2400 so today we're;2400-4240 going;4240-7240 going;9000-10500 [Music];");
    CHECK_SCRIPT("{\"events\":[" LINE(0, 500, "HELLO") APPEND(500, " THERE") APPEND(1000, "\\nHOW")
                     APPEND(1500, " ARE") APPEND(2000, "\\n") APPEND(2100, "YOU")
                         APPEND(2200, " ALL\\n") APPEND(2300, "YES") "null]}",
                 "json3", "0-1000 HELLO THERE;1000-2100 HOW ARE;2100-2300 YOU ALL;2300-4300 YES;");
}

/* ingest 17 */
static void srv_files_are_read(void) {
    CHECK_SCRIPT(
        "<?xml version=\"1.0\" encoding=\"utf-8\" ?><transcript><text start=\"0.16\" dur=\"4.24\">"
        "it&amp;#39;s &lt;i&gt;a&lt;/i&gt; &amp;lt;b&amp;gt; &amp;amp;amp;\nC:\\New &amp;nGt; "
        "&amp; &amp;eacute;</text><text "
        "start=\"7\">last</text></transcript>",
        "srv1", "160-4400 it's a <b> &amp;|C:\\New \u226B\u20D2 & \u00E9;7000-14000 last;");
    CHECK_SCRIPT(
        "<timedtext><window t=\"0\" id=\"1\"/><text t=\"160\" d=\"4240\" w=\"1\">so today</text>"
        "<text t=\"2390\" d=\"10\" w=\"1\" append=\"1\">\n</text><text t=\"2400\" d=\"3000\" "
        "w=\"1\">so today</text><text t=\"2900\" d=\"3000\" w=\"1\" append=\"1\"> &amp;amp; "
        "on</text></timedtext>",
        "srv2", "160-2400 so today;2400-5900 so today & on;");
    CHECK_SCRIPT(
        "\n<?xml version=\"1.0\" encoding=\"utf-8\" ?><timedtext format=\"3\">\n<head>\n<ws "
        "id=\"0\"/>"
        "</head><body>\n<w t=\"0\" id=\"1\" wp=\"1\" ws=\"1\"/>\n<p t=\"160\" d=\"4240\" w=\"1\">"
        "<s>so</s><s t=\"240\" ac=\"252\"> today</s></p>\n<p t=\"2390\" d=\"2010\" w=\"1\" "
        "a=\"1\">\n"
        "</p>\n<p t=\"2400\" d=\"3590\" w=\"1\"><s>so</s><s t=\"80\"> "
        "today</s></p>\n</body></timedtext>",
        "srv3", "160-2400 so today;2400-5990 so today;");
    CHECK_SCRIPT("<timedtext format='3'><body><p t='0' d='10'>two<br/>lines &amp;lt;\x01"
                 "x</p></body></timedtext>",
                 "srv3", "0-10 two|lines &lt; x;");
    CHECK_SCRIPT(
        "<transcript><text start='1' dur='4'>all</text><text start='3' dur='4'>all</text>"
        "<text start='5' dur='4'>right</text></transcript>", /* a rolling one, without windows */
        "srv1", "1000-3000 all;3000-5000 all;5000-9000 right;");
}

/* ---- TTML ------------------------------------------------------------------------------------ */

#define TT                                                                                         \
    "<?xml version='1.0'?><tt xmlns='http://www.w3.org/ns/ttml' xml:lang='en' "                    \
    "xmlns:ttp='http://www.w3.org/ns/ttml#parameter' "                                             \
    "xmlns:tts='http://www.w3.org/ns/ttml#styling'"
#define BODY                                                                                       \
    "><head><metadata><ttm:title xmlns:ttm='m'>not said</ttm:title></metadata></head><body><div>"
#define END "</div></body></tt>"
#define CHECK_TTML(text, wanted) CHECK_SCRIPT(text, "ttml", wanted)

/* ingest 17 */
static void text_of_ttml_is_read(void) {
    CHECK_TTML(TT BODY
               "<p begin='00:00:01.000' end='00:00:02.500' style='s2'>so\n   today<br />we&apos;re "
               "<span tts:color='red'>go<span>i</span>ng</span></p>\n<p begin='3s' dur='1s'>"
               "<metadata>x</metadata>C:\\New &lt;b&gt; {x}<br/><br/> &#233;</p>\n<p begin='5s' "
               "end='6s'/>" END,
               "1000-2500 so today|we're going;3000-4000 C:\\New <b> {x}|\u00E9;");
    CHECK_TTML(TT " xml:space='preserve'" BODY
                  "<p begin='1s' end='2s'>a\nb<span xml:space='default'>\nc</span></p>" END,
               "1000-2000 a|b c;");
    CHECK_SCRIPT(
        "<tt:tt xmlns:tt='x'><tt:body><tt:div><tt:p begin='00:00:00,000' end='00:00:01,000'>"
        "one<tt:br></tt:br>two</tt:p></tt:div></tt:body></tt:tt>",
        "dfxp", "0-1000 one|two;");
}

/* ingest 17 */
static void times_of_ttml_are_read(void) {
    CHECK_TTML(TT
               " ttp:frameRate='24' ttp:frameRateMultiplier='1000 1001'" BODY
               "<p begin='360f' end='424f'>a</p><p begin='00:00:20:06' end='00:00:21:00'>b</p>" END,
               "15015-17684 a;20250-21000 b;");
    CHECK_TTML(TT " ttp:tickRate='10000000'" BODY "<p begin='15000000t' end='20000000t'>a</p><p "
                  "begin='1.5h' dur='0.5m'>b</p><p begin='3500ms' end='5'>c</p>" END,
               "1500-2000 a;3500-5000 c;5400000-5430000 b;");
    CHECK_TTML(TT " ttp:frameRate='25' ttp:subFrameRate='2'" BODY
                  "<p begin='50t' end='50f'>a</p>" END,
               "1000-2000 a;");
    CHECK_TTML(
        TT BODY
        "<p begin='30f' end='00:02.5'>a</p><p begin='4s' end='3s'>b</p><p begin='5s'>c</p>" END,
        "1000-2500 a;4000-5000 b;5000-12000 c;");
    static const char lost[] =
        TT BODY "<p>when</p><p begin='soon'>then</p><p begin='1s' end='2s'>a</p>" END;
    check_file(lost, sizeof lost - 1, "ttml", 2, "1000-2000 a;", __FILE__, __LINE__);
}

/* ingest 17 */
static void times_of_ttml_count_from_the_element_around(void) {
    CHECK_TTML(TT "><body begin='10s'><div begin='1s' end='20s'><p begin='2s' "
                  "end='3s'>a</p><p>b</p></div></body></tt>",
               "11000-30000 b;13000-14000 a;");
    CHECK_TTML(
        TT
        "><body><div timeContainer='seq'><p dur='2s'>a</p><p dur='3s'>b</p><p begin='1s' dur='1s'>c"
        "</p></div></body></tt>",
        "0-2000 a;2000-5000 b;6000-7000 c;");
    CHECK_TTML(
        TT BODY
        "<p><span begin='1s' end='2s'>one</span> <span begin='2s' end='3s'>t<span begin='.5s'>wo"
        "</span></span></p>" END,
        "1000-2000 one;2000-3000 two;");
    /* words of a song; the times of its lines count from its beginning */
    CHECK_TTML(TT "><body dur='3:58.640'><div begin='19.764' end='59.300'><p begin='19.764' "
                  "end='21.900'>\n<span "
                  "begin='19.764' end='20.105'>When</span>\n<span begin='20.105' end='20.326'>you "
                  "were</span></p>"
                  "<p begin='24.594' end='26.898'>Couldn't</p></div></body></tt>",
               "19764-21900 When you were;24594-26898 Couldn't;");
    CHECK_TTML(
        TT
        "><body><div begin='00:00:01.464' end='00:00:02.423'><p>a<br/>b</p><p begin='00:00:02.423' "
        "end='00:00:05.432'>c</p></div></body></tt>",
        "1464-2423 a|b;2423-5432 c;");
}

/* ---- damage ---------------------------------------------------------------------------------- */

#define LOL "<!DOCTYPE t [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"

/* ingest 17 */
static void hostile_and_damaged_files_are_refused(void) {
    CHECK_ERROR(LOL "<tt><body><p begin='1s'>&b;</p></body></tt>", "ttml",
                "line 1: declares the entity \"a\"");
    CHECK_ERROR("<!DOCTYPE t [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><transcript><text "
                "start='1'>&x;</text>"
                "</transcript>",
                "srv1", "declares the entity \"x\"");
    CHECK_ERROR("<!DOCTYPE t [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]><transcript/>", "srv1",
                "entity");
    CHECK_ERROR(TT BODY "\n<p begin='1s' end='2s'>a</p>\n<p begin='3s' end", "ttml", "line 3: ");
    CHECK_ERROR("<timedtext><text t='1' d='2'>a</text>", "srv2", "line 1: ");
    CHECK_ERROR("{\"events\":[{\"tStartMs\":0,\"segs\":[{\"utf8\":\"a\"", "json3", "line 1");
    CHECK_ERROR("<html><title>404</title></html>", "ttml", "no caption found");
    CHECK_ERROR("{\"events\":{\"segs\":1}}", "json3", "no caption found");
    CHECK_ERROR("[[]]", "json3", "no caption found");
    CHECK_ERROR("", "srv3", "line 1: ");
    char deep[1000] = "";
    for (size_t i = 0; i < 80; i++) {
        memcpy(deep + i * 3, "<p>", 4);
    }
    CHECK_ERROR(deep, "ttml", "more than 64 nested elements");
    CHECK_SCRIPT(
        "<!DOCTYPE tt SYSTEM 'http://example.com/tt.dtd'><tt><p begin='1s' end='2s'>a</p></tt>",
        "ttml", "1000-2000 a;"); /* nothing is fetched */
}

/* A parser that began a tag again with each piece of it would not end. */
static void long_tags_take_no_time(void) {
    enum { SIZE = 4000000 };
    static const char head[] = "<tt><p begin='1s' end='2s'>a</p><p x='";
    char *file = malloc(SIZE + 1);
    if (!CHECK(file != NULL)) {
        return;
    }
    for (size_t i = 0; i < SIZE; i++) {
        file[i] = i % 2 ? '\x01' : 'x';
    }
    file[SIZE] = 0;
    memcpy(file, head, sizeof head - 1);
    memcpy(file + SIZE - 8, "'/></tt>", 8);
    CHECK_SCRIPT(file, "ttml", "1000-2000 a;");
    free(file);
}

int main(void) {
    RUN(json3_is_read);
    RUN(rolling_json3_gives_each_word_once);
    RUN(srv_files_are_read);
    RUN(text_of_ttml_is_read);
    RUN(times_of_ttml_are_read);
    RUN(times_of_ttml_count_from_the_element_around);
    RUN(hostile_and_damaged_files_are_refused);
    RUN(long_tags_take_no_time);
    return test_finish();
}
