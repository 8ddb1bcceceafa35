/* The mask as a text file: what is written is read, people may edit it, what lies is named by its
 * line. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "train/gspf/mask.h"

#include <sys/stat.h>

#include "tests/model_folder.h"

#define UP "model.layers.1.mlp.up_proj.weight"

static const struct decoder_config MODEL = {.name = "test",
                                            .vocabulary = 16,
                                            .width = 8,
                                            .layers = 2,
                                            .heads = 2,
                                            .kv_heads = 1,
                                            .head_dim = 4,
                                            .hidden = 12,
                                            .context = 16};

static char folder[64], path[96];

static int read_text(struct mask *m, const char *text, size_t size, struct error *e) {
    model_file(folder, "mask.txt", text, size);
    *e = (struct error){.code = 0};
    return mask_read(m, path, &MODEL, e);
}

static void what_is_written_is_read(void) {
    struct mask_unit units[] = {
        {.layer = 1, .matrix = DECODER_UP, .first_row = 4, .rows = 8, .score = 0.25},
        {.layer = 0, .matrix = DECODER_K, .first_row = 1, .rows = 3, .score = 1e-9},
        {.layer = 1, .matrix = DECODER_UP, .first_row = 0, .rows = 4, .score = 3},
    };
    struct mask m = {.units = units, .count = 3}, read;
    struct bytes text;
    size_t count;
    CHECK_NUMBER(mask_sort(&m, NULL), 0);
    CHECK_NUMBER(units[0].layer, 0);
    CHECK_NUMBER(units[1].first_row, 0);
    CHECK_NUMBER(mask_write(path, &m, "of a test\nin two lines", NULL), 0);
    bytes_init(&text, 4096);
    CHECK_NUMBER(file_read(path, &text, NULL), 0);
    CHECK_TEXT(bytes_text(&text),
               "# occ mask 1\n# of a test\n# in two lines\n"
               "model.layers.0.self_attn.k_proj.weight 1 3 1e-09\n" UP " 0 4 3\n" UP " 4 8 0.25\n");
    bytes_close(&text);
    CHECK_NUMBER(mask_read(&read, path, &MODEL, NULL), 0);
    CHECK_NUMBER(read.count, 3);
    CHECK(mask_hash(&read) == mask_hash(&m));
    CHECK_NUMBER(mask_parameters(&read, &MODEL), (3 + 4 + 8) * 8);
    const struct mask_unit *u = mask_find(&read, 1, DECODER_UP, &count);
    CHECK(count == 2 && u == &read.units[1] && u[1].score == 0.25);
    CHECK_NUMBER(mask_rows(&read, 1, DECODER_UP), 12);
    CHECK_NUMBER(mask_rows(&read, 0, DECODER_UP), 0);
    units[2].first_row = 5;
    CHECK(mask_hash(&read) != mask_hash(&m));
    mask_close(&read);
}

static void people_may_edit_it(void) {
    static const char TEXT[] =
        "# occ mask 1\r\n\n  \t\n#\n" UP
        "\t8   4\r\n  model.layers.0.mlp.down_proj.weight 0 8 -0.5\n" UP " 0 8";
    struct mask m;
    struct error e;
    CHECK_NUMBER(read_text(&m, TEXT, sizeof TEXT - 1, &e), 0);
    CHECK_TEXT(e.text, "");
    CHECK_NUMBER(m.count, 3);
    CHECK(m.units[0].matrix == DECODER_DOWN && m.units[0].score == -0.5);
    CHECK(m.units[2].first_row == 8 && m.units[2].score == 0);
    mask_close(&m);
}

static void what_lies_is_named_with_its_line(void) {
    static const struct {
        const char *text, *part;
    } CASES[] = {
        {"", "is not a mask"},
        {"# occ mask 2\n" UP " 0 4\n", "is not a mask"},
        {"# occ mask 10\n" UP " 0 4\n", "is not a mask"},
        {UP " 0 4\n", "is not a mask"},
        {"# occ mask 1\n", "chooses no rows"},
        {"# occ mask 1\n\nmodel.layers.2.mlp.up_proj.weight 0 4\n",
         "line 3: the model has no matrix"},
        {"# occ mask 1\nmodel.layers.01.mlp.up_proj.weight 0 4\n",
         "line 2: the model has no matrix"},
        {"# occ mask 1\nmodel.layers.-1.mlp.up_proj.weight 0 4\n", "line 2: the model has no"},
        {"# occ mask 1\nmodel.layers.99999999999999999999.mlp.up_proj.weight 0 4\n", "has no"},
        {"# occ mask 1\nmodel.layers.1.mlp.up_proj 0 4\n", "has no matrix"},
        {"# occ mask 1\nmodel.norm.weight 0 1\n", "has no matrix"},
        {"# occ mask 1\n" UP "\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 4 1 1\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 4 1 1 1\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " -1 4\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0x1 4\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 1.5 4\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 99999999999999999999\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 4 nan\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 4 inf\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 4 much\n", "line 2: is not MATRIX"},
        {"# occ mask 1\n" UP " 0 0\n", "has 12 rows, not 0 from 0 on"},
        {"# occ mask 1\n" UP " 9 4\n", "has 12 rows, not 4 from 9 on"},
        {"# occ mask 1\n" UP " 2147483647 2147483647\n", "has 12 rows"},
        {"# occ mask 1\n" UP " 0 4\n" UP " 3 2\n", "row 3 of " UP " is named twice"},
        {"# occ mask 1\n" UP " 4 4\n" UP " 4 4\n", "row 4 of " UP " is named twice"},
    };
    struct mask m;
    struct error e;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const char *text = CASES[i].text;
        if (!CHECK_NUMBER(read_text(&m, text, strlen(text), &e), ERR_FORMAT) ||
            !CHECK(strstr(e.text, CASES[i].part) != NULL && strstr(e.text, path) != NULL)) {
            printf("# %s: %s\n", CASES[i].part, e.text);
        }
        CHECK(m.units == NULL && m.count == 0);
    }
    static const char ZERO[] = "# occ mask 1\n" UP " 0 4\0 5\n";
    CHECK_NUMBER(read_text(&m, ZERO, sizeof ZERO - 1, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "line 2: is not a line of a mask") != NULL);
    static char longest[4096] = "# occ mask 1\n";
    memset(longest + 13, 'x', sizeof longest - 13);
    CHECK_NUMBER(read_text(&m, longest, sizeof longest, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "line 2: is not a line of a mask") != NULL);
    CHECK_NUMBER(mask_read(&m, "/nowhere/mask.txt", &MODEL, &e), ERR_IO);
}

int main(void) {
    folder_new(folder);
    CHECK_NUMBER(mkdir(folder, 0777), 0);
    snprintf(path, sizeof path, "%s/mask.txt", folder);
    RUN(what_is_written_is_read);
    RUN(people_may_edit_it);
    RUN(what_lies_is_named_with_its_line);
    folder_end(folder);
    return test_finish();
}
