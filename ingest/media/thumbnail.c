/* thumbnail.c - see thumbnail.h. Candidates lie in one array in time order; the choice works on
 * pointers into it: leave out the flawed, cut the rest into scenes, take one of each scene. The
 * length of a scene is its number of candidates, because they are evenly spaced, and damaged time
 * stamps then do no harm. */
#include "ingest/media/thumbnail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WANTED_MOST = 64,
    CANDIDATES_EACH = 4,   /* held for every thumbnail wanted ... */
    CANDIDATES_LEAST = 48, /* ... but enough to see scenes where only one is wanted */
    CANDIDATES_MOST = WANTED_MOST * CANDIDATES_EACH,
    SPACING_LEAST_MS = 40, /* a frame at 25/s: closer ones differ too little to be worth scaling */
    SPACING_UNKNOWN_MS = 250, /* fills the list after 12 s; longer clips double it soon enough */
    NEIGHBOURS = 5,           /* distances looked at before and after one that may be a cut */
};

/* Levels of full-range Y; judgement, not measurement. Encoded black is within a few levels of 0;
 * the contrast spares a title on black: white letters on 2% of the picture make it 36. */
static const double BLACK_LUMA = 20, BLACK_CONTRAST = 12;

/* A white flash or an empty slide: nothing but film grain, which deviates by 2 to 4. */
static const double FLAT_CONTRAST = 6;

/* Blurred takes both: much less fine detail than this clip's own median, and little at all. So a
 * soft clip is not blurred throughout, nor is the calm shot of a sharp one. Two photographs, 320
 * pixels wide, have 880 and 3,700; out of focus by 1/240 of the width 45 and 160, by 1/100 6 and
 * 14. */
static const double BLUR_SHARE = 0.25, BLUR_SHARPNESS = 100;

/* Distances of consecutive pictures; judgement too. Below 12 things move within a shot; a cut
 * stands out threefold from its neighbours (a steady zoom has 20 throughout); from 48 on nothing is
 * left in place, whatever the neighbours are (cuts in quick succession, slides). */
static const double CUT_LEAST = 12, CUT_RATIO = 3, CUT_CERTAIN = 48;

/* Below one grey level a cell it is the noise of the encoder: the same still picture. */
static const double SAME_DISTANCE = 1;

struct thumbnails {
    int wanted, capacity, count;
    int64_t spacing_ms;
    struct thumbnail *items; /* (capacity), in time order; owns the pictures */
    bool finished;
    struct thumbnail chosen[WANTED_MOST]; /* copies of items: the pictures are lent */
    int chosen_count;
};

/* One of the pictures to choose from. */
struct option {
    const struct thumbnail *item;
    int length;     /* candidates it stands for */
    double nearest; /* distance to the nearest chosen picture, infinite at first */
};

int thumbnails_open(struct thumbnails **out, int wanted, int64_t duration_ms, struct error *e) {
    *out = NULL;
    if (wanted < 1 || wanted > WANTED_MOST) {
        return error_set(e, ERR_USAGE, "%d thumbnails wanted, not 1 to %d", wanted, WANTED_MOST);
    }
    struct thumbnails *t = calloc(1, sizeof *t);
    int capacity = wanted * CANDIDATES_EACH;
    capacity = capacity > CANDIDATES_LEAST ? capacity : CANDIDATES_LEAST;
    struct thumbnail *items = calloc((size_t)capacity, sizeof *items);
    if (t == NULL || items == NULL) {
        free(t);
        free(items);
        return error_set(e, ERR_MEMORY, "out of memory for %d thumbnail candidates", capacity);
    }
    t->wanted = wanted;
    t->capacity = capacity;
    t->items = items;
    t->spacing_ms = duration_ms > 0 ? duration_ms / capacity + 1 : SPACING_UNKNOWN_MS;
    t->spacing_ms = t->spacing_ms > SPACING_LEAST_MS ? t->spacing_ms : SPACING_LEAST_MS;
    *out = t;
    return 0;
}

void thumbnails_close(struct thumbnails *t) {
    if (t != NULL) {
        for (int i = 0; i < t->count; i++) {
            still_close(&t->items[i].picture);
        }
        free(t->items);
        free(t);
    }
}

/* How many candidates are not later than `pts_ms`: where it belongs in the array. */
static int place_of(const struct thumbnails *t, int64_t pts_ms) {
    int place = t->count;
    while (place > 0 && t->items[place - 1].pts_ms > pts_ms) {
        place--;
    }
    return place;
}

/* Whether `later` - `earlier`, which may not fit int64_t, reaches the spacing. */
static bool is_apart(const struct thumbnails *t, int64_t earlier, int64_t later) {
    return (uint64_t)later - (uint64_t)earlier >= (uint64_t)t->spacing_ms;
}

bool thumbnails_wants(const struct thumbnails *t, int64_t pts_ms) {
    int place = place_of(t, pts_ms);
    return !t->finished && (place == 0 || is_apart(t, t->items[place - 1].pts_ms, pts_ms)) &&
           (place == t->count || is_apart(t, pts_ms, t->items[place].pts_ms));
}

bool thumbnails_have(const struct thumbnails *t, int64_t pts_ms) {
    int place = place_of(t, pts_ms);
    return place > 0 && t->items[place - 1].pts_ms == pts_ms;
}

int thumbnails_room(const struct thumbnails *t) {
    return t->capacity;
}

static enum thumbnail_flaw flaw_of_picture(const struct still *p) {
    if (p->luma < BLACK_LUMA && p->contrast < BLACK_CONTRAST) {
        return THUMBNAIL_BLACK;
    }
    return p->contrast < FLAT_CONTRAST ? THUMBNAIL_FLAT : THUMBNAIL_GOOD;
}

/* Halves the list. Of each pair the earlier stays, unless it alone is flawed. */
static void thin_out(struct thumbnails *t) {
    int kept = 0;
    for (int i = 0; i < t->count; i += 2) {
        int keep = i;
        if (i + 1 < t->count) {
            bool other = t->items[i].flaw && !t->items[i + 1].flaw;
            keep = other ? i + 1 : i;
            still_close(&t->items[other ? i : i + 1].picture);
        }
        t->items[kept] = t->items[keep];
        kept++;
    }
    t->count = kept;
    if (t->spacing_ms <= INT64_MAX / 2) {
        t->spacing_ms *= 2;
    }
}

int thumbnails_offer(struct thumbnails *t, int64_t pts_ms, struct still *picture, struct error *e) {
    if (t->finished || picture->planes[0] == NULL) {
        still_close(picture);
        return error_set(e, ERR_USAGE, "a candidate after the choice or without a picture");
    }
    if (t->count == t->capacity) {
        thin_out(t);
    }
    int place = place_of(t, pts_ms);
    struct thumbnail *item = t->items + place;
    memmove(item + 1, item, (size_t)(t->count - place) * sizeof *item);
    *item =
        (struct thumbnail){.pts_ms = pts_ms, .flaw = flaw_of_picture(picture), .picture = *picture};
    *picture = (struct still){0};
    t->count++;
    return 0;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts `values`; of an even number the upper middle one. 0 where there are none. */
static double median(double *values, int count) {
    if (count == 0) {
        return 0;
    }
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* The sharpness below which a candidate of this clip is blurred. */
static double blur_limit(const struct thumbnails *t) {
    double sharpness[CANDIDATES_MOST];
    int count = 0;
    for (int i = 0; i < t->count; i++) {
        if (t->items[i].flaw != THUMBNAIL_BLACK && t->items[i].flaw != THUMBNAIL_FLAT) {
            sharpness[count] = t->items[i].picture.sharpness;
            count++;
        }
    }
    return fmin(BLUR_SHARPNESS, BLUR_SHARE * median(sharpness, count));
}

int thumbnails_good(const struct thumbnails *t) {
    double limit = blur_limit(t);
    int good = 0;
    for (int i = 0; i < t->count; i++) {
        const struct thumbnail *item = &t->items[i];
        good += item->flaw == THUMBNAIL_GOOD && item->picture.sharpness >= limit;
    }
    return good;
}

/* Marks the blurred ones; fills `pool` with those without a flaw, or with the sharpest of the least
 * flawed when there are none. */
static int choice_pool(struct thumbnails *t, struct thumbnail **pool) {
    static const int badness[] = {
        [THUMBNAIL_GOOD] = 0, [THUMBNAIL_BLURRED] = 1, [THUMBNAIL_FLAT] = 2, [THUMBNAIL_BLACK] = 3};
    double limit = blur_limit(t);
    struct thumbnail *best = t->items;
    int count = 0;
    for (int i = 0; i < t->count; i++) {
        struct thumbnail *item = &t->items[i];
        if (item->flaw == THUMBNAIL_GOOD && item->picture.sharpness < limit) {
            item->flaw = THUMBNAIL_BLURRED;
        }
        if (item->flaw == THUMBNAIL_GOOD) {
            pool[count] = item;
            count++;
        }
        int worse = badness[item->flaw] - badness[best->flaw];
        if (worse < 0 || (worse == 0 && item->picture.sharpness > best->picture.sharpness)) {
            best = item;
        }
    }
    if (count == 0 && t->count > 0) {
        pool[0] = best;
        count = 1;
    }
    return count;
}

/* `distance` holds the `count` distances of consecutive pictures. */
static bool is_cut(const double *distance, int count, int at) {
    double around[2 * NEIGHBOURS];
    int used = 0;
    for (int i = at - NEIGHBOURS; i <= at + NEIGHBOURS; i++) {
        if (i >= 0 && i < count && i != at) {
            around[used] = distance[i];
            used++;
        }
    }
    return distance[at] >= CUT_CERTAIN ||
           (distance[at] >= CUT_LEAST && distance[at] >= CUT_RATIO * median(around, used));
}

/* Numbers the scenes of the pool; `first` gets the index of each scene's first picture and after
 * the last scene `count`. Returns the number of scenes. */
static int find_scenes(struct thumbnail **pool, int count, int *first) {
    double distance[CANDIDATES_MOST];
    for (int i = 1; i < count; i++) {
        distance[i - 1] = still_distance(&pool[i - 1]->picture, &pool[i]->picture);
    }
    int scenes = 0;
    for (int i = 0; i < count; i++) {
        if (i == 0 || is_cut(distance, count - 1, i - 1)) {
            first[scenes] = i;
            scenes++;
        }
        pool[i]->scene = scenes - 1;
    }
    first[scenes] = count;
    return scenes;
}

/* Halves the longest part until there are `wanted` parts or each has one picture. Returns the
 * number of parts. */
static int split_parts(int *first, int parts, int wanted) {
    while (parts < wanted) {
        int longest = 0;
        for (int i = 1; i < parts; i++) {
            if (first[i + 1] - first[i] > first[longest + 1] - first[longest]) {
                longest = i;
            }
        }
        int length = first[longest + 1] - first[longest];
        if (length < 2) {
            return parts;
        }
        memmove(first + longest + 2, first + longest + 1,
                (size_t)(parts - longest) * sizeof *first);
        first[longest + 1] = first[longest] + length / 2;
        parts++;
    }
    return parts;
}

static struct option sharpest(struct thumbnail **pool, int first, int end) {
    struct option option = {pool[first], end - first, HUGE_VAL};
    for (int i = first + 1; i < end; i++) {
        if (pool[i]->picture.sharpness > option.item->picture.sharpness) {
            option.item = pool[i];
        }
    }
    return option;
}

/* Adds pictures to the choice until it is full or the rest repeats it. The first is the longest
 * scene, each further one the most different from all before; length counts with its square root.
 * Length alone would show a dialogue's two shots again and again and miss the short exterior;
 * difference alone would prefer a logo of one second to every real scene. */
static void take_options(struct thumbnails *t, struct option *options, int count) {
    for (int k = 0; k < t->chosen_count; k++) {
        for (int i = 0; i < count; i++) {
            double d = still_distance(&t->chosen[k].picture, &options[i].item->picture);
            options[i].nearest = fmin(options[i].nearest, d);
        }
    }
    while (t->chosen_count < t->wanted) {
        const struct option *best = NULL;
        double best_gain = 0;
        for (int i = 0; i < count; i++) {
            double gain = sqrt(options[i].length) * fmin(options[i].nearest, 255);
            if (options[i].nearest >= SAME_DISTANCE && gain > best_gain) {
                best = &options[i];
                best_gain = gain;
            }
        }
        if (best == NULL) {
            return;
        }
        const struct still *taken = &best->item->picture;
        t->chosen[t->chosen_count] = *best->item;
        t->chosen_count++;
        for (int i = 0; i < count; i++) {
            double d = still_distance(taken, &options[i].item->picture);
            options[i].nearest = fmin(options[i].nearest, d);
        }
    }
}

/* The order of the array of candidates: in broken files candidates of several scenes may have the
 * same time. */
static int compare_thumbnails(const void *a, const void *b) {
    const struct thumbnail *x = a, *y = b;
    if (x->pts_ms != y->pts_ms) {
        return x->pts_ms < y->pts_ms ? -1 : 1;
    }
    return (x->scene > y->scene) - (x->scene < y->scene);
}

static void choose(struct thumbnails *t) {
    struct thumbnail *pool[CANDIDATES_MOST];
    struct option options[CANDIDATES_MOST];
    int first[CANDIDATES_MOST + 1];
    int count = choice_pool(t, pool);
    if (count == 0) {
        return;
    }
    int parts = split_parts(first, find_scenes(pool, count, first), t->wanted);
    for (int i = 0; i < parts; i++) {
        options[i] = sharpest(pool, first[i], first[i + 1]);
    }
    take_options(t, options, parts);
    /* Still scenes leave places free, which a lively one may fill. */
    for (int i = 0; i < count; i++) {
        options[i] = (struct option){pool[i], 1, HUGE_VAL};
    }
    take_options(t, options, count);
    qsort(t->chosen, (size_t)t->chosen_count, sizeof *t->chosen, compare_thumbnails);
}

int thumbnails_choose(struct thumbnails *t, const struct thumbnail **items, int *count,
                      struct error *e) {
    (void)e; /* nothing can fail here today; callers check all the same */
    if (!t->finished) {
        choose(t);
        t->finished = true;
    }
    *items = t->chosen;
    *count = t->chosen_count;
    return 0;
}

const char *thumbnail_flaw_name(enum thumbnail_flaw flaw) {
    switch (flaw) {
    case THUMBNAIL_BLACK:
        return "black";
    case THUMBNAIL_FLAT:
        return "flat";
    case THUMBNAIL_BLURRED:
        return "blurred";
    case THUMBNAIL_GOOD:
    default:
        return "good";
    }
}
