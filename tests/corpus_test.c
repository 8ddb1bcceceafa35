/* corpus_test.c - JSON lines, the split by time, rows and their order. */
#include "store/random.h"
#include "tests/corpus_folder.h"

static struct corpus_folder folder;

/* ---- Documents ------------------------------------------------------------------------ */

static void prompts_are_no_targets_and_ends_are(void) {
    static const char LINES[] = "{\"text\": \"free\"}\n"
                                "\n"
                                "{\"prompt\": \"ask:\", \"completion\": \" answer\"}\r\n"
                                "{\"prompt\": \"\", \"completion\": \"alone\"}\n"
                                "{\"text\": \"the last \\ud83c\"}"; /* without a newline */
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = corpus_of_lines(&folder, &o, LINES);
    check_sequences(c, CORPUS_TRAINING,
                    "a[lone$]\nask:[ answer$]\nf[ree$]\nt[he last \xEF\xBF\xBD$]\n");
    struct corpus_counts n = corpus_counts(c, CORPUS_TRAINING);
    CHECK(n.documents == 4 && n.rows == 4 && n.accounts == 1 && n.empty == 0);
    CHECK_NUMBER(n.targets, 5 + 8 + 4 + 12);
    CHECK_NUMBER(corpus_counts(c, CORPUS_HELD_OUT).rows, 0);
    corpus_close(c);
    o.prompts = true;
    c = corpus_of_lines(&folder, &o, LINES);
    check_sequences(c, CORPUS_TRAINING,
                    "a[lone$]\na[sk: answer$]\nf[ree$]\nt[he last \xEF\xBF\xBD$]\n");
    corpus_close(c);
}

static void answers_of_conversations_are_targets(void) {
    static const char LINES[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
        "\"content\": \"Hello\"}, {\"role\": \"user\", \"content\": \"Bye\"}, {\"role\": "
        "\"assistant\", \"content\": \"Yes\"}]}\n";
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = corpus_of_lines(&folder, &o, LINES);
    char *got = sequences_of(c, CORPUS_TRAINING);
    /* Whether the newline after an end is the template's or the answer's is the template's say. */
    CHECK(strstr(got, "~user/Hi$/~assistant/[Hello$") == got);
    CHECK(strstr(got, "~user/Bye$/~assistant/[Yes$") != NULL);
    free(got);
    corpus_close(c);
}

/* What a template writes as the date of today is that of the line. */
static void conversations_have_their_own_date(void) {
    static char template[] = "{{ strftime_now('%Y-%m-%d') }} {% for m in messages %}"
                             "{{ m.content }}{{ eos_token }}{% endfor %}";
    struct corpus_folder f = folder;
    f.model.chat_template = template;
    struct corpus_options o = corpus_options_of(&f);
    struct corpus *c = corpus_of_lines(
        &f, &o,
        "{\"created\": 1700000000, \"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}\n"
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"b\"}]}\n");
    char *got = sequences_of(c, CORPUS_TRAINING);
    CHECK(strstr(got, "1970-01-01 [b") != NULL && strstr(got, "2023-11-14 [a") != NULL);
    free(got);
    corpus_close(c);
}

static void what_has_no_text_is_counted(void) {
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c =
        corpus_of_lines(&folder, &o,
                        "{\"text\": \"\"}\n{\"prompt\": \"p\", \"completion\": \"\"}\n"
                        "{\"text\": \"x\", \"account\": 12}\n"
                        "{\"text\": \"y\", \"account\": \"12\"}\n");
    check_sequences(c, CORPUS_TRAINING, "x[$]\ny[$]\n");
    CHECK_NUMBER(corpus_counts(c, CORPUS_TRAINING).empty, 2);
    CHECK_NUMBER(corpus_counts(c, CORPUS_TRAINING).accounts, 2); /* "" and "12" */
    corpus_close(c);
}

static void check_refused(const char *lines, int code, const char *part) {
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = NULL;
    struct error e = {0};
    char *path = path_in(&folder, "bad.jsonl");
    write_text(path, lines, strlen(lines));
    CHECK_NUMBER(corpus_open(&c, &o, &path, 1, NULL, &e), code);
    CHECK(c == NULL);
    if (!CHECK(strstr(e.text, "bad.jsonl") != NULL && strstr(e.text, part) != NULL)) {
        printf("# %s\n", e.text);
    }
}

static void what_cannot_be_read_is_named(void) {
    check_refused("Once upon a time", ERR_FORMAT, "is neither a store nor a stream");
    check_refused("{\"text\": \"ok\"}\nOnce", ERR_FORMAT, "line 2");
    check_refused("{\"text\": \"ok\"}\n\n{\"text\": 7}\n", ERR_FORMAT,
                  "line 3: 'text' is not a text");
    check_refused("{\"text\": \"ok\"}\n[{\"text\": \"a\"}]\n", ERR_FORMAT,
                  "line 2: is not an object");
    check_refused("{\"text\": \"ok\"}\n{\"prompt\": \"a\"}\n", ERR_FORMAT, "'completion'");
    check_refused("{\"text\": \"ok\"}\n{\"prompt\": [], \"completion\": \"a\"}\n", ERR_FORMAT,
                  "'prompt'");
    check_refused("{\"text\": \"ok\"}\n{\"a\": 1}\n", ERR_FORMAT, "neither 'messages'");
    check_refused("{\"text\": \"ok\"}\n{\"messages\": 3}\n", ERR_FORMAT, "line 2");
    check_refused("{\"text\": \"ok\"}\n{\"messages\": [3]}\n", ERR_FORMAT, "line 2");
    check_refused("{\"text\": \"ok\"}\n{\"text\": \"cut", ERR_FORMAT, "line 2");
    struct corpus_options o = corpus_options_of(&folder);
    struct corpus *c = NULL;
    struct error e = {0};
    char *missing = path_in(&folder, "missing.jsonl"), *none = path_in(&folder, "");
    CHECK_NUMBER(corpus_open(&c, &o, &missing, 1, NULL, &e), ERR_IO);
    CHECK(strstr(e.text, "missing.jsonl") != NULL);
    CHECK(corpus_open(&c, &o, &none, 1, NULL, &e) < 0); /* a folder that is no store */
    CHECK(c == NULL);
    volatile sig_atomic_t cancel = 1;
    char *path = path_in(&folder, "bad.jsonl");
    CHECK_NUMBER(corpus_open(&c, &o, &path, 1, &cancel, &e), ERR_CANCELLED);
    o.context = 0;
    CHECK_NUMBER(corpus_open(&c, &o, &path, 1, NULL, &e), ERR_USAGE);
    o.context = 16;
    o.held_out = (double)NAN;
    CHECK_NUMBER(corpus_open(&c, &o, &path, 1, NULL, &e), ERR_USAGE);
}

/* ---- The split -------------------------------------------------------------------------- */

static void the_newest_of_each_account_are_held_out(void) {
    struct corpus_options o = corpus_options_of(&folder);
    o.held_out = 0.4;
    struct corpus *c = corpus_of_lines(
        &folder, &o,
        "{\"text\": \"a5\", \"account\": \"a\", \"created\": 1700000005}\n"
        "{\"text\": \"a1\", \"account\": \"a\", \"created\": \"2023-11-14\"}\n"
        "{\"text\": \"b2\", \"account\": \"b\"}\n" /* undated: in the order of the file */
        "{\"text\": \"a4\", \"account\": \"a\", \"created\": 1700000004}\n"
        "{\"text\": \"b1\", \"account\": \"b\"}\n"
        "{\"text\": \"a0\", \"account\": \"a\"}\n"
        "{\"text\": \"a3\", \"account\": \"a\", \"created\": 1700000003}\n"
        "{\"text\": \"c1\", \"account\": \"c\", \"created\": 1800000000}\n");
    check_sequences(c, CORPUS_TRAINING, "a[0$]\na[1$]\na[3$]\nb[2$]\nc[1$]\n");
    check_sequences(c, CORPUS_HELD_OUT, "a[4$]\na[5$]\nb[1$]\n");
    CHECK_NUMBER(corpus_counts(c, CORPUS_HELD_OUT).documents, 3);
    CHECK_NUMBER(corpus_counts(c, CORPUS_HELD_OUT).accounts, 3);
    corpus_close(c);
}

/* Lines of `accounts` accounts with `each` lines, one account after the other, then `more` of
 * another. */
static char *lines_of(int accounts, int each, int more) {
    struct bytes out;
    bytes_init(&out, 1 << 26);
    for (int i = 0; i < accounts * each + more; i++) {
        const int account = i < accounts * each ? i / each : accounts;
        CHECK_NUMBER(
            bytes_printf(&out, NULL, "{\"text\": \"line %d\", \"account\": %d}\n", i, account), 0);
    }
    return (char *)out.data;
}

static int64_t held_out_of(int accounts, int each, int more, double share) {
    struct corpus_options o = corpus_options_of(&folder);
    o.held_out = share;
    char *lines = lines_of(accounts, each, more);
    struct corpus *c = corpus_of_lines(&folder, &o, lines);
    int64_t held = corpus_counts(c, CORPUS_HELD_OUT).documents;
    CHECK_NUMBER(held + corpus_counts(c, CORPUS_TRAINING).documents, accounts * each + more);
    corpus_close(c);
    free(lines);
    return held;
}

static void small_accounts_together_give_their_share(void) {
    CHECK_NUMBER(held_out_of(100, 4, 0, 0.1), 40);
    CHECK_NUMBER(held_out_of(1, 1000, 0, 0.1), 100);
    CHECK_NUMBER(held_out_of(1, 3, 0, 0.01), 1); /* something */
    CHECK_NUMBER(held_out_of(1, 1, 0, 0.9), 0);  /* never all */
    CHECK_NUMBER(held_out_of(50, 1, 0, 0.5), 0);
    CHECK_NUMBER(held_out_of(2, 2, 0, 0.99), 2);
    CHECK_NUMBER(held_out_of(5, 5, 0, 0), 0);
}

static void large_accounts_do_not_pay_for_small_ones(void) {
    CHECK_NUMBER(held_out_of(300, 1, 40, 0.1), 4);
    CHECK_NUMBER(held_out_of(300, 2, 1000, 0.9), 300 + 900);
}

/* ---- Rows ------------------------------------------------------------------------------- */

static void long_texts_go_on_in_other_rows(void) {
    struct corpus_options o = corpus_options_of(&folder);
    o.context = 4;
    struct corpus *c = corpus_of_lines(
        &folder, &o, "{\"prompt\": \"0123456789\", \"completion\": \"abcdefgh\"}\n");
    /* Of 19 tokens 18 are seen; the first four have nothing to predict, nor have the next; every
     * target is there once. */
    check_sequences(c, CORPUS_TRAINING, "89[abc]\nc[defg]\ng[h$]\n");
    corpus_close(c);
}

/* All that is there once is there once, whatever shares a row with it. */
static void packing_loses_nothing_and_fills_rows(void) {
    struct corpus_options o = corpus_options_of(&folder);
    struct bytes lines;
    uint64_t seed = 5;
    bytes_init(&lines, 1 << 24);
    for (int i = 0; i < 1500; i++) {
        int length = 1 + (int)random_below(&seed, 150);
        CHECK_NUMBER(bytes_printf(&lines, NULL,
                                  "{\"prompt\": \"p%d:\", \"completion\": \"%0*d\"}\n", i, length,
                                  i),
                     0);
    }
    o.context = 100;
    struct corpus *apart = corpus_of_lines(&folder, &o, bytes_text(&lines));
    o.packing = true;
    struct corpus *packed = corpus_of_lines(&folder, &o, bytes_text(&lines));
    char *want = sequences_of(apart, CORPUS_TRAINING);
    check_sequences(packed, CORPUS_TRAINING, want);
    struct corpus_counts a = corpus_counts(apart, CORPUS_TRAINING),
                         p = corpus_counts(packed, CORPUS_TRAINING);
    CHECK(a.tokens == p.tokens && a.targets == p.targets && a.documents == p.documents);
    CHECK_NUMBER(a.documents, 1500);
    int64_t tokens = 0, targets = 0;
    for (int64_t i = 0; i < p.rows; i++) {
        struct corpus_row row = corpus_row(packed, CORPUS_TRAINING, 0, i);
        CHECK(row.tokens <= 100 && row.sequences > 0 && row.targets > 0);
        CHECK(row.offsets[0] == 0 && row.offsets[row.sequences] == row.tokens);
        tokens += row.tokens;
        targets += row.targets;
    }
    CHECK(tokens == p.tokens && targets == p.targets);
    CHECK(p.tokens > 96 * p.rows); /* of 100 */
    free(want);
    corpus_close(apart);
    corpus_close(packed);
    bytes_close(&lines);
}

/* ---- The order -------------------------------------------------------------------------- */

/* The rows of an epoch as their texts, in order. The caller's. */
static char *order_of(const struct corpus *c, int64_t epoch) {
    struct bytes out;
    bytes_init(&out, 1 << 24);
    for (int64_t i = 0; i < corpus_counts(c, CORPUS_TRAINING).rows; i++) {
        struct corpus_row row = corpus_row(c, CORPUS_TRAINING, epoch, i);
        show_sequence(&out, &row, 0);
    }
    return (char *)out.data;
}

static void an_epoch_has_each_row_once_in_its_own_order(void) {
    struct corpus_options o = corpus_options_of(&folder);
    for (int rows = 1; rows <= 200; rows += rows < 20 ? 1 : 60) {
        bool seen[200] = {false};
        char *lines = lines_of(1, rows, 0);
        struct corpus *c = corpus_of_lines(&folder, &o, lines);
        for (int i = 0; i < rows; i++) {
            struct corpus_row row = corpus_row(c, CORPUS_TRAINING, 3, i);
            int number = 0; /* "line 17$" */
            for (int64_t k = 5; k < row.tokens; k++) {
                number = number * 10 + row.ids[k] - '0';
            }
            CHECK(number < rows && !seen[number]);
            seen[number] = true;
        }
        corpus_close(c);
        free(lines);
    }
    char *lines = lines_of(1, 100, 0), *orders[4];
    struct corpus *c = corpus_of_lines(&folder, &o, lines);
    struct corpus *same = corpus_of_lines(&folder, &o, lines);
    o.seed = 2;
    struct corpus *other = corpus_of_lines(&folder, &o, lines);
    orders[0] = order_of(c, 0);
    orders[1] = order_of(same, 0);
    orders[2] = order_of(c, 1);
    orders[3] = order_of(other, 0);
    CHECK_TEXT(orders[0], orders[1]);
    CHECK(strcmp(orders[0], orders[2]) != 0);
    CHECK(strcmp(orders[0], orders[3]) != 0);
    CHECK(strcmp(orders[2], orders[3]) != 0);
    for (int i = 0; i < 4; i++) {
        free(orders[i]);
    }
    corpus_close(c);
    corpus_close(same);
    corpus_close(other);
    free(lines);
}

static uint64_t hash_of(const struct corpus_options *o, const char *lines) {
    struct corpus *c = corpus_of_lines(&folder, o, lines);
    uint64_t hash = corpus_hash(c);
    corpus_close(c);
    return hash;
}

static void a_run_that_goes_on_knows_its_texts(void) {
    struct corpus_options o = corpus_options_of(&folder);
    char *lines = lines_of(4, 10, 0);
    uint64_t hash = hash_of(&o, lines);
    CHECK(hash_of(&o, lines) == hash);
    lines[12]++;
    CHECK(hash_of(&o, lines) != hash);
    lines[12]--;
    o.prompts = true;
    CHECK(hash_of(&o, lines) == hash); /* there are none */
    o.context = 6;
    CHECK(hash_of(&o, lines) != hash);
    o = corpus_options_of(&folder);
    o.held_out = 0.2;
    CHECK(hash_of(&o, lines) != hash);
    o = corpus_options_of(&folder);
    o.packing = true;
    CHECK(hash_of(&o, lines) != hash);
    o = corpus_options_of(&folder);
    o.seed = 9;
    CHECK(hash_of(&o, lines) != hash);
    free(lines);
}

/* ---- The token before a text ---------------------------------------------------------------- */

static void texts_begin_as_their_tokenizer_has_it(void) {
    static const struct {
        const char *config, *processor, *want;
    } CASES[] = {
        {NULL, "null", "x[y$]\n"},
        {"{}", "{\"type\": \"ByteLevel\"}", "x[y$]\n"},
        {"{\"bos_token\": \"<|begin|>\"}", "null", "x[y$]\n"},
        {"{\"add_bos_token\": true}", "null", "^[xy$]\n"},
        {"{\"add_bos_token\": true, \"bos_token\": \"<|start|>\"}", "null", "~[xy$]\n"},
        {"{\"add_bos_token\": true, \"bos_token\": {\"content\": \"<|start|>\"}}", "null",
         "~[xy$]\n"},
        {NULL,
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
         "\"<|start|>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}]}",
         "~[xy$]\n"},
        {NULL,
         "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": "
         "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<|begin|>\"}}]}]}",
         "^[xy$]\n"},
        {"{\"add_bos_token\": false}",
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
         "\"<|start|>\"}}]}",
         "x[y$]\n"},
        {NULL,
         "{\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": \"A\"}}, "
         "{\"SpecialToken\": {\"id\": \"<|end|>\"}}]}",
         "x[y$]\n"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct corpus_folder f;
        corpus_folder_new(&f);
        struct corpus_options o = corpus_options_of(&f);
        write_tokenizer(&f, CASES[i].processor);
        f.model.tokenizer_config =
            CASES[i].config != NULL ? json_loads(CASES[i].config, 0, NULL) : NULL;
        struct corpus *c = corpus_of_lines(&f, &o, "{\"text\": \"xy\"}\n");
        check_sequences(c, CORPUS_TRAINING, CASES[i].want);
        corpus_close(c);
        json_decref(f.model.tokenizer_config);
        corpus_folder_end(&f);
    }
}

int main(void) {
    corpus_folder_new(&folder);
    RUN(prompts_are_no_targets_and_ends_are);
    RUN(answers_of_conversations_are_targets);
    RUN(conversations_have_their_own_date);
    RUN(what_has_no_text_is_counted);
    RUN(what_cannot_be_read_is_named);
    RUN(the_newest_of_each_account_are_held_out);
    RUN(small_accounts_together_give_their_share);
    RUN(large_accounts_do_not_pay_for_small_ones);
    RUN(long_texts_go_on_in_other_rows);
    RUN(packing_loses_nothing_and_fills_rows);
    RUN(an_epoch_has_each_row_once_in_its_own_order);
    RUN(a_run_that_goes_on_knows_its_texts);
    RUN(texts_begin_as_their_tokenizer_has_it);
    corpus_folder_end(&folder);
    return test_finish();
}
