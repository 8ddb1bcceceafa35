/* choice.c - see choice.h. */
#include "ingest/choice.h"

#include <stdio.h>
#include <string.h>

#include "ingest/captions/language.h"

/* What the order of preference depends on. */
struct preferences {
    const char *listed; /* by --lang */
    const char *spoken; /* from metadata or a track made from the sound, or NULL */
    const char *text;   /* of the clip's texts, or NULL */
    const char *const *manual;
    char from[3]; /* room for `spoken` */
};

const struct cue_list *caption_chosen(const struct caption_choices *c) {
    return c->chosen >= 0 ? c->items[c->chosen].cues : NULL;
}

static void list_captions(struct caption_choices *c, const struct sidecars *s,
                          const struct media *m) {
    c->count = 0;
    for (int i = 0; i < s->caption_count; i++) {
        const struct sidecar_caption *own = &s->captions[i];
        char from[3];
        bool translated = language_translated(own->file->language, from);
        c->items[c->count++] =
            (struct caption_choice){.source = "sidecar",
                                    .language = own->file->language,
                                    .kind = own->kind,
                                    .unread = own->file->kind == FILE_UNREAD,
                                    .origin = translated ? CAPTION_TRANSLATED : own->file->origin};
    }
    for (int i = 0; i < m->track_count; i++) {
        const struct media_track *t = &m->tracks[i];
        c->items[c->count++] = (struct caption_choice){.source = t->closed ? "closed" : "embedded",
                                                       .language = t->language,
                                                       .kind = t->kind,
                                                       .bitmap = t->bitmap,
                                                       .cues = &t->cues};
    }
}

static void find_spoken(struct preferences *p, const struct caption_choices *c,
                        const struct metadata *m) {
    p->spoken = m->spoken ? m->language : NULL;
    p->text = m->language;
    p->manual = m->manual_captions;
    for (int i = 0; i < c->count && p->spoken == NULL; i++) {
        p->spoken = c->items[i].origin == CAPTION_SPOKEN ? c->items[i].language : NULL;
    }
    for (int i = 0; i < c->count && p->spoken == NULL; i++) {
        p->spoken = language_translated(c->items[i].language, p->from) ? p->from : NULL;
    }
}

/* Lower is better. */
static int rank_of(const struct preferences *p, const struct caption_choice *c) {
    enum { LISTED = 1000, QUALITIES = 4 };
    int quality = c->origin == CAPTION_TRANSLATED ? 3 : c->origin == CAPTION_SPOKEN ? 2 : 1;
    for (const char *const *name = p->manual; name != NULL && *name != NULL && c->language != NULL;
         name++) {
        quality = strcmp(*name, c->language) == 0 ? 0 : quality;
    }
    int rank = language_rank(p->listed, c->language);
    if (rank < 0) {
        rank = language_same(c->language, p->spoken) ? LISTED
               : language_same(c->language, p->text) ? LISTED + 1
               : language_same(c->language, "en")    ? LISTED + 2
                                                     : LISTED + 3;
    }
    return rank * QUALITIES + quality;
}

/* Warns of caption files of a kind that is not read; they are a loss when there is no other
 * script. */
static void tell_unread(const struct caption_choices *c, struct sidecars *s) {
    for (int i = 0; i < s->caption_count; i++) {
        const char *reason = "captions of this kind are listed, not read";
        if (c->items[i].unread && c->chosen < 0) {
            sidecars_lose(s, s->captions[i].file->path, reason);
        } else if (c->items[i].unread) {
            sidecars_warn(s, s->captions[i].file->path, reason);
        }
    }
}

int captions_choose(struct caption_choices *c, struct sidecars *s, const struct media *m,
                    const char *languages, struct heartbeat *heartbeat, struct error *e) {
    struct preferences p = {.listed = languages};
    bool tried[sizeof c->items / sizeof *c->items] = {false};
    c->chosen = -1;
    list_captions(c, s, m);
    find_spoken(&p, c, &s->metadata);
    while (c->chosen < 0) {
        int best = -1;
        for (int i = 0; i < c->count; i++) {
            bool open = !tried[i] && !c->items[i].bitmap && !c->items[i].unread;
            if (open && (best < 0 || rank_of(&p, &c->items[i]) < rank_of(&p, &c->items[best]))) {
                best = i;
            }
        }
        if (best < 0) {
            break;
        }
        tried[best] = true;
        if (best < s->caption_count) {
            struct sidecar_caption *file = &s->captions[best];
            heartbeat_step(heartbeat, STAGE_CAPTIONS);
            int rc = sidecars_read_caption(s, file, e);
            if (rc < 0) {
                return rc;
            }
            c->items[best].cues = &file->cues;
        }
        c->chosen = c->items[best].cues->count > 0 ? best : -1;
    }
    tell_unread(c, s);
    return 0;
}
