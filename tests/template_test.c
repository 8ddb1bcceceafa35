/* template_test.c - templates against jinja2 (golden/chat/make.py), and what hostile ones come to.
 */
#include "train/template/template.h"

#include <jansson.h>

#include "tests/test.h"

/* ---- Goldens ------------------------------------------------------------------------------- */

static json_t *load(void) {
    json_error_t fault;
    json_t *root = json_load_file(TEST_FOLDER "/golden/chat/cases.json", 0, &fault);
    if (root == NULL) {
        printf("Bail out! golden/chat/cases.json: %s\n", fault.text);
        exit(EXIT_FAILURE);
    }
    return root;
}

static int render_within(const char *source, size_t size, const json_t *variables, int64_t *steps,
                         struct bytes *out, struct error *e) {
    struct template *t = NULL;
    const struct template_input in = {.variables = variables, .now = 1785000000, .steps = steps};
    char *copy = malloc(size + 1); /* of that size, for the sanitizer */
    if (copy == NULL) {
        exit(EXIT_FAILURE);
    }
    memcpy(copy, source, size);
    int rc = template_open(&t, copy, size, e);
    free(copy);
    rc = rc < 0 ? rc : template_render(t, &in, out, NULL, e);
    template_close(t);
    return rc;
}

static int render(const char *source, size_t size, const json_t *variables, struct bytes *out,
                  struct error *e) {
    return render_within(source, size, variables, NULL, out, e);
}

/* As Python did: the same text, or an error as well. */
static void check_case(const json_t *source, const json_t *variables, const json_t *wanted) {
    const char *text = json_string_value(json_object_get(wanted, "text"));
    struct bytes out;
    struct error e = {0};
    bytes_init(&out, 1 << 20);
    int rc = render(json_string_value(source), json_string_length(source), variables, &out, &e);
    bool same = text != NULL ? rc == 0 && strcmp(bytes_text(&out), text) == 0
                             : rc < 0 && rc == e.code && e.text[0] != 0 && out.size == 0;
    if (!CHECK(same)) {
        printf("# template: %.300s\n# wanted: %s\n# got: %s\n", json_string_value(source),
               text != NULL ? text : json_string_value(json_object_get(wanted, "error")),
               rc < 0 ? e.text : bytes_text(&out));
    }
    bytes_close(&out);
}

static void expressions_and_tags_are_those_of_jinja2(void) {
    json_t *root = load(), *item;
    size_t i;
    json_array_foreach(json_object_get(root, "snippets"), i, item) {
        check_case(json_object_get(item, "source"), json_object_get(root, "variables"), item);
    }
    CHECK(i > 100);
    json_decref(root);
}

static void chat_templates_of_models_render_as_in_transformers(void) {
    json_t *root = load(), *item;
    size_t i;
    json_array_foreach(json_object_get(root, "chats"), i, item) {
        const char *name = json_string_value(json_object_get(item, "template"));
        json_t *all =
            json_pack("{s:n, s:n, s:b}", "tools", "documents", "add_generation_prompt", 0);
        json_object_update(all, json_object_get(root, "tokens"));
        json_object_update(
            all, json_array_get(json_object_get(root, "conversations"),
                                (size_t)json_integer_value(json_object_get(item, "conversation"))));
        check_case(json_object_get(json_object_get(root, "templates"), name), all, item);
        json_decref(all);
    }
    CHECK(i > 60);
    json_decref(root);
}

/* ---- What is refused ----------------------------------------------------------------------- */

static void expect(const char *source, int code, const char *words) {
    struct bytes out;
    struct error e = {0};
    json_t *variables = json_pack("{s:[i, i, i], s:s}", "l", 1, 2, 3, "s", "text");
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(bytes_append_text(&out, "before", NULL), 0);
    CHECK_NUMBER(render(source, strlen(source), variables, &out, &e), code);
    CHECK_TEXT(e.text, words);
    CHECK_TEXT(bytes_text(&out), "before");
    bytes_close(&out);
    json_decref(variables);
}

static void what_is_not_supported_is_named_with_its_line(void) {
    expect("a\n{% include 'x' %}", ERR_UNSUPPORTED, "line 2: the tag 'include'");
    expect("{{ s|wordcount }}", ERR_UNSUPPORTED, "line 1: the filter 'wordcount'");
    expect("{{ s is filter }}", ERR_UNSUPPORTED, "line 1: the test 'filter'");
    expect("\n\n{{ s.zfill(3) }}", ERR_UNSUPPORTED,
           "line 3: there is no function or method 'zfill'");
    expect("{{ l.append(1) }}", ERR_UNSUPPORTED, "line 1: there is no function or method 'append'");
    expect("{{ '%s' % s }}", ERR_UNSUPPORTED, "line 1: the operator % of a text");
    expect("{{ '\u00e9'|upper }}", ERR_UNSUPPORTED, "line 1: upper and lower case outside ASCII");
    expect("{{ 9223372036854775807 + 1 }}", ERR_UNSUPPORTED,
           "line 1: a whole number beyond 64 bits");
    expect("{{ 2 * 3 }}", ERR_UNSUPPORTED, "line 1: the operator *");
    expect("{{ 1.5 + 1 }}", ERR_UNSUPPORTED, "line 1: arithmetic of numbers that are not whole");
    expect("{{ 1 < 2 < 3 }}", ERR_UNSUPPORTED, "line 1: a comparison of a comparison");
    expect("{{ 1e3 }}", ERR_UNSUPPORTED, "line 1: a number that begins with 1");
    expect("{{ '\\x41' }}", ERR_UNSUPPORTED, "line 1: \\x in a string");
    expect("a\n{%- raw %}{% endraw %}", ERR_UNSUPPORTED, "line 2: the tag 'raw'");
    expect("{%+ if s %}{% endif %}", ERR_UNSUPPORTED, "line 1: the tag '{%+'");
    expect("{% with a = 1 %}{% endwith %}", ERR_UNSUPPORTED, "line 1: the tag 'with'");
    expect("{% for x in l %}{{ loop.revindex }}{% endfor %}", ERR_UNSUPPORTED,
           "line 1: loop.revindex");
    expect("{{ l|map(attribute='a.b')|list }}", ERR_UNSUPPORTED,
           "line 1: an attribute of an attribute");
    expect("{{ l|map('string') }}", ERR_UNSUPPORTED, "line 1: a generator as text");
    expect("{{ s.split() }}", ERR_UNSUPPORTED, "line 1: 'split' by white space");
    expect("{{ s.replace('a', 'b', 1) }}", ERR_UNSUPPORTED, "line 1: 'replace' with 3 arguments");
    expect("{{ dict(a=1) }}", ERR_UNSUPPORTED, "line 1: there is no function or method 'dict'");
    expect("{{ strftime_now('%j') }}", ERR_UNSUPPORTED, "line 1: strftime_now of this form");
    expect("{{ l|tojson(ensure_ascii=true) }}", ERR_UNSUPPORTED,
           "line 1: 'tojson' with ensure_ascii=true");
}

static void mistakes_are_told_with_their_line(void) {
    expect("{{ 1 +\n }}", ERR_FORMAT, "line 2: unexpected: the end of a tag");
    expect("a\n{% if s %}b", ERR_FORMAT, "line 2: {% endif %} is missing");
    expect("{% for x in l %}{% endif %}", ERR_FORMAT, "line 1: {% endfor %} is missing");
    expect("{{ raise_exception('roles must ' ~ 'alternate') }}", ERR_FORMAT,
           "line 1: roles must alternate");
    expect("{{ nobody.name }}", ERR_FORMAT, "line 1: 'nobody' is undefined");
    expect("{{ s + 1 }}", ERR_FORMAT, "line 1: an operator does not take str and int");
    expect("\xFF", ERR_FORMAT, "is not UTF-8");
}

/* ---- What is endless ----------------------------------------------------------------------- */

/* `part` COUNT times between two ends. */
static void expect_repeated(const char *before, const char *part, int count, const char *after,
                            int code) {
    struct bytes source, out;
    struct error e = {0};
    json_t *variables = json_object();
    bytes_init(&source, SIZE_MAX);
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(bytes_append_text(&source, before, NULL), 0);
    for (int i = 0; i < count; i++) {
        CHECK_NUMBER(bytes_append_text(&source, part, NULL), 0);
    }
    CHECK_NUMBER(bytes_append_text(&source, after, NULL), 0);
    CHECK_NUMBER(render(bytes_text(&source), source.size, variables, &out, &e), code);
    bytes_close(&source);
    bytes_close(&out);
    json_decref(variables);
}

static void nothing_nests_without_an_end(void) {
    expect_repeated("{{ ", "(", 99, "", ERR_FORMAT); /* no end, but not too deep */
    expect_repeated("{{ ", "(", 100000, "", ERR_LIMIT);
    expect_repeated("{{ ", "not ", 100000, "1 }}", ERR_LIMIT);
    expect_repeated("{{ ", "-", 100000, "1 }}", ERR_LIMIT);
    expect_repeated("{{ 1", " + 1", 100000, " }}", ERR_LIMIT);
    expect_repeated("{{ 1", " + 1", 150, " }}", 0);
    expect_repeated("{{ a", "|trim", 100000, " }}", ERR_LIMIT);
    expect_repeated("{{ 1", " if 1 else 1", 100000, " }}", ERR_LIMIT);
    expect_repeated("", "{% if 1 %}", 100000, "", ERR_LIMIT);
    expect_repeated("{% if 0 %}", "{% elif 0 %}", 50000, "{% endif %}", 0);
    expect_repeated("", "{% set x %}", 200, "", ERR_LIMIT);
    expect_repeated("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "", 0, "", ERR_LIMIT);
}

static void nothing_runs_or_grows_without_an_end(void) {
    static const struct {
        const char *source;
        int code;
    } CASES[] = {
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
         ERR_MEMORY},
        {"{{ range(100001)|length }}", ERR_LIMIT},
        {"{{ range(-9223372036854775807, 9223372036854775807)|length }}", ERR_LIMIT},
        /* as deep as there are turns, and twice as much at each of them */
        {"{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}",
         ERR_LIMIT},
        {"{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}"
         "{% endfor %}{{ n.x == n.x }}",
         ERR_LIMIT},
        {"{% set n = namespace(x='ab') %}{% for i in range(90) %}{% set n.x = n.x + n.x %}"
         "{% endfor %}",
         ERR_MEMORY},
        {"{{ -9223372036854775807 % -1 }}{{ (-9223372036854775807 - 1) % -1 }}", 0},
        {"{{ -9223372036854775807 - 2 }}", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        expect_repeated(CASES[i].source, "", 0, "", CASES[i].code);
    }
}

static const char *const LOOKS[] = {"t|trim",
                                    "t.strip()",
                                    "t.strip(u)",
                                    "t.rstrip()",
                                    "t.startswith('x')",
                                    "t.endswith(t)",
                                    "t.split('x')",
                                    "t|length",
                                    "t|string",
                                    "'x' in t",
                                    "t == t",
                                    "t[1]",
                                    "t[:2]",
                                    "t|default",
                                    "t.replace('x', '')",
                                    "d.k9999",
                                    "d['none']",
                                    "d.get('k')",
                                    "'k' in d",
                                    "[]|join(t)",
                                    "m(t|length)",
                                    "[t]|map('length')",
                                    "k9999",
                                    "none_of_them",
                                    "t is in t"};

/* Each turn of a loop looks at a long text, of 2^20 characters, or at a dict of 10,000 entries. */
static void looking_at_much_is_many_steps(void) {
    struct bytes source;
    json_t *entries = json_object(), *variables;
    bytes_init(&source, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%d", i);
        json_object_set_new(entries, name, json_null());
    }
    variables = json_pack("{s:O}", "d", entries);
    for (size_t i = 0; i < sizeof LOOKS / sizeof *LOOKS; i++) {
        struct bytes out;
        struct error e = {0};
        bytes_init(&out, 1 << 20);
        bytes_clear(&source);
        bytes_append_text(&source,
                          "{% set n = namespace(x='  ') %}{% for i in range(19) %}"
                          "{% set n.x = n.x + n.x %}{% endfor %}{% set t = n.x %}"
                          "{% set u = t[:9999] + 'x' %}{% macro m(a) %}{% endmacro %}",
                          NULL);
        if (LOOKS[i][0] == 'k' || strcmp(LOOKS[i], "none_of_them") == 0) {
            for (int j = 0; j < 10000; j += 2) {
                bytes_printf(&source, NULL, "{%% set k%d = 1 %%}", j);
            }
        }
        bytes_printf(&source, NULL,
                     "{%% for i in range(20000) %%}{%% if %s %%}{%% endif %%}{%% endfor %%}",
                     LOOKS[i]);
        int64_t steps = 4 * 1000 * 1000;
        int rc = render_within(bytes_text(&source), source.size, variables, &steps, &out, &e);
        if (!CHECK_NUMBER(rc, ERR_LIMIT) || !CHECK(strstr(e.text, "it takes too long") != NULL)) {
            printf("# %s: %s\n", LOOKS[i], e.text);
        }
        bytes_close(&out);
    }
    bytes_close(&source);
    json_decref(entries);
    json_decref(variables);
}

static void filters_do_not_nest_without_an_end(void) {
    expect_repeated("{{ 'a'|map(", "'map', ", 100000, "'upper')|list }}", ERR_LIMIT);
}

static void renderings_share_their_steps(void) {
    static const char SOURCE[] = "{% for i in range(1000) %}{% endfor %}";
    struct template *t = NULL;
    struct bytes out;
    struct error e = {0};
    json_t *variables = json_object();
    int64_t steps = 5000;
    const struct template_input in = {.variables = variables, .steps = &steps};
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(template_open(&t, SOURCE, strlen(SOURCE), &e), 0);
    CHECK_NUMBER(template_render(t, &in, &out, NULL, &e), 0);
    CHECK(steps > 0 && steps < 5000);
    int rc = 0;
    for (int i = 0; i < 5 && rc == 0; i++) {
        rc = template_render(t, &in, &out, NULL, &e);
    }
    CHECK_NUMBER(rc, ERR_LIMIT);
    template_close(t);
    bytes_close(&out);
    json_decref(variables);
}

int main(void) {
    RUN(expressions_and_tags_are_those_of_jinja2);
    RUN(chat_templates_of_models_render_as_in_transformers);
    RUN(what_is_not_supported_is_named_with_its_line);
    RUN(mistakes_are_told_with_their_line);
    RUN(nothing_nests_without_an_end);
    RUN(nothing_runs_or_grows_without_an_end);
    RUN(looking_at_much_is_many_steps);
    RUN(filters_do_not_nest_without_an_end);
    RUN(renderings_share_their_steps);
    return test_finish();
}
