/* face.c - see face.h. Files are mapped for as long as the faces live: FreeType and HarfBuzz read
 * them in place. Slots are kept in pages of a font's glyph numbers, made when first asked for. */
#include "render/text/face.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hb-ot.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "render/text/face_glyph.h"
#include FT_DRIVER_H
#include FT_MODULE_H
#include FT_OUTLINE_H

enum {
    PIXEL = 64, /* 26.6 */
    SLOT_PAGE = 256,
    CODE_POINTS = 0x110000,
    REACH_EM = 8,           /* a glyph is at most so wide */
    ASCENT_PER_MILLE = 880, /* of the em: the box of Chinese characters, above the baseline */
    DESCENT_PER_MILLE = 120,
    CAP_PER_MILLE = 720, /* where a font has no H or p */
    TAIL_PER_MILLE = 220,
};
#define FILE_MOST ((off_t)1 << 30)

struct file {
    const char *path; /* of struct font */
    void *data;       /* mapped */
    size_t size;
    uint64_t hash;
    hb_blob_t *blob;
};

struct opened {
    struct face face; /* face.hb is NULL until the font is open */
    FT_Face ft;
    FT_Int32 flags;
    bool exact; /* hinted by its own program, which may move edges by any distance */
    int strike; /* 26.6: pixels per em of the colour bitmaps; 0: outlines */
    uint32_t glyph_count;
    struct glyph_slot **pages[FIT_COUNT]; /* (glyph_count / SLOT_PAGE + 1); NULL until needed */
    struct error *failure;                /* owned */
};

struct faces {
    const struct fonts *fonts;
    const struct profile *profile;
    FT_Library library;
    struct rasterizer rasterizer;
    struct file *files; /* (fonts_count) */
    int file_count;
    struct opened *opened; /* (fonts_count) */
    struct opened codes;   /* no font: a box for each code point */
    int baseline;          /* pixels */
};

/* ---- Files --------------------------------------------------------------------------- */

/* Not a FIFO, of which open would wait for the other end. */
static int map_file(struct file *file, const char *path, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return error_errno(e, errno, "font %s", path);
    }
    struct stat info;
    int rc = 0;
    void *data = NULL;
    if (fstat(fd, &info) != 0) {
        rc = error_errno(e, errno, "font %s", path);
    } else if (!S_ISREG(info.st_mode) || info.st_size <= 0 || info.st_size > FILE_MOST) {
        rc = error_set(e, ERR_FORMAT, "font %s: not a file of 1 byte to 1 GiB", path);
    } else {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        rc = data == MAP_FAILED ? error_errno(e, errno, "font %s: cannot be mapped", path) : 0;
    }
    if (close(fd) != 0 && rc == 0) { /* cannot happen for a file only read */
        munmap(data, (size_t)info.st_size);
        rc = error_errno(e, errno, "font %s", path);
    }
    if (rc == 0) {
        *file = (struct file){.path = path, .data = data, .size = (size_t)info.st_size};
    }
    return rc;
}

static int get_file(struct faces *f, const char *path, const struct file **out, struct error *e) {
    for (int i = 0; i < f->file_count; i++) {
        if (strcmp(f->files[i].path, path) == 0) {
            *out = &f->files[i];
            return 0;
        }
    }
    struct file *file = &f->files[f->file_count];
    int rc = map_file(file, path, e);
    if (rc < 0) {
        return rc;
    }
    file->blob =
        hb_blob_create(file->data, (unsigned)file->size, HB_MEMORY_MODE_READONLY, NULL, NULL);
    if (file->blob == hb_blob_get_empty()) {
        munmap(file->data, file->size);
        return error_memory(e, "fonts");
    }
    file->hash = XXH3_64bits(file->data, file->size);
    f->file_count++;
    *out = file;
    return 0;
}

/* ---- Sizes --------------------------------------------------------------------------- */

/* Of a line, in units of `upem`; both positive where the font is sane. */
struct line_box {
    int64_t ascent, descent, upem;
};

/* The font's scale is 1 unit at this time. */
static struct line_box line_box_of(const struct font *font, hb_font_t *hb, unsigned upem) {
    struct line_box box = {.ascent = ASCENT_PER_MILLE, .descent = DESCENT_PER_MILLE, .upem = 1000};
    hb_font_extents_t extents;
    if (!font->han && hb_font_get_h_extents(hb, &extents)) {
        box = (struct line_box){extents.ascender, -(int64_t)extents.descender, upem};
    }
    return box;
}

/* The size at which the box is in the row, but at least half of what is wanted: absurd boxes exist,
 * and what is smaller cannot be read anyway. */
static int fitting_size(const struct faces *f, const struct line_box *box) {
    int64_t size = f->profile->size;
    int64_t above = (int64_t)f->rasterizer.above * PIXEL,
            below = (int64_t)f->rasterizer.below * PIXEL;
    if (box->ascent > 0 && box->ascent * size > above * box->upem) {
        size = above * box->upem / box->ascent;
    }
    if (box->descent > 0 && box->descent * size > below * box->upem) {
        size = below * box->upem / box->descent;
    }
    int64_t least = f->profile->size * 3 / 4;
    return (int)(size > least ? size : least);
}

static bool glyph_extents(hb_font_t *hb, uint32_t c, hb_glyph_extents_t *extents) {
    hb_codepoint_t id = 0;
    return hb_font_get_nominal_glyph(hb, c, &id) && hb_font_get_glyph_extents(hb, id, extents);
}

/* Puts the primary's line box into the middle of the row; where it is higher than that, what most
 * letters take: from the top of H to the bottom of p. */
static void place_baseline(struct faces *f, hb_font_t *hb, const struct line_box *box) {
    int size = f->profile->size, pitch = f->profile->pitch * PIXEL;
    int64_t above = box->ascent * size / box->upem, below = box->descent * size / box->upem;
    int64_t cap = (int64_t)size * CAP_PER_MILLE / 1000,
            tail = (int64_t)size * TAIL_PER_MILLE / 1000;
    hb_glyph_extents_t extents;
    if (glyph_extents(hb, 'H', &extents)) {
        cap = extents.y_bearing;
    }
    if (glyph_extents(hb, 'p', &extents)) {
        tail = -((int64_t)extents.y_bearing + extents.height);
    }
    if (above + below > pitch) {
        above = cap;
        below = tail;
    }
    int64_t baseline = ((pitch - above - below) / 2 + above + PIXEL / 2) / PIXEL;
    if (baseline < 1) {
        baseline = 1;
    }
    f->baseline = (int)(baseline < f->profile->pitch ? baseline : f->profile->pitch);
}

/* ---- Opening a font ------------------------------------------------------------------ */

static void close_opened(struct opened *o) {
    for (int fit = 0; fit < FIT_COUNT; fit++) {
        for (uint32_t i = 0; o->pages[fit] != NULL && i <= o->glyph_count / SLOT_PAGE; i++) {
            free(o->pages[fit][i]);
        }
        free(o->pages[fit]);
    }
    hb_font_destroy(o->face.hb);
    if (o->ft != NULL) {
        FT_Done_Face(o->ft);
    }
    free(o->failure);
    *o = (struct opened){0};
}

/* Fontconfig's index: the face in the lower half, the number of a variable font's named instance
 * (from 1; 0: none) in the upper one. FreeType numbers them in the same way. */
static hb_font_t *make_hb(const struct file *file, unsigned index) {
    hb_face_t *face = hb_face_create(file->blob, index & 0xFFFF);
    hb_face_make_immutable(face);
    hb_font_t *hb = hb_font_create(face);
    hb_face_destroy(face); /* the font holds it */
    hb_ot_font_set_funcs(hb);
    if (index >> 16) {
        hb_font_set_var_named_instance(hb, (index >> 16) - 1);
    }
    return hb;
}

/* HarfBuzz answers with empty objects when memory has run out. */
static bool is_inert(hb_font_t *hb) {
    return hb == hb_font_get_empty() || hb_font_get_face(hb) == hb_face_get_empty();
}

/* The largest colour bitmaps. */
static int choose_strike(struct opened *o, const char *path, struct error *e) {
    int best = 0;
    for (int i = 0; i < o->ft->num_fixed_sizes; i++) {
        FT_Pos ppem = o->ft->available_sizes[i].y_ppem;
        if (ppem > o->strike && ppem <= 1024 * PIXEL) {
            best = i;
            o->strike = (int)ppem;
        }
    }
    if (o->strike <= 0 || FT_Select_Size(o->ft, best) != 0) {
        return error_set(e, ERR_FORMAT, "font %s has no bitmaps of a usable size", path);
    }
    return 0;
}

static int set_size(struct faces *f, const struct font *font, struct opened *o, hb_font_t *hb,
                    struct error *e) {
    unsigned upem = hb_face_get_upem(hb_font_get_face(hb));
    hb_font_set_scale(hb, (int)upem, (int)upem);
    struct line_box box = line_box_of(font, hb, upem);
    bool is_primary = font == fonts_get(f->fonts, FONT_PRIMARY);
    int size = is_primary ? f->profile->size : fitting_size(f, &box);
    hb_font_set_scale(hb, size, size);
    hb_font_make_immutable(hb);
    if (is_primary) {
        place_baseline(f, hb, &box);
    }
    o->face.size = size;
    if (font->color) {
        return choose_strike(o, font->path, e);
    }
    /* No other font's own program matters. */
    enum hinting hinting = f->profile->hinting;
    o->exact = hinting == HINTING_FONT && is_primary;
    o->flags = FT_LOAD_NO_BITMAP | (hinting == HINTING_NONE ? FT_LOAD_NO_HINTING
                                    : o->exact              ? FT_LOAD_TARGET_NORMAL
                                               : FT_LOAD_TARGET_LIGHT | FT_LOAD_FORCE_AUTOHINT);
    if (!FT_IS_SCALABLE(o->ft) || FT_Set_Char_Size(o->ft, size, size, 72, 72) != 0) {
        return error_set(e, ERR_FORMAT, "font %s has no outlines", font->path);
    }
    return 0;
}

static int open_font(struct faces *f, const struct font *font, struct opened *o, struct error *e) {
    const struct file *file = NULL;
    int rc = get_file(f, font->path, &file, e);
    if (rc < 0) {
        return rc;
    }
    FT_Error code =
        FT_New_Memory_Face(f->library, file->data, (FT_Long)file->size, font->index, &o->ft);
    if (code) {
        return error_set(e, code == FT_Err_Out_Of_Memory ? ERR_MEMORY : ERR_FORMAT,
                         "font %s cannot be read (FreeType error %d)", font->path, code);
    }
    hb_font_t *hb = make_hb(file, (unsigned)font->index);
    unsigned count = hb_face_get_glyph_count(hb_font_get_face(hb));
    if (is_inert(hb) || count == 0 || o->ft->num_glyphs <= 0) {
        rc = is_inert(hb) ? ERR_MEMORY : ERR_FORMAT;
        hb_font_destroy(hb);
        return error_set(e, rc, "font %s has no glyphs", font->path);
    }
    o->glyph_count = count < o->ft->num_glyphs ? count : (uint32_t)o->ft->num_glyphs;
    rc = set_size(f, font, o, hb, e);
    if (rc < 0) {
        hb_font_destroy(hb);
        return rc;
    }
    o->face.hb = hb;
    o->face.hash = file->hash;
    return 0;
}

/* Remembers why a font cannot be opened, unless it may go better the next time. */
static void remember(struct opened *o, const struct error *why) {
    close_opened(o);
    if (why->code != ERR_MEMORY) {
        o->failure = malloc(sizeof *o->failure);
        if (o->failure != NULL) {
            *o->failure = *why;
        }
    }
}

const struct face *faces_get(struct faces *f, int font, struct error *e) {
    assert(font >= 0 && font < fonts_count(f->fonts));
    struct opened *o = &f->opened[font];
    if (o->face.hb != NULL) {
        return &o->face;
    }
    if (o->failure != NULL) {
        error_set(e, o->failure->code, "%s", o->failure->text);
        return NULL;
    }
    struct error why;
    if (open_font(f, fonts_get(f->fonts, font), o, &why) < 0) {
        error_set(e, why.code, "%s", why.text);
        remember(o, &why);
        return NULL;
    }
    return &o->face;
}

const struct face *faces_opened(const struct faces *f, int font) {
    assert(font >= 0 && font < fonts_count(f->fonts));
    return f->opened[font].face.hb != NULL ? &f->opened[font].face : NULL;
}

/* ---- The faces ----------------------------------------------------------------------- */

/* FREETYPE_PROPERTIES in the environment may turn on stem darkening, or choose another interpreter
 * of TrueType programs: pages must not depend on that. */
static int forget_environment(FT_Library library, const struct profile *profile, struct error *e) {
    static const char *const modules[] = {"autofitter", "cff"};
    FT_Bool none = 1;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        FT_Property_Set(library, modules[i], "no-stem-darkening", &none); /* fails without module */
    }
    FT_UInt version = TT_INTERPRETER_VERSION_40;
    if (FT_Property_Set(library, "truetype", "interpreter-version", &version) != 0 &&
        profile->hinting == HINTING_FONT) {
        return error_set(e, ERR_UNSUPPORTED,
                         "this FreeType was built without the TrueType interpreter, version 40");
    }
    return 0;
}

int faces_open(struct faces **out, const struct fonts *fonts, const struct profile *profile,
               struct error *e) {
    *out = NULL;
    struct faces *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return error_memory(e, "fonts");
    }
    f->fonts = fonts;
    f->profile = profile;
    f->codes.glyph_count = CODE_POINTS;
    f->files = calloc((size_t)fonts_count(fonts), sizeof *f->files);
    f->opened = calloc((size_t)fonts_count(fonts), sizeof *f->opened);
    struct error why;
    int rc = 0;
    if (f->files == NULL || f->opened == NULL || FT_Init_FreeType(&f->library) != 0) {
        rc = error_memory(&why, "fonts");
    } else {
        rc = forget_environment(f->library, profile, &why);
        if (rc == 0) {
            rc = faces_get(f, FONT_PRIMARY, &why) != NULL ? 0 : why.code;
        }
        int reach = REACH_EM * ((profile->size + PIXEL - 1) / PIXEL);
        if (rc == 0) {
            rc = rasterizer_open(&f->rasterizer, f->library, f->baseline,
                                 profile->pitch - f->baseline, reach, &why);
        }
    }
    if (rc < 0) {
        faces_close(f);
        return error_set(e, rc, "%s", why.text);
    }
    *out = f;
    return 0;
}

void faces_close(struct faces *f) {
    if (f == NULL) {
        return;
    }
    for (int i = 0; f->opened != NULL && i < fonts_count(f->fonts); i++) {
        close_opened(&f->opened[i]);
    }
    close_opened(&f->codes);
    for (int i = 0; i < f->file_count; i++) {
        hb_blob_destroy(f->files[i].blob);
        munmap(f->files[i].data, f->files[i].size);
    }
    rasterizer_close(&f->rasterizer);
    if (f->library != NULL) {
        FT_Done_FreeType(f->library);
    }
    free(f->files);
    free(f->opened);
    free(f);
}

int faces_baseline(const struct faces *f) {
    return f->baseline;
}

int faces_below(const struct faces *f) {
    return f->rasterizer.below;
}

/* ---- Slots --------------------------------------------------------------------------- */

static struct opened *opened_of(struct faces *f, int font) {
    return font == FONT_NONE || font == FACES_NO_FONT ? &f->codes : &f->opened[font];
}

struct glyph_slot *faces_slot(struct faces *f, int font, uint32_t id, unsigned fit,
                              struct error *e) {
    assert(fit < FIT_COUNT && (font == FONT_NONE || faces_opened(f, font)));
    struct opened *o = opened_of(f, font);
    id = id < o->glyph_count ? id : 0;
    if (o->pages[fit] == NULL) {
        o->pages[fit] = calloc(o->glyph_count / SLOT_PAGE + 1, sizeof *o->pages[fit]);
    }
    struct glyph_slot **page = o->pages[fit] != NULL ? &o->pages[fit][id / SLOT_PAGE] : NULL;
    if (page != NULL && *page == NULL) {
        *page = calloc(SLOT_PAGE, sizeof **page);
        for (uint32_t i = 0; *page != NULL && i < SLOT_PAGE; i++) {
            (*page)[i].id = id / SLOT_PAGE * SLOT_PAGE + i;
            (*page)[i].font = (uint16_t)font;
            (*page)[i].fit = (uint8_t)fit;
        }
    }
    if (page == NULL || *page == NULL) {
        error_memory(e, "fonts");
        return NULL;
    }
    return &(*page)[id % SLOT_PAGE];
}

/* The sign of a code point, where the profile has signs. */
static const struct sign *sign_of(const struct faces *f, uint32_t code_point) {
    return f->profile->cells ? sign_find(code_point) : NULL;
}

int32_t faces_sign_advance(const struct faces *f, uint32_t code_point) {
    const struct sign *sign = sign_of(f, code_point);
    return sign != NULL ? sign->advance * PIXEL : 0;
}

int32_t faces_box_advance(const struct faces *f, uint32_t code_point) {
    return f->profile->pitch >= CODE_HEIGHT ? code_advance(code_point) * PIXEL : 0;
}

static void fill(struct glyph_slot *slot, const struct glyph *glyph) {
    for (int i = 0; i < GLYPH_PHASES; i++) {
        slot->phase[i] = glyph;
    }
}

int faces_draw(struct faces *f, struct glyph_slot *slot, unsigned phase, struct error *e) {
    assert(phase < GLYPH_PHASES);
    if (slot->phase[phase] != NULL) {
        return 0;
    }
    const struct glyph *glyph = NULL;
    struct error why;
    int rc = 0;
    const struct opened *o = opened_of(f, slot->font);
    const struct sign *sign = slot->font == FACES_NO_FONT ? sign_of(f, slot->id) : NULL;
    if (sign != NULL) {
        rc = rasterizer_sign(&f->rasterizer, sign, &glyph, &why);
    } else if (slot->font == FACES_NO_FONT) {
        rc = rasterizer_code(&f->rasterizer, slot->id, &glyph, &why);
    } else if (o->strike) {
        rc = rasterizer_color(&f->rasterizer, o->ft, slot->id, slot->fit, o->strike, o->face.size,
                              &glyph, &why);
    } else {
        rc = rasterizer_outline(&f->rasterizer, o->ft, slot->id, o->flags, slot->fit, phase, &glyph,
                                &why);
    }
    if (rc == ERR_MEMORY) {
        return error_set(e, rc, "%s", why.text);
    }
    if (rc < 0 || slot->font == FACES_NO_FONT || o->strike) {
        fill(slot, glyph);
    } else {
        slot->phase[phase] = glyph;
    }
    return 0;
}

/* Empty glyphs take nothing: they stay. */
static void forget(struct glyph_slot *slot) {
    for (int i = 0; i < GLYPH_PHASES; i++) {
        slot->phase[i] = slot->phase[i] == &GLYPH_EMPTY ? slot->phase[i] : NULL;
    }
}

static void forget_all(const struct opened *o) {
    for (int fit = 0; fit < FIT_COUNT; fit++) {
        for (uint32_t page = 0; o->pages[fit] != NULL && page <= o->glyph_count / SLOT_PAGE;
             page++) {
            for (uint32_t k = 0; o->pages[fit][page] != NULL && k < SLOT_PAGE; k++) {
                forget(&o->pages[fit][page][k]);
            }
        }
    }
}

void faces_trim(struct faces *f, size_t limit) {
    if (f->rasterizer.used <= limit) {
        return;
    }
    forget_all(&f->codes);
    for (int i = 0; i < fonts_count(f->fonts); i++) {
        forget_all(&f->opened[i]);
    }
    arena_reset(f->rasterizer.arena);
    f->rasterizer.used = 0;
}

/* ---- What glyphs take ---------------------------------------------------------------- */

struct glyph_area faces_area(const struct faces *f, const struct glyph_slot *slot) {
    hb_glyph_extents_t box = {0};
    const struct sign *sign = slot->font == FACES_NO_FONT ? sign_of(f, slot->id) : NULL;
    if (sign != NULL) {
        return (struct glyph_area){.left = PIXEL,
                                   .right = sign->advance * PIXEL,
                                   .bottom = -PIXEL,
                                   .top = (sign->height - 1) * PIXEL};
    }
    if (slot->font == FACES_NO_FONT) {
        int32_t above = f->baseline * PIXEL;
        return (struct glyph_area){.left = PIXEL,
                                   .right = faces_box_advance(f, slot->id) - PIXEL,
                                   .bottom = above - CODE_HEIGHT * PIXEL,
                                   .top = above};
    }
    hb_font_get_glyph_extents(f->opened[slot->font].face.hb, slot->id, &box);
    return (struct glyph_area){.left = box.x_bearing,
                               .right = box.x_bearing + box.width,
                               .bottom = box.y_bearing + box.height,
                               .top = box.y_bearing};
}

static int16_t narrow(FT_Pos value) {
    return (int16_t)(value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value);
}

void faces_measure(const struct faces *f, struct glyph_slot *slot, enum measure how) {
    if (slot->measure >= how) {
        return;
    }
    struct glyph_area area = faces_area(f, slot);
    FT_Pos top = area.top, bottom = area.bottom;
    const struct opened *o = slot->font == FACES_NO_FONT ? NULL : &f->opened[slot->font];
    bool hinted = f->profile->hinting != HINTING_NONE && o != NULL && !o->strike && top > bottom;
    how = hinted && o->exact ? MEASURE_EXACT : how;
    if (hinted && how == MEASURE_ROUGH) {
        enum { MOVED = PIXEL + PIXEL / 2 }; /* an edge by hinting, at most */
        top += MOVED;
        bottom -= MOVED;
    } else if (hinted && FT_Load_Glyph(o->ft, slot->id, o->flags) == 0 &&
               o->ft->glyph->format == FT_GLYPH_FORMAT_OUTLINE) {
        FT_BBox box;
        FT_Outline_Get_CBox(&o->ft->glyph->outline, &box);
        top = box.yMax;
        bottom = box.yMin;
    }
    slot->top = narrow(top);
    slot->bottom = narrow(bottom);
    slot->measure = hinted ? (uint8_t)how : MEASURE_EXACT;
}
