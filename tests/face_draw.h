/* face_draw.h - for tests of faces: glyphs drawn with the fonts of this machine. */
#ifndef OCC_TESTS_FACE_DRAW_H
#define OCC_TESTS_FACE_DRAW_H

#include "render/text/face.h"
#include "tests/font_folder.h"

static struct fonts *fonts; /* of this machine */

static struct faces *open_faces(const struct fonts *of, const struct profile *profile) {
    struct faces *f = NULL;
    struct error e;
    if (!CHECK_NUMBER(faces_open(&f, of, profile, &e), 0)) {
        printf("Bail out! %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    return f;
}

static const struct glyph *draw(struct faces *f, int font, uint32_t id, unsigned phase) {
    struct glyph_slot *slot = faces_slot(f, font, id, FIT_ROW, NULL);
    if (!CHECK(slot != NULL) || !CHECK_NUMBER(faces_draw(f, slot, phase, NULL), 0)) {
        abort();
    }
    return slot->phase[phase];
}

static bool is_in_row(const struct faces *f, const struct profile *p, const struct glyph *g) {
    return g->height == 0 ||
           (g->top <= faces_baseline(f) && g->height - g->top <= p->pitch - faces_baseline(f));
}

#endif
