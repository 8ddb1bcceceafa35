/* thumbnail_test.c - clips of made-up pictures: a picture is its grey level, which all cells of its
 * signature have, and its sharpness. Two real ones, noise and blurred noise, at the end. */
#include "ingest/media/thumbnail.h"

#include "tests/test.h"

#include <libavutil/frame.h>

enum { SHARP = 1000 };

static struct still grey_picture(int level, double sharpness) {
    struct still p = {.width = 2, .height = 2, .luma = level, .contrast = 40};
    p.sharpness = sharpness;
    p.planes[0] = calloc(1, 6);
    if (!p.planes[0]) {
        abort();
    }
    p.planes[1] = p.planes[0] + 4;
    p.planes[2] = p.planes[0] + 5;
    memset(p.signature, level, sizeof p.signature);
    return p;
}

static struct thumbnails *list_of(int wanted, int64_t duration_ms) {
    struct thumbnails *t = NULL;
    if (!CHECK(thumbnails_open(&t, wanted, duration_ms, NULL) == 0)) {
        abort();
    }
    return t;
}

static void offer(struct thumbnails *t, int64_t pts_ms, struct still picture) {
    CHECK_NUMBER(thumbnails_offer(t, pts_ms, &picture, NULL), 0);
    CHECK(!picture.planes[0]);
}

/* Pictures of one scene, a second apart. Their levels differ by 2, enough not to be repetitions. */
static void offer_scene(struct thumbnails *t, int first_second, int count, int level) {
    for (int i = 0; i < count; i++) {
        offer(t, (first_second + i) * INT64_C(1000), grey_picture(level + 2 * i, SHARP));
    }
}

/* The choice; on a wrong count empty ones, so that the test fails and goes on. */
static const struct thumbnail *choose(struct thumbnails *t, int want_count) {
    static const struct thumbnail none[64];
    const struct thumbnail *items = NULL;
    int count = -1;
    CHECK_NUMBER(thumbnails_choose(t, &items, &count, NULL), 0);
    if (!CHECK_NUMBER(count, want_count)) {
        return none;
    }
    for (int i = 1; i < count; i++) {
        CHECK(items[i - 1].pts_ms <= items[i].pts_ms);
    }
    return items;
}

static void counts_outside_the_range_are_refused(void) {
    struct thumbnails *t = NULL;
    CHECK_NUMBER(thumbnails_open(&t, 0, 1000, NULL), ERR_USAGE);
    CHECK_NUMBER(thumbnails_open(&t, 65, 1000, NULL), ERR_USAGE);
    CHECK(!t);
    thumbnails_close(NULL);
}

static void nothing_offered_gives_nothing(void) {
    struct thumbnails *t = list_of(4, 1000);
    CHECK_NUMBER(thumbnails_good(t), 0);
    choose(t, 0);
    thumbnails_close(t);
}

static void each_scene_gives_its_sharpest(void) {
    struct thumbnails *t = list_of(3, 30000);
    offer_scene(t, 0, 10, 40);
    offer_scene(t, 10, 10, 120);
    offer_scene(t, 20, 10, 200);
    offer(t, 4500, grey_picture(48, SHARP + 1));
    offer(t, 13500, grey_picture(126, SHARP + 1));
    offer(t, 29500, grey_picture(218, SHARP + 1));
    const struct thumbnail *items = choose(t, 3);
    static const int64_t want_ms[] = {4500, 13500, 29500};
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(items[i].pts_ms, want_ms[i]);
        CHECK_NUMBER(items[i].scene, i);
        CHECK_NUMBER(items[i].flaw, THUMBNAIL_GOOD);
        CHECK(items[i].picture.planes[0]);
    }
    thumbnails_close(t);
}

static void more_scenes_than_wanted_leave_out_repetitions(void) {
    /* A dialogue of two shots, 60 and 90, and one short exterior at 220. */
    struct thumbnails *t = list_of(3, 60000);
    for (int i = 0; i < 36; i++) {
        int shot = i >= 18 && i < 21 ? 220 : i / 6 % 2 ? 90 : 60;
        offer(t, i * INT64_C(1000), grey_picture(shot + i / 3, SHARP)); /* alike, not the same */
    }
    const struct thumbnail *items = choose(t, 3);
    bool seen[3] = {false};
    for (int i = 0; i < 3; i++) {
        int level = (int)items[i].picture.luma;
        seen[level >= 220 ? 2 : level >= 90 ? 1 : 0] = true;
    }
    CHECK(seen[0] && seen[1] && seen[2]);
    thumbnails_close(t);
}

static void few_scenes_are_split_in_time(void) {
    struct thumbnails *t = list_of(4, 40000);
    offer_scene(t, 0, 30, 20);
    offer_scene(t, 30, 5, 200);
    const struct thumbnail *items = choose(t, 4);
    CHECK(items[0].pts_ms < 15000);
    CHECK(items[1].pts_ms >= 7000 && items[1].pts_ms < 22000);
    CHECK(items[2].pts_ms >= 15000 && items[2].pts_ms < 30000);
    CHECK(items[3].pts_ms >= 30000);
    CHECK_NUMBER(items[2].scene, 0);
    CHECK_NUMBER(items[3].scene, 1);
    thumbnails_close(t);
}

static void steady_movement_is_one_scene(void) {
    struct thumbnails *t = list_of(2, 15000);
    for (int i = 0; i < 14; i++) { /* every step of 15 alone would be enough for a cut */
        offer(t, i * INT64_C(1000), grey_picture(30 + 15 * i, SHARP));
    }
    const struct thumbnail *items = choose(t, 2);
    CHECK_NUMBER(items[0].scene, 0);
    CHECK_NUMBER(items[1].scene, 0);
    thumbnails_close(t);
}

static void slides_are_scenes_of_their_own(void) {
    struct thumbnails *t = list_of(5, 5000);
    for (int i = 0; i < 5; i++) { /* no neighbour is calm, but nothing stays in place either */
        offer(t, i * INT64_C(1000), grey_picture(50 * i + 20, SHARP));
    }
    const struct thumbnail *items = choose(t, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_NUMBER(items[i].scene, i);
    }
    thumbnails_close(t);
}

static void still_clip_gives_one(void) {
    struct thumbnails *t = list_of(4, 20000);
    for (int i = 0; i < 20; i++) {
        struct still p = grey_picture(99, SHARP);
        for (int k = i; k < STILL_SIGNATURE * STILL_SIGNATURE; k += 3) {
            p.signature[0][k]++; /* what an encoder does to a third of the cells */
        }
        offer(t, i * INT64_C(1000), p);
    }
    choose(t, 1);
    thumbnails_close(t);
}

static void lively_scene_fills_places_of_a_still_one(void) {
    struct thumbnails *t = list_of(4, 40000);
    for (int i = 0; i < 30; i++) {
        offer(t, i * INT64_C(1000), grey_picture(99, SHARP));
    }
    offer_scene(t, 30, 6, 200);
    const struct thumbnail *items = choose(t, 4);
    CHECK_NUMBER(items[0].scene, 0);
    CHECK_NUMBER(items[1].scene, 1);
    CHECK_NUMBER(items[3].scene, 1);
    thumbnails_close(t);
}

static void flawed_pictures_are_left_out(void) {
    struct thumbnails *t = list_of(4, 20000);
    struct still black = grey_picture(4, SHARP);
    struct still flat = grey_picture(255, SHARP);
    black.contrast = 3;
    flat.contrast = 1;
    offer(t, 500, black);
    offer(t, 1000, flat);
    offer(t, 1500, grey_picture(140, 5)); /* blurred: the others have a sharpness of 1,000 */
    offer_scene(t, 2, 2, 60);
    offer_scene(t, 4, 2, 64);
    CHECK_NUMBER(thumbnails_good(t), 4);
    const struct thumbnail *items = choose(t, 4);
    CHECK_NUMBER(items[0].pts_ms, 2000);
    CHECK_NUMBER(thumbnails_good(t), 4);
    thumbnails_close(t);
}

static void title_on_black_and_soft_clip_are_good(void) {
    struct thumbnails *t = list_of(4, 20000);
    struct still title = grey_picture(8, 500);
    title.contrast = 35;
    offer(t, 0, title);
    for (int i = 1; i < 12; i++) {
        offer(t, i * INT64_C(1000), grey_picture(100 + 3 * i, 20));
    }
    CHECK_NUMBER(thumbnails_good(t), 12);
    const struct thumbnail *items = choose(t, 4);
    CHECK_NUMBER(items[0].pts_ms, 0);
    thumbnails_close(t);
}

static void only_flawed_ones_give_the_least_flawed(void) {
    struct thumbnails *t = list_of(4, 20000);
    for (int i = 0; i < 10; i++) {
        struct still p = grey_picture(i == 6 ? 90 : 3, i);
        p.contrast = 2;
        offer(t, i * INT64_C(1000), p);
    }
    CHECK_NUMBER(thumbnails_good(t), 0);
    const struct thumbnail *items = choose(t, 1);
    CHECK_NUMBER(items[0].pts_ms, 6000);
    CHECK_TEXT(thumbnail_flaw_name(items[0].flaw), "flat");
    thumbnails_close(t);
}

static void flaws_have_names(void) {
    CHECK_TEXT(thumbnail_flaw_name(THUMBNAIL_GOOD), "good");
    CHECK_TEXT(thumbnail_flaw_name(THUMBNAIL_BLACK), "black");
    CHECK_TEXT(thumbnail_flaw_name(THUMBNAIL_BLURRED), "blurred");
}

static void long_clip_of_unknown_length_stays_bounded(void) {
    struct thumbnails *t = list_of(4, -1);
    int offered = 0;
    int most = 0;
    for (int i = 0; i < 100000; i++) { /* 25 frames a second for more than an hour */
        if (thumbnails_wants(t, i * INT64_C(40))) {
            offer(t, i * INT64_C(40), grey_picture(20 + i / 500, SHARP));
            offered++;
        }
        int held = i % 100 == 0 ? thumbnails_good(t) : 0;
        most = held > most ? held : most;
    }
    CHECK(most > 24 && most <= 48);
    CHECK(offered < 48 * 10);
    const struct thumbnail *items = choose(t, 4);
    CHECK(items[0].pts_ms < 1600000);
    CHECK(items[3].pts_ms > 2400000);
    thumbnails_close(t);
}

static void known_length_sets_the_spacing(void) {
    struct thumbnails *t = list_of(4, 480000);
    offer(t, 0, grey_picture(50, SHARP));
    CHECK(!thumbnails_wants(t, 9999));
    CHECK(thumbnails_wants(t, 10001));
    thumbnails_close(t);
    t = list_of(64, 256000); /* 256 candidates */
    for (int i = 0; i < 600; i++) {
        offer(t, i * INT64_C(400), grey_picture(i % 200, SHARP));
        CHECK(thumbnails_good(t) <= 256);
    }
    choose(t, 64);
    thumbnails_close(t);
}

static void thinning_keeps_the_good_of_a_pair(void) {
    struct thumbnails *t = list_of(1, -1);
    for (int i = 0; i < 49; i++) {
        struct still p = grey_picture(20 + 4 * i, SHARP);
        p.contrast = i % 2 ? 40 : 1;
        offer(t, i * INT64_C(250), p);
    }
    CHECK_NUMBER(thumbnails_good(t), 24); /* all of them; the 49th, flat, was added afterwards */
    thumbnails_close(t);
}

static void broken_times_are_sorted(void) {
    static const int64_t times[] = {5000, INT64_MAX, 2000, INT64_MIN, 5000, 2000};
    struct thumbnails *t = list_of(6, INT64_MAX);
    for (int i = 0; i < 6; i++) {
        offer(t, times[i], grey_picture(20 + 40 * i, SHARP));
    }
    CHECK(!thumbnails_wants(t, INT64_MIN));
    CHECK(!thumbnails_wants(t, 5001));
    const struct thumbnail *items = choose(t, 6);
    CHECK_NUMBER(items[0].pts_ms, INT64_MIN);
    CHECK_NUMBER(items[5].pts_ms, INT64_MAX);
    thumbnails_close(t);
}

static void choice_is_final(void) {
    struct thumbnails *t = list_of(2, 10000);
    offer_scene(t, 0, 8, 50);
    const struct thumbnail *items = choose(t, 2);
    CHECK(choose(t, 2) == items);
    CHECK(!thumbnails_wants(t, 9000));
    struct still late = grey_picture(10, SHARP);
    struct error e = {0};
    CHECK_NUMBER(thumbnails_offer(t, 9000, &late, &e), ERR_USAGE);
    CHECK(!late.planes[0]); /* released all the same */
    struct still empty = {0};
    CHECK_NUMBER(thumbnails_offer(t, 9000, &empty, &e), ERR_USAGE);
    thumbnails_close(t);
}

/* A frame of noise, through a box filter of `box` x `box` pixels. */
static struct still noise_picture(unsigned seed, int box) {
    enum { SIDE = 96, BOX_MOST = 9 };
    static unsigned noise[SIDE + BOX_MOST][SIDE + BOX_MOST];
    struct still_scaler *s = NULL;
    struct still p;
    AVFrame *frame = av_frame_alloc();
    if (!frame || still_scaler_open(&s, SIDE, NULL) < 0) {
        abort();
    }
    frame->format = AV_PIX_FMT_GRAY8;
    frame->width = frame->height = SIDE;
    if (av_frame_get_buffer(frame, 0) < 0) {
        abort();
    }
    for (int i = 0; i < (SIDE + BOX_MOST) * (SIDE + BOX_MOST); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i / (SIDE + BOX_MOST)][i % (SIDE + BOX_MOST)] = seed >> 24;
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        unsigned sum = 0;
        for (int k = 0; k < box * box; k++) {
            sum += noise[i / SIDE + k / box][i % SIDE + k % box];
        }
        frame->data[0][i / SIDE * frame->linesize[0] + i % SIDE] =
            (unsigned char)(sum / (unsigned)(box * box));
    }
    CHECK_NUMBER(still_make(s, frame, NULL, 0, 1, &p, NULL), 0);
    av_frame_free(&frame);
    still_scaler_close(s);
    return p;
}

static void blurred_noise_is_left_out(void) {
    struct thumbnails *t = list_of(8, 8000);
    for (int i = 0; i < 8; i++) {
        offer(t, i * INT64_C(1000), noise_picture((unsigned)i, i == 3 || i == 5 ? 9 : 1));
    }
    const struct thumbnail *items = choose(t, 6);
    for (int i = 0; i < 6; i++) {
        CHECK(items[i].pts_ms != 3000 && items[i].pts_ms != 5000);
    }
    thumbnails_close(t);
}

int main(void) {
    RUN(counts_outside_the_range_are_refused);
    RUN(nothing_offered_gives_nothing);
    RUN(each_scene_gives_its_sharpest);
    RUN(more_scenes_than_wanted_leave_out_repetitions);
    RUN(few_scenes_are_split_in_time);
    RUN(steady_movement_is_one_scene);
    RUN(slides_are_scenes_of_their_own);
    RUN(still_clip_gives_one);
    RUN(lively_scene_fills_places_of_a_still_one);
    RUN(flawed_pictures_are_left_out);
    RUN(title_on_black_and_soft_clip_are_good);
    RUN(only_flawed_ones_give_the_least_flawed);
    RUN(flaws_have_names);
    RUN(long_clip_of_unknown_length_stays_bounded);
    RUN(known_length_sets_the_spacing);
    RUN(thinning_keeps_the_good_of_a_pair);
    RUN(broken_times_are_sorted);
    RUN(choice_is_final);
    RUN(blurred_noise_is_left_out);
    return test_finish();
}
