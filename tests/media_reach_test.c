/* media_reach_test.c - how far into each group of pictures decoding goes. */
#include "ingest/media/reach.h"

#include "tests/test.h"

static struct video_reach reach_of(const int64_t *keys, int count) {
    struct video_reach r = {0};
    for (int i = 0; i < count; i++) {
        video_reach_add(&r, keys[i]);
    }
    return r;
}

static void one_group_is_decoded_to_its_last_picture(void) {
    struct video_reach r = reach_of((int64_t[]){0}, 1);
    video_reach_plan(&r, 4, 8000);
    CHECK_NUMBER(r.until_ms[0], 6000);
    CHECK(video_reach_covers(&r, 0) && video_reach_covers(&r, 6000));
    CHECK(!video_reach_covers(&r, 6001));
}

static void long_groups_get_the_pictures(void) {
    struct video_reach r = reach_of((int64_t[]){0, 9000}, 2);
    video_reach_plan(&r, 4, 10000);
    CHECK_NUMBER(r.until_ms[0], 6000);
    CHECK_NUMBER(r.until_ms[1], 9000);
    CHECK(!video_reach_covers(&r, 7000));
    CHECK(video_reach_covers(&r, 9000));
    CHECK(!video_reach_covers(&r, 9040));
}

static void enough_groups_need_their_keyframes_only(void) {
    struct video_reach r = reach_of((int64_t[]){0, 1000, 2000}, 3);
    video_reach_plan(&r, 3, 60000);
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(r.until_ms[i], r.from_ms[i]);
    }
}

static void pictures_before_the_first_keyframe_are_covered(void) {
    struct video_reach r = reach_of((int64_t[]){500}, 1);
    video_reach_plan(&r, 2, 1500);
    CHECK(video_reach_covers(&r, 0));
    CHECK_NUMBER(r.until_ms[0], 1000);
}

/* ingest 9 */
static void groups_are_reached_by_number_too(void) {
    struct video_reach r = reach_of((int64_t[]){0}, 1);
    for (int i = 0; i < 6; i++) {
        video_reach_count(&r);
    }
    video_reach_plan(&r, 4, 30000);
    CHECK(!video_reach_covers(&r, 28000));
    CHECK(video_reach_includes(&r, 28000, 1) && video_reach_includes(&r, 29520, 4));
    CHECK(!video_reach_includes(&r, 30000, 5));
    CHECK(video_reach_includes(&r, 22500, 5)); /* by time */
}

/* ingest 9 */
static void no_group_gets_more_pictures_than_it_has(void) {
    struct video_reach r = reach_of((int64_t[]){0}, 1);
    video_reach_count(&r);
    video_reach_add(&r, 28000);
    for (int i = 0; i < 50; i++) {
        video_reach_count(&r);
    }
    video_reach_plan(&r, 4, 30000);
    CHECK_NUMBER(r.until_ms[0], 0);
    CHECK_NUMBER(r.until_ms[1], 28000 + 2000 / 3 * 2);
    CHECK_NUMBER(r.until_picture[1], 33);
    video_reach_plan(&r, 64, 30000); /* more than there are */
    CHECK_NUMBER(r.until_picture[1], 49);
}

static void odd_times_are_harmless(void) {
    struct video_reach r = reach_of((int64_t[]){1000, 1000, 400, -1, 3000}, 5);
    CHECK_NUMBER(r.count, 2);
    video_reach_plan(&r, 64, -1); /* no length: nothing after the last keyframe */
    CHECK_NUMBER(r.until_ms[1], 3000);
    struct video_reach none = {0};
    video_reach_plan(&none, 4, 1000);
    CHECK(video_reach_covers(&none, 7));
}

static void too_many_groups_are_noticed(void) {
    struct video_reach r = {0};
    for (int i = 0; i < VIDEO_REACH_GROUPS; i++) {
        video_reach_add(&r, i);
    }
    CHECK(!r.overflowed);
    video_reach_add(&r, VIDEO_REACH_GROUPS);
    CHECK(r.overflowed);
    CHECK_NUMBER(r.count, VIDEO_REACH_GROUPS);
}

int main(void) {
    RUN(one_group_is_decoded_to_its_last_picture);
    RUN(long_groups_get_the_pictures);
    RUN(enough_groups_need_their_keyframes_only);
    RUN(pictures_before_the_first_keyframe_are_covered);
    RUN(groups_are_reached_by_number_too);
    RUN(no_group_gets_more_pictures_than_it_has);
    RUN(odd_times_are_harmless);
    RUN(too_many_groups_are_noticed);
    return test_finish();
}
