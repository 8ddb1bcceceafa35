/* json_skip_test.c - values left out of JSON before it is parsed. */
#include "store/json_skip.h"

#include "tests/test.h"

static const struct {
    const char *text, *want;
} CASES[] = {
    {"{\"boxes\":[1,[2,3]],\"mode\":\"tiny\"}", "{\"boxes\":null,\"mode\":\"tiny\"}"},
    {"{\"pages\":[{\"boxes\" : {\"a\":[]} },{\"boxes\":[]}]}",
     "{\"pages\":[{\"boxes\" : null },{\"boxes\":null}]}"},
    {"{\"boxes\":7,\"b\":\"boxes\"}", "{\"boxes\":7,\"b\":\"boxes\"}"},
    {"{\"boxes\":[\"]\\\"]\",1],\"c\":2}", "{\"boxes\":null,\"c\":2}"},
    {"{\"a\":\"\\\"boxes\\\":[1]\",\"xboxes\":[1]}",
     "{\"a\":\"\\\"boxes\\\":[1]\",\"xboxes\":[1]}"},
    {"{\"boxes\":[1,2", "{\"boxes\":null"}, /* as broken as before */
    {"{\"boxes", "{\"boxes"},
    {"", ""},
};

static void values_of_one_key_become_null(void) {
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct bytes out;
        bytes_init(&out, 1 << 20);
        CHECK_NUMBER(json_skip(&out, CASES[i].text, strlen(CASES[i].text), "boxes", NULL), 0);
        CHECK_TEXT(bytes_text(&out), CASES[i].want);
        bytes_close(&out);
    }
}

int main(void) {
    RUN(values_of_one_key_become_null);
    return test_finish();
}
