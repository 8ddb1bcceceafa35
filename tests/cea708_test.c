/* cea708_test.c - CEA-708 codes in, cues out: what each kind of code does to the text on screen. */
#include "tests/cea_writer.h"

static void pop_on_text_is_a_cue_while_its_window_is_displayed(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_HIDDEN_2 "\x92\x00\x02Hello");
    reel_708(&r, 11, "\x92\x01\x00my world\x03");
    reel_708(&r, 20, DISPLAY_0);
    reel_708(&r, 40, HIDE_0);
    reel_708(&r, 50, CLEAR_0 "\x92\x00\x00Good bye\x03");
    reel_708(&r, 60, DISPLAY_0);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.kind, CEA_708);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, 2000, 4000, "Hello\nmy world");
    check_cue(&d, 1, 6000, REEL_PICTURES * REEL_STEP_MS, "Good bye"); /* until the end */
    decoded_close(&d);
}

static void a_toggle_switches_between_two_captions(void) {
    struct reel r = {0};
    reel_708(&r, 0, DF0_VISIBLE_2 "One");
    reel_708(&r, 0,
             "\x99\x00\x46\x10\x71\x1F\x00"
             "Two");
    reel_708(&r, 10, TOGGLE_01);
    reel_708(&r, 20, DELETE_ALL);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, 0, 1000, "One");
    check_cue(&d, 1, 1000, 2000, "Two");
    decoded_close(&d);
}

static void painted_text_is_one_cue_per_line_not_per_letter(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_VISIBLE_2 "He");
    reel_708(&r, 11, "llp");
    reel_708(&r, 12, "\x08o");     /* backspace */
    reel_708(&r, 13, " you\rAnd"); /* the line ends and the next begins in one picture */
    reel_708(&r, 14, " all");
    reel_708(&r, 30, "\x8F"); /* reset */
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, 1000, 1300, "Hello you");
    check_cue(&d, 1, 1300, 3000, "Hello you\nAnd all");
    decoded_close(&d);
}

static void roll_up_scrolls_at_the_last_row(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_VISIBLE_2 "first");
    reel_708(&r, 20, "\rsecond");
    reel_708(&r, 30, "\rthird");
    reel_708(&r, 31, DF0_VISIBLE_2); /* repeated for those who have just switched on: no change */
    reel_708(&r, 40, DELETE_ALL);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 3);
    check_cue(&d, 0, 1000, 2000, "first");
    check_cue(&d, 1, 2000, 3000, "first\nsecond");
    check_cue(&d, 2, 3000, 4000, "second\nthird");
    decoded_close(&d);
}

static void a_line_cut_by_the_scroll_is_completed_in_its_cue(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_VISIBLE_2 "first\rsec");
    reel_708(&r, 11, "ond\rthird");
    reel_708(&r, 40, DELETE_ALL);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, 1000, 1100, "first\nsecond");
    check_cue(&d, 1, 1100, 4000, "second\nthird");
    decoded_close(&d);
}

static void form_feed_and_horizontal_return_erase(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_VISIBLE_2 "gone\x0CUpper\rlower");
    reel_708(&r, 20,
             "\x0E"
             "other");
    reel_708(&r, 30, "\x0C");
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, 1000, 2000, "Upper\nlower");
    check_cue(&d, 1, 2000, 3000, "Upper\nother");
    decoded_close(&d);
}

static void windows_are_read_from_top_to_bottom(void) {
    struct reel r = {0};
    reel_708(&r, 0,
             "\x99\x20\x46\x10\x70\x1F\x00"
             "below"); /* window 1: bottom of row 70 */
    reel_708(&r, 1,
             "\x98\x20\x05\x10\x00\x1F\x00"
             "above"); /* window 0: row 5 */
    reel_708(&r, 2,
             "\x9A\x20\xB2\x10\x30\x1F\x00"
             "between"); /* window 2: middle, at 50 % */
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 3);
    check_cue(&d, 2, 200, REEL_PICTURES * REEL_STEP_MS, "above\nbetween\nbelow");
    decoded_close(&d);
}

static void characters_beyond_ascii(void) {
    struct reel r = {0};
    reel_708(&r, 0, DF0_VISIBLE_2 "\x7F Caf\xE9 \x10\x33g\x10\x76\x10\x34\x10\x25"); /* G0 G1 G2 */
    reel_708(&r, 1, "\r\x10\xA0 \x10\x22\x10\xC0 \x18\xAC\x00\x18\x00\x07");         /* G3, P16 */
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, 0, 100, "♪ Café “g⅛”…");
    check_cue(&d, 1, 100, REEL_PICTURES * REEL_STEP_MS, "♪ Café “g⅛”…\n[CC] __ 가");
    decoded_close(&d);
}

static void codes_without_text_are_read_over(void) {
    struct reel r = {0};
    reel_708(&r, 0,
             DF0_VISIBLE_2 "a\x90\x05\x00"
                           "b\x91\x3F\x00\x00"
                           "c"); /* SPA, SPC */
    reel_708(&r, 1,
             "\x97\x3F\x00\x12\x00"
             "d\x93\x96\x1F"
             "AB"); /* SWA, reserved */
    reel_708(&r, 2,
             "e\x10\x00\x10\x08"
             "A\x10\x10"
             "AB\x10\x18"
             "ABC"); /* C2 */
    reel_708(&r, 3,
             "f\x10\x80"
             "ABCD\x10\x88"
             "ABCDE\x10\x90\x83"
             "ABC"); /* C3 */
    reel_708(&r, 4, "g\x90\xF5\x00hidden tag\x90\x05\x00h");
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 0, REEL_PICTURES * REEL_STEP_MS, "abcdefgh");
    decoded_close(&d);
}

static void a_code_may_be_cut_by_the_end_of_a_packet(void) {
    struct reel r = {0};
    reel_708(&r, 0, "\x98\x20\x46");
    reel_708(&r, 1,
             "\x10\x71\x1F\x00"
             "whole");
    r.sequence++; /* a packet is lost: what it began is given up, the screen stays */
    reel_708(&r, 2, "\x98\x20\x46");
    r.sequence++;
    reel_708(&r, 3, " and sound");
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 100, REEL_PICTURES * REEL_STEP_MS, "whole and sound");
    decoded_close(&d);
}

static void only_service_1_is_taken(void) {
    struct reel r = {0};
    reel_service(&r, 0, 2, DF0_VISIBLE_2 "second language", 22);
    reel_service(&r, 1, 9, DF0_VISIBLE_2 "extended header", 22);
    reel_708(&r, 2, DF0_VISIBLE_2 "mine");
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 200, REEL_PICTURES * REEL_STEP_MS, "mine");
    decoded_close(&d);
}

static void two_service_blocks_in_one_packet(void) {
    struct reel r = {0};
    static const unsigned char packet[] = {0x08, 0x42, 'N',  'O',  0x2A, 0x98, 0x20, 0x46,
                                           0x10, 0x71, 0x1F, 0x00, 'Y',  'E',  'S',  0x00};
    for (size_t i = 0; i < sizeof packet; i += 2) {
        reel_add(&r, 5 + (int)i, i ? 0xFE : 0xFF, packet[i], packet[i + 1]); /* over 8 pictures */
    }
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 1900, REEL_PICTURES * REEL_STEP_MS, "YES");
    decoded_close(&d);
}

static void a_delay_holds_what_follows_back(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_HIDDEN_2 "late\x8D\x14" DISPLAY_0); /* 20 tenths of a second */
    reel_708(&r, 12, HIDE_0 "\x8D\x0A" DISPLAY_0);           /* waits too, then 10 tenths more */
    reel_708(&r, 50, "\x8D\xFF" HIDE_0);
    reel_708(&r, 60, "\x8E"); /* the delay is cancelled */
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 4000, 6000, "late");
    decoded_close(&d);
}

static void a_full_buffer_ends_a_delay(void) {
    struct reel r = {0};
    reel_708(&r, 10, DF0_VISIBLE_2 "\x8D\xFF");
    for (int i = 0; i < 5; i++) {
        reel_708(&r, 20 + i, "123456789 123456789 1234567\r");
    }
    struct decoded d = reel_decode(&r);
    CHECK(d.cues.count >= 1 && d.cues.items[0].start_ms == 2400); /* 4 x 28 bytes fit in 128 */
    decoded_close(&d);
}

static void text_without_a_window_goes_nowhere(void) {
    struct reel r = {0};
    reel_708(&r, 0, "lost\x80lost\r\x08\x0C\x0E\x92\x01\x01\x90\xF0\x00lost");
    reel_708(&r, 1, DF0_VISIBLE_2 DELETE_ALL "lost" DISPLAY_0);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.kind, CEA_NONE);
    CHECK_NUMBER(d.cues.count, 0);
    decoded_close(&d);
}

static void a_line_longer_than_any_window_goes_on_below(void) {
    struct reel r = {0};
    reel_708(&r, 0,
             DF0_VISIBLE_2 "\x92\x00\x3E"
                           "abcd");
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 0, REEL_PICTURES * REEL_STEP_MS, "ab\ncd");
    decoded_close(&d);
}

int main(void) {
    RUN(pop_on_text_is_a_cue_while_its_window_is_displayed);
    RUN(a_toggle_switches_between_two_captions);
    RUN(painted_text_is_one_cue_per_line_not_per_letter);
    RUN(roll_up_scrolls_at_the_last_row);
    RUN(a_line_cut_by_the_scroll_is_completed_in_its_cue);
    RUN(form_feed_and_horizontal_return_erase);
    RUN(windows_are_read_from_top_to_bottom);
    RUN(characters_beyond_ascii);
    RUN(codes_without_text_are_read_over);
    RUN(a_code_may_be_cut_by_the_end_of_a_packet);
    RUN(only_service_1_is_taken);
    RUN(two_service_blocks_in_one_packet);
    RUN(a_delay_holds_what_follows_back);
    RUN(a_full_buffer_ends_a_delay);
    RUN(text_without_a_window_goes_nowhere);
    RUN(a_line_longer_than_any_window_goes_on_below);
    return test_finish();
}
