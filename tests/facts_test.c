/* facts_test.c - numbers, prices, dates, handles and links of a text. */
#include "store/facts.h"

#include "store/utf8.h"
#include "tests/test.h"

/* The facts of a text with | between them. */
static const char *facts(const char *text) {
    static struct bytes out;
    struct facts_found found;
    bytes_close(&out);
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(facts_find(&out, text, strlen(text), 1 << 20, &found, NULL), 0);
    CHECK_NUMBER(found.bytes, out.size);
    size_t lines = 0;
    for (size_t i = 0; i < out.size; i++) {
        lines += out.data[i] == '\n';
        out.data[i] = out.data[i] == '\n' ? '|' : out.data[i];
    }
    CHECK_NUMBER(found.facts, lines);
    CHECK_NUMBER(found.left_out, 0);
    if (out.size > 0) {
        out.data[out.size - 1] = '\0';
    }
    return bytes_text(&out);
}

static void numbers_are_whole_words_with_a_digit(void) {
    CHECK_TEXT(facts("It cost 1,234.56 in 2024, and 12 more."), "1,234.56|2024|12");
    CHECK_TEXT(facts("at 12:30, 7:05:59 or 16:9; 3-4 of 1/2 (10-12)."),
               "12:30|7:05:59|16:9|3-4|1/2|10-12");
    CHECK_TEXT(facts("on 2024-03-12, 12.03.2024 and 3/12/24"), "2024-03-12|12.03.2024|3/12/24");
    CHECK_TEXT(facts("v1.2.3-rc1, iOS 17.4, COVID-19, mp3, 4K"), "v1.2.3-rc1|17.4|COVID-19|mp3|4K");
    CHECK_TEXT(facts("1.2K views \xC2\xB7 98K likes \xE2\x99\xA5"
                     "5.1K 20th 5kg"),
               "1.2K|98K|5.1K|20th|5kg");
    CHECK_TEXT(facts("48db40af-b774-62c3-bf5e 192.168.0.1 7658218672219201984"),
               "48db40af-b774-62c3-bf5e|192.168.0.1|7658218672219201984");
    CHECK_TEXT(facts("12\xC2\xA0"
                     "345 und 1\xE2\x80\x99"
                     "000"),
               "12\xC2\xA0"
               "345|1\xE2\x80\x99"
               "000");
}

static void signs_and_units_belong_to_a_number(void) {
    CHECK_TEXT(facts("only $5, now 9.99\xE2\x82\xAC (-20%) or US$ 12"),
               "$5|9.99\xE2\x82\xAC|-20%|US$ 12");
    CHECK_TEXT(facts("\xE2\x82\xAC 7 or 7 \xE2\x82\xAC or 7 EUR or EUR 7, R$50"),
               "\xE2\x82\xAC 7|7 \xE2\x82\xAC|7 EUR|EUR 7|R$50");
    CHECK_TEXT(facts("$1.2M from 5 million, 18+, +49 30 at 7 pm."),
               "$1.2M|5 million|18+|+49|30|7 pm");
    CHECK_TEXT(facts("20 \xC2\xB0"
                     "C, 20\xC2\xB0"
                     "C, 30 %, 3 kg, 5 minutes"),
               "20 \xC2\xB0"
               "C|20\xC2\xB0"
               "C|30 %|3 kg");
    CHECK_TEXT(facts("-5 and \xE2\x88\x92"
                     "7.5 but a-5 and --9"),
               "-5|\xE2\x88\x92"
               "7.5|a-5");
}

static void a_digit_alone_is_no_fact(void) {
    CHECK_TEXT(facts("1 of 2: (3) 4. 5\xEF\xB8\x8F\xE2\x83\xA3"), "");
    CHECK_TEXT(facts("no facts here, at all; e.g. this one/that."), "");
    CHECK_TEXT(facts(""), "");
}

static void dates_with_the_name_of_a_month_are_one_fact(void) {
    CHECK_TEXT(facts("born 12 March 2024, or March 12th, 2024; March 2024"),
               "12 March 2024|March 12th, 2024|March 2024");
    CHECK_TEXT(facts("Am 3. M\xC3\xA4rz, le 14 juillet 1789, el 3 de marzo de 2024"),
               "3. M\xC3\xA4rz|14 juillet 1789|3 de marzo de 2024");
    CHECK_TEXT(facts("5 \xD0\xBC\xD0\xB0\xD1\x8F 2024 and 7 Jan. 2024, Dec 25"),
               "5 \xD0\xBC\xD0\xB0\xD1\x8F 2024|7 Jan. 2024|Dec 25");
    CHECK_TEXT(facts("March\n12, 2024 was the day"), "March 12, 2024");
    CHECK_TEXT(facts("ON THE 31ST OF MARCH 1879"), "31ST OF MARCH 1879");
    CHECK_TEXT(facts("you may go, 5 maybe, in march"), "");
    CHECK_TEXT(facts("on May 5 and May 123456"), "May 5|123456");
}

static void handles_hashtags_links_and_mail(void) {
    CHECK_TEXT(
        facts("@banana, (@mia.lopez_: hi) #fyp#foryou #\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D! #3"),
        "@banana|@mia.lopez_|#fyp|#foryou|#\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D|#3");
    CHECK_TEXT(facts("see https://example.org/a?b=1&c=(2)#x. WWW.x.yz, or (http://y.z/)"),
               "https://example.org/a?b=1&c=(2)#x|WWW.x.yz|http://y.z/");
    CHECK_TEXT(facts("youtu.be/abc and occ.tools/docs, and/or, km/h"),
               "youtu.be/abc|occ.tools/docs");
    CHECK_TEXT(facts("write to ann.lee+news@mail.example.org."), "ann.lee+news@mail.example.org");
    CHECK_TEXT(facts("@ # @. #- http:// www."), "");
}

static void each_is_there_once_in_order(void) {
    CHECK_TEXT(facts("99 @b 77 99 @b 12 77"), "99|@b|77|12");
}

/* A share of the text; what fits still comes. */
static void the_cap_leaves_out_what_does_not_fit(void) {
    static const char TEXT[] = "11 222222222 33 444 55";
    struct bytes out;
    struct facts_found found;
    bytes_init(&out, 100);
    CHECK_NUMBER(facts_find(&out, TEXT, strlen(TEXT), 9, &found, NULL), 0);
    CHECK_TEXT(bytes_text(&out), "11\n33\n55\n");
    CHECK_NUMBER(found.facts, 3);
    CHECK_NUMBER(found.left_out, 2);
    bytes_close(&out);
    CHECK_NUMBER(facts_limit(0), FACTS_LEAST);
    CHECK_NUMBER(facts_limit(160000), 16000);
    CHECK_NUMBER(facts_limit((size_t)1 << 40), FACTS_MOST);
}

static void what_is_too_long_is_left_out(void) {
    char text[FACTS_LONGEST + 8];
    struct bytes out;
    struct facts_found found;
    memset(text, '7', sizeof text);
    memcpy(text + FACTS_LONGEST + 1, " 12 34", 7);
    bytes_init(&out, 4096);
    CHECK_NUMBER(facts_find(&out, text, strlen(text), 4000, &found, NULL), 0);
    CHECK_TEXT(bytes_text(&out), "12\n34\n");
    CHECK_NUMBER(found.left_out, 1);
    bytes_close(&out);
}

/* Whatever the bytes are, what comes out is text, and no more than asked for. */
static void noise_gives_valid_text(void) {
    static const char PARTS[] = "0123456789..,,::@@##$$%/-+' \n\xE2\x82\xAC\xC2\xA0"
                                "abMarchM\xC3\xA4rz\xF0\x9F\x8D\x8C\xFF\x80www.http://";
    unsigned seed = 1, wrong = 0;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        struct bytes out;
        struct facts_found found;
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = PARTS[(seed >> 8) % (sizeof PARTS - 1)];
        }
        bytes_init(&out, 4096);
        wrong += facts_find(&out, text, sizeof text, 64, &found, NULL) != 0 || out.size > 64 ||
                 !utf8_is_valid(bytes_text(&out), out.size);
        bytes_close(&out);
    }
    CHECK_NUMBER(wrong, 0);
}

int main(void) {
    RUN(numbers_are_whole_words_with_a_digit);
    RUN(signs_and_units_belong_to_a_number);
    RUN(a_digit_alone_is_no_fact);
    RUN(dates_with_the_name_of_a_month_are_one_fact);
    RUN(handles_hashtags_links_and_mail);
    RUN(each_is_there_once_in_order);
    RUN(the_cap_leaves_out_what_does_not_fit);
    RUN(what_is_too_long_is_left_out);
    RUN(noise_gives_valid_text);
    return test_finish();
}
