/* output_test.c - text that comes in pieces: whole characters, up to a stop text. */
#include "train/generate/output.h"

#include "store/utf8.h"
#include "tests/test.h"

/* Pieces with '|' between them, and what is decided after each of them: the same way. */
static void expect(const char *const *stops, const char *pieces, const char *wanted) {
    struct output o;
    struct bytes seen;
    bool stopped = false;
    size_t before = 0;
    output_init(&o, stops);
    bytes_init(&seen, 1 << 20);
    for (const char *piece = pieces; *piece != 0 && !stopped;) {
        const size_t size = strcspn(piece, "|");
        CHECK_NUMBER(output_add(&o, piece, size, &stopped, NULL), 0);
        CHECK(utf8_is_valid(bytes_text(&o.text) + before, o.text.size - before));
        bytes_append(&seen, bytes_text(&o.text) + before, o.text.size - before, NULL);
        bytes_append_text(&seen, stopped ? "!" : "|", NULL);
        before = o.text.size;
        piece += size + (piece[size] == '|');
    }
    CHECK_NUMBER(output_end(&o, NULL), 0);
    bytes_append(&seen, bytes_text(&o.text) + before, o.text.size - before, NULL);
    CHECK_TEXT(bytes_text(&seen), wanted);
    bytes_close(&seen);
    output_close(&o);
}

static void text_comes_as_it_is_decided(void) {
    expect(NULL, "Once| upon|| a", "Once| upon|| a|");
}

static void characters_come_whole(void) {
    expect(NULL, "a\xF0|\x9F\x8D|\x8C b", "a||\xF0\x9F\x8D\x8C b|");
    expect(NULL, "\xC3|\xA9\xC3|\xA9", "|\xC3\xA9|\xC3\xA9|");
    expect(NULL, "a\xE2\x82", "a|\xEF\xBF\xBD"); /* nothing more came */
    expect(NULL, "a\xE2|b",
           "a|\xEF\xBF\xBD"
           "b|");
    expect(NULL, "\xFF|a", "\xEF\xBF\xBD|a|");
}

static void text_ends_before_a_stop_text(void) {
    const char *const stops[] = {"\n\n", "END", NULL};
    expect(stops, "a\nb|\n|\nc", "a\nb||!");
    expect(stops, "aE|N|Dx", "a||!");
    expect(stops, "aE|N|X", "a||ENX|");
    expect(stops, "aENDbEND", "a!");
    expect(stops, "aE", "a|E"); /* it did not come */
    expect(stops, "ENE|ND", "EN|!");
}

static void the_first_of_several_ends_it(void) {
    const char *const stops[] = {"abc", "b", NULL};
    expect(stops, "xab", "xa!");
    expect(stops, "xa|d", "x|ad|");
    const char *const others[] = {"\xC3\xA9t", "t", NULL};
    expect(others, "a\xC3|\xA9|t", "a||!");
}

int main(void) {
    RUN(text_comes_as_it_is_decided);
    RUN(characters_come_whole);
    RUN(text_ends_before_a_stop_text);
    RUN(the_first_of_several_ends_it);
    return test_finish();
}
