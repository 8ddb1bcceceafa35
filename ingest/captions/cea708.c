/* cea708.c - see cea708.h. Sections are those of CEA-708-E. */
#include "ingest/captions/cea708.h"

#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"

enum {
    WINDOWS = 8,
    SCREEN_ROWS = 15, /* that fit on a screen, whatever the windows ask for */
    ROWS = 16,    /* as many as the 4 bits of row count and pen row can address; 15 are allowed */
    COLUMNS = 64, /* as many as the 6 bits of the pen column can address; 42 are allowed */
    DEFINITION_BYTES = 6,
    PACKET_BYTES = 128, /* packet_size_code 0 */
    INPUT_BYTES = 128,  /* the service input buffer */
    SERVICE = 1,
    HIDDEN_TEXT_TAG = 15, /* section 8.5, SetPenAttributes: text not to be displayed */
};

enum code {
    CODE_BS = 0x08,
    CODE_FF = 0x0C,
    CODE_CR = 0x0D,
    CODE_HCR = 0x0E,
    CODE_EXT1 = 0x10,
    CODE_P16 = 0x18,
    CODE_CW0 = 0x80,
    CODE_CLW = 0x88,
    CODE_DSW,
    CODE_HDW,
    CODE_TGW,
    CODE_DLW,
    CODE_DLY,
    CODE_DLC,
    CODE_RST,
    CODE_SPA,
    CODE_SPL = 0x92,
    CODE_DF0 = 0x98,
};

struct cea708_window {
    bool defined, visible, silent;
    unsigned char definition[DEFINITION_BYTES]; /* as sent */
    int row, column;                            /* of the pen */
    int used[ROWS];                             /* characters in each row */
    uint16_t cells[ROWS][COLUMNS];
};

struct cea708 {
    struct cea_screen *screen;
    struct cea708_window windows[WINDOWS];
    struct cea708_window *current; /* NULL while none is chosen */

    unsigned char packet[PACKET_BYTES];
    size_t packet_size, packet_need; /* need 0: no packet has begun */
    int sequence;                    /* of the last packet, -1 before the first */

    unsigned char input[INPUT_BYTES]; /* codes of the service that are not executed yet */
    size_t input_size;
    bool delayed; /* by DLY, until delay_us */
    int64_t delay_us;

    int64_t now_us;
    bool changed;  /* since the screen was last given */
    bool switched; /* more than painting has happened since then */
    struct bytes text;
};

int cea708_open(struct cea708 **out, struct cea_screen *screen, struct error *e) {
    struct cea708 *d = calloc(1, sizeof *d);
    *out = d;
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    d->screen = screen;
    d->sequence = -1;
    d->now_us = INT64_MIN;
    bytes_init(&d->text, SCREEN_ROWS * (COLUMNS * 3 + 1));
    return 0;
}

void cea708_close(struct cea708 *d) {
    if (d != NULL) {
        bytes_close(&d->text);
        free(d);
    }
}

/* ---- windows ----------------------------------------------------------- */

static int row_count(const struct cea708_window *w) {
    return (w->definition[3] & 0x0F) + 1;
}

static void note(struct cea708 *d, bool visible, bool switched) {
    d->changed = d->changed || visible;
    d->switched = d->switched || (visible && switched);
}

static void clear(struct cea708_window *w) {
    memset(w->used, 0, sizeof w->used);
    w->row = 0;
    w->column = 0;
}

/* DefineWindow, section 8.10.5. Encoders repeat the definition for receivers that have just been
 * switched on; a repetition changes nothing. A changed definition keeps the text that still
 * fits. */
static void define_window(struct cea708 *d, struct cea708_window *w,
                          const unsigned char *definition) {
    d->current = w;
    if (w->defined && memcmp(w->definition, definition, DEFINITION_BYTES) == 0) {
        return;
    }
    note(d, w->visible, true);
    if (!w->defined) {
        clear(w);
        w->silent = false;
    }
    w->defined = true;
    w->visible = definition[0] & 0x20;
    memcpy(w->definition, definition, DEFINITION_BYTES);
    for (int row = row_count(w); row < ROWS; row++) {
        w->used[row] = 0;
    }
    w->row = w->row < row_count(w) ? w->row : row_count(w) - 1;
    note(d, w->visible, true);
}

/* The commands whose parameter is a bit map of windows, section 8.10.5. */
static void change_windows(struct cea708 *d, int code, int bits) {
    for (int i = 0; i < WINDOWS; i++) {
        struct cea708_window *w = &d->windows[i];
        if (!(bits >> i & 1) || !w->defined) {
            continue;
        }
        bool was_visible = w->visible;
        if (code == CODE_CLW) {
            clear(w);
        } else if (code == CODE_DSW) {
            w->visible = true;
        } else if (code == CODE_HDW) {
            w->visible = false;
        } else if (code == CODE_TGW) {
            w->visible = !w->visible;
        } else {
            w->defined = w->visible = false;
            d->current = d->current == w ? NULL : d->current;
        }
        note(d, was_visible || w->visible, code != CODE_DSW || !was_visible);
    }
}

/* Next row; at the bottom everything moves up (section 7.1.4), which is how captions roll. */
static void carriage_return(struct cea708_window *w) {
    w->column = 0;
    if (w->row + 1 < row_count(w)) {
        w->row++;
        return;
    }
    for (int row = 0; row < w->row; row++) {
        memcpy(w->cells[row], w->cells[row + 1], sizeof w->cells[row]);
        w->used[row] = w->used[row + 1];
    }
    w->used[w->row] = 0;
}

static void put_character(struct cea708 *d, uint16_t character) {
    struct cea708_window *w = d->current;
    if (w == NULL || w->silent) {
        return;
    }
    if (w->column >= COLUMNS) {
        carriage_return(w);
    }
    while (w->used[w->row] <= w->column) {
        w->cells[w->row][w->used[w->row]++] = ' ';
    }
    w->cells[w->row][w->column++] = character;
    note(d, w->visible, false);
}

static void backspace(struct cea708_window *w) {
    if (w->column > 0) {
        w->column--;
        if (w->used[w->row] == w->column + 1) {
            w->used[w->row]--;
        } else if (w->used[w->row] > w->column) {
            w->cells[w->row][w->column] = ' ';
        }
    }
}

/* ---- the screen -------------------------------------------------------- */

/* Rows from the top of the screen to the window's top, in 75ths of the height (section 8.4.4). */
static int window_top(const struct cea708_window *w) {
    int vertical = w->definition[1] & 0x7F;
    bool relative = w->definition[1] & 0x80; /* 0 to 99 percent instead */
    int anchor = w->definition[3] >> 4;      /* 0 to 2 at the top, 3 to 5 middle, 6 to 8 bottom */
    int height = row_count(w) * 5;
    return (relative ? vertical * 3 / 4 : vertical) - (anchor <= 8 ? height * (anchor / 3) / 2 : 0);
}

/* Whether `a` is read before `b`: some encoders make a window for every line. */
static bool reads_before(const struct cea708_window *a, const struct cea708_window *b) {
    int a_top = window_top(a), b_top = window_top(b);
    return a_top != b_top ? a_top < b_top : a->definition[2] < b->definition[2];
}

/* Appends the rows that hold something, as long as *left allows. */
static int append_window(struct bytes *out, const struct cea708_window *w, int *left,
                         struct error *e) {
    int rc = 0;
    for (int row = 0; row<ROWS && * left> 0 && rc == 0; row++) {
        char line[COLUMNS * 3 + 4];
        size_t size = 0;
        for (int column = 0; column < w->used[row]; column++) {
            size += utf8_encode(w->cells[row][column], line + size);
        }
        if (size > 0) {
            line[size++] = '\n';
            rc = bytes_append(out, line, size, e);
            *left -= 1;
        }
    }
    return rc;
}

/* Gives the screen the text that is displayed now. */
static int show(struct cea708 *d, struct error *e) {
    const struct cea708_window *order[WINDOWS];
    size_t count = 0;
    if (!d->changed) {
        return 0;
    }
    for (size_t i = 0; i < WINDOWS; i++) {
        const struct cea708_window *w = &d->windows[i];
        if (w->visible) {
            size_t at = count++;
            for (; at > 0 && reads_before(w, order[at - 1]); at--) {
                order[at] = order[at - 1];
            }
            order[at] = w;
        }
    }
    bytes_clear(&d->text);
    int rc = 0, left = SCREEN_ROWS;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = append_window(&d->text, order[i], &left, e);
    }
    if (rc == 0) {
        rc = cea_screen_show(d->screen, d->now_us, bytes_text(&d->text), d->text.size, !d->switched,
                             e);
    }
    d->changed = d->switched = false;
    return rc;
}

/* ---- codes ------------------------------------------------------------- */

/* G2, section 7.1; 0 where nothing is defined. */
static const uint16_t g2_characters[0x60] = {
    [0x20 - 0x20] = ' ',    [0x21 - 0x20] = ' ',    [0x25 - 0x20] = 0x2026, [0x2A - 0x20] = 0x0160,
    [0x2C - 0x20] = 0x0152, [0x30 - 0x20] = 0x2588, [0x31 - 0x20] = 0x2018, [0x32 - 0x20] = 0x2019,
    [0x33 - 0x20] = 0x201C, [0x34 - 0x20] = 0x201D, [0x35 - 0x20] = 0x2022, [0x39 - 0x20] = 0x2122,
    [0x3A - 0x20] = 0x0161, [0x3C - 0x20] = 0x0153, [0x3D - 0x20] = 0x2120, [0x3F - 0x20] = 0x0178,
    [0x76 - 0x20] = 0x215B, [0x77 - 0x20] = 0x215C, [0x78 - 0x20] = 0x215D, [0x79 - 0x20] = 0x215E,
    [0x7A - 0x20] = 0x2502, [0x7B - 0x20] = 0x2510, [0x7C - 0x20] = 0x2514, [0x7D - 0x20] = 0x2500,
    [0x7E - 0x20] = 0x2518, [0x7F - 0x20] = 0x250C,
};

/* Bytes of the code after EXT1, EXT1 included (section 7.1, C2 and C3); 0: not known yet. */
static size_t extended_length(const unsigned char *p, size_t size) {
    if (size < 2) {
        return 0;
    }
    if (p[1] < 0x20) {
        return 2 + (size_t)(p[1] >> 3);
    }
    if (p[1] >= 0x80 && p[1] < 0x90) {
        return p[1] < 0x88 ? 6 : 7;
    }
    if (p[1] >= 0x90 && p[1] < 0xA0) {
        return size < 3 ? 0 : 3 + (size_t)(p[2] & 0x1F);
    }
    return 2;
}

/* Bytes of the code at `p` with its parameters (section 7.1, C0 and C1), at most 34; 0 while not
 * all of them have arrived. */
static size_t code_length(const unsigned char *p, size_t size) {
    static const unsigned char c1[0x20] = {
        1, 1, 1, 1, 1, 1, 1, 1, /* CW0 to CW7 */
        2, 2, 2, 2, 2,          /* CLW, DSW, HDW, TGW, DLW */
        2, 1, 1,                /* DLY, DLC, RST */
        3, 4, 3,                /* SPA, SPC, SPL */
        1, 1, 1, 1, 5,          /* reserved, SWA */
        7, 7, 7, 7, 7, 7, 7, 7, /* DF0 to DF7 */
    };
    size_t length = 1;
    if (p[0] == CODE_EXT1) {
        length = extended_length(p, size);
    } else if (p[0] < 0x20) {
        length = p[0] < 0x10 ? 1 : p[0] < 0x18 ? 2 : 3;
    } else if (p[0] >= 0x80 && p[0] < 0xA0) {
        length = c1[p[0] - 0x80];
    }
    return length <= size ? length : 0;
}

/* Characters of G2 and G3. Undefined ones are shown as an underscore (47 CFR 79.102). */
static void put_extended(struct cea708 *d, unsigned char code) {
    if (code == 0xA0) { /* the icon [CC], all there is of G3; Unicode's basic plane has none */
        for (const char *p = "[CC]"; *p; p++) {
            put_character(d, (uint16_t)*p);
        }
    } else if (code >= 0x20 && (code < 0x80 || code > 0xA0)) {
        uint16_t character = code < 0x80 ? g2_characters[code - 0x20] : 0;
        put_character(d, character ? character : '_');
    }
}

/* C0, section 7.1.4. P16 carries two bytes that the standard leaves to the country: Korean
 * broadcasts put UTF-16 there. */
static void execute_c0(struct cea708 *d, const unsigned char *code) {
    struct cea708_window *w = d->current;
    if (code[0] == CODE_EXT1) {
        put_extended(d, code[1]);
    } else if (code[0] == CODE_P16) {
        uint16_t character = (uint16_t)(code[1] << 8 | code[2]);
        if (character >= 0xA0 || (character >= 0x20 && character < 0x7F)) {
            put_character(d, character);
        }
    } else if (w != NULL && code[0] == CODE_BS) {
        backspace(w);
        note(d, w->visible, false);
    } else if (w != NULL && code[0] == CODE_CR) {
        carriage_return(w);
        note(d, w->visible, false);
    } else if (w != NULL && code[0] == CODE_FF) {
        clear(w);
        note(d, w->visible, true);
    } else if (w != NULL && code[0] == CODE_HCR) {
        w->used[w->row] = 0;
        w->column = 0;
        note(d, w->visible, true);
    }
}

/* C1, section 8.10.5. SPC and SWA change nothing that is text. */
static void execute_c1(struct cea708 *d, const unsigned char *code) {
    struct cea708_window *w = d->current;
    if (code[0] < CODE_CLW) {
        w = &d->windows[code[0] - CODE_CW0];
        d->current = w->defined ? w : d->current;
    } else if (code[0] <= CODE_DLW) {
        change_windows(d, code[0], code[1]);
    } else if (code[0] == CODE_DLY) {
        d->delayed = true;
        d->delay_us = d->now_us + code[1] * INT64_C(100000);
    } else if (code[0] == CODE_RST) {
        change_windows(d, CODE_DLW, 0xFF);
    } else if (w != NULL && code[0] == CODE_SPA) {
        w->silent = code[1] >> 4 == HIDDEN_TEXT_TAG;
    } else if (w != NULL && code[0] == CODE_SPL) {
        w->row = code[1] & 0x0F; /* below the window too: the text is worth more than the frame */
        w->column = code[2] & 0x3F;
    } else if (code[0] >= CODE_DF0) {
        define_window(d, &d->windows[code[0] - CODE_DF0], code + 1);
    }
}

/* Whether DLC or RST waits after a delay: they end it (section 8.10.5). */
static bool delay_is_cancelled(const struct cea708 *d) {
    size_t at = 0, length = 1;
    while (at < d->input_size && length > 0) {
        if (d->input[at] == CODE_DLC || d->input[at] == CODE_RST) {
            return true;
        }
        length = code_length(d->input + at, d->input_size - at);
        at += length;
    }
    return false;
}

/* Executes the codes that are complete, up to a delay. */
static void execute_input(struct cea708 *d) {
    size_t at = 0, length = 1;
    while (at < d->input_size && length > 0) {
        const unsigned char *code = d->input + at;
        if (d->delayed) {
            break;
        }
        length = code_length(code, d->input_size - at);
        if (length == 0) {
            break;
        }
        if (code[0] < 0x20) {
            execute_c0(d, code);
        } else if (code[0] >= 0x80 && code[0] < 0xA0) {
            execute_c1(d, code);
        } else { /* G0 is ASCII but for one note (section 7.1), G1 is ISO 8859-1 */
            put_character(d, code[0] == 0x7F ? 0x266A : code[0]);
        }
        at += length;
    }
    d->input_size -= at;
    memmove(d->input, d->input + at, d->input_size);
}

static void push_block(struct cea708 *d, const unsigned char *block, size_t size) {
    while (size > sizeof d->input - d->input_size) {
        d->delayed = false; /* section 8.10.5: a full buffer ends the delay */
        execute_input(d);
    }
    memcpy(d->input + d->input_size, block, size);
    d->input_size += size;
    do {
        d->delayed = d->delayed && !delay_is_cancelled(d);
        execute_input(d);
    } while (d->delayed && delay_is_cancelled(d));
}

/* ---- packets ----------------------------------------------------------- */

/* The packet's service blocks (sections 5 and 6). A gap in the sequence leaves the windows as they
 * are: at a splice that is better than to lose the text that stands there. */
static void read_packet(struct cea708 *d) {
    int sequence = d->packet[0] >> 6;
    if (d->sequence >= 0 && sequence != ((d->sequence + 1) & 3)) {
        d->input_size = 0; /* the rest of a code that was cut will not come */
    }
    d->sequence = sequence;
    size_t at = 1;
    while (at < d->packet_need) {
        int service = d->packet[at] >> 5;
        size_t size = d->packet[at] & 0x1F;
        at++;
        at += service == 7 && size > 0 ? 1 : 0; /* the extended header has the number, 7 to 63 */
        if (service == 0 || at + size > d->packet_need) {
            break;
        }
        if (service == SERVICE) {
            push_block(d, d->packet + at, size);
        }
        at += size;
    }
}

/* Time goes on to `us`: the screen is given the state before it, and delays that end on the way are
 * carried out at their time. */
static int advance(struct cea708 *d, int64_t us, struct error *e) {
    int rc = 0;
    while (rc == 0 && d->delayed && d->delay_us < us) {
        rc = show(d, e);
        d->now_us = d->delay_us;
        d->delayed = false;
        execute_input(d);
    }
    if (rc == 0 && us > d->now_us) {
        rc = show(d, e);
        d->now_us = us;
    }
    return rc;
}

int cea708_feed(struct cea708 *d, int64_t us, const unsigned char triplet[3], struct error *e) {
    int rc = advance(d, us, e);
    if (rc < 0) {
        return rc;
    }
    if ((triplet[0] & 3) == 3) {
        size_t size_code = triplet[1] & 0x3F;
        d->packet_size = 0;
        d->packet_need = size_code ? size_code * 2 : PACKET_BYTES;
    }
    if (d->packet_need) {
        memcpy(d->packet + d->packet_size, triplet + 1, 2);
        d->packet_size += 2;
    }
    if (d->packet_need && d->packet_size >= d->packet_need) {
        read_packet(d);
        d->packet_need = 0;
    }
    return 0;
}

int cea708_finish(struct cea708 *d, int64_t us, struct error *e) {
    int rc = advance(d, us, e);
    if (rc == 0) {
        rc = show(d, e);
    }
    return rc == 0 ? cea_screen_show(d->screen, d->now_us, "", 0, false, e) : rc;
}
