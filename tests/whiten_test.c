/* Whitening: patches have the same variance in all directions, and an embedding of them folded back
 * into one of pixels gives the same numbers. */
#include "train/read/whiten.h"

#include "tests/test.h"

enum { SIDE = 64, ACROSS = SIDE / WHITEN_SIDE, PAGES = 40, ROWS = 3 };

static uint64_t state = 1;

static int random_below(int count) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)count);
}

/* White, with bars of the thickness of strokes. */
static void draw(uint8_t *grey) {
    memset(grey, 255, SIDE * SIDE);
    for (int bar = 0; bar < 40; bar++) {
        int y = random_below(SIDE - 8), x = random_below(SIDE - 8), high = random_below(2);
        for (int i = 0; i < 16; i++) {
            int along = i / 2, beside = i % 2;
            grey[(y + (high ? along : beside)) * SIDE + x + (high ? beside : along)] =
                (uint8_t)random_below(120);
        }
    }
}

/* Number k of a patch in channel 0 of a whitened page. */
static double number(const float *page, int patch, int k) {
    int y = patch / ACROSS * WHITEN_SIDE + k / WHITEN_SIDE;
    int x = patch % ACROSS * WHITEN_SIDE + k % WHITEN_SIDE;
    return (double)page[y * SIDE + x];
}

static struct whitening whitening;
static uint8_t pages[PAGES][SIDE * SIDE];
static float whitened[SIDE * SIDE];

static void begin(void) {
    state = 1;
    memset(&whitening, 0, sizeof whitening);
    for (int i = 0; i < PAGES; i++) {
        draw(pages[i]);
        whiten_add(&whitening, pages[i], SIDE, SIDE);
    }
    CHECK_NUMBER(whiten_finish(&whitening, NULL), 0);
}

/* Variances are 1 but for what is put under them so that nothing is divided by zero. */
static void numbers_vary_alike_and_on_their_own(void) {
    static double moments[WHITEN_AREA][WHITEN_AREA];
    double sum = 0, most = 0;
    begin();
    memset(moments, 0, sizeof moments);
    for (int i = 0; i < PAGES; i++) {
        whiten_page(&whitening, whitened, pages[i], SIDE, SIDE);
        for (int patch = 0; patch < ACROSS * ACROSS; patch++) {
            for (int k = 0; k < WHITEN_AREA; k++) {
                for (int j = 0; j <= k; j++) {
                    moments[k][j] += number(whitened, patch, k) * number(whitened, patch, j) /
                                     (PAGES * ACROSS * ACROSS);
                }
            }
        }
    }
    for (int k = 0; k < WHITEN_AREA; k++) {
        CHECK(moments[k][k] > 0.1 && moments[k][k] < 1.0001);
        sum += moments[k][k] / WHITEN_AREA;
        for (int j = 0; j < k; j++) {
            most = fmax(most, fabs(moments[k][j]));
        }
    }
    printf("# variances are %.3f in the mean, covariances at most %.3f\n", sum, most);
    CHECK(sum > 0.5 && most < 0.3);
}

static void white_is_zero(void) {
    static uint8_t white[SIDE * SIDE];
    begin();
    memset(white, 255, sizeof white);
    whiten_page(&whitening, whitened, white, SIDE, SIDE);
    for (int i = 0; i < SIDE * SIDE; i++) {
        CHECK_NEAR((double)whitened[i], 0, 0);
    }
}

struct embedding {
    float weight[ROWS * 3 * WHITEN_AREA], bias[ROWS];
};

/* Row `r` of an embedding of whitened patches. */
static double of_whitened(const struct embedding *e, int patch, int r) {
    double sum = (double)e->bias[r];
    for (int k = 0; k < WHITEN_AREA; k++) {
        sum += (double)e->weight[r * 3 * WHITEN_AREA + k] * number(whitened, patch, k);
    }
    return sum;
}

/* ... of pixels as encoders see them, three equal channels. */
static double of_pixels(const struct embedding *e, const uint8_t *page, int patch, int r) {
    double sum = (double)e->bias[r];
    for (int k = 0; k < 3 * WHITEN_AREA; k++) {
        int place = k % WHITEN_AREA;
        int y = patch / ACROSS * WHITEN_SIDE + place / WHITEN_SIDE;
        int x = patch % ACROSS * WHITEN_SIDE + place % WHITEN_SIDE;
        double pixel = (double)page[y * SIDE + x] / 127.5 - 1;
        sum += (double)e->weight[r * 3 * WHITEN_AREA + k] * pixel;
    }
    return sum;
}

static void fill(struct embedding *e) {
    for (int i = 0; i < ROWS * 3 * WHITEN_AREA; i++) {
        e->weight[i] = (float)random_below(2001) / 1000.0f - 1.0f;
    }
    for (int r = 0; r < ROWS; r++) {
        e->bias[r] = (float)r - 1;
    }
}

static void fused_and_unfused_embeddings_give_the_same_numbers(void) {
    static struct embedding trained, shipped, again;
    begin();
    fill(&trained);
    shipped = trained;
    whiten_fuse(&whitening, shipped.weight, shipped.bias, ROWS);
    again = shipped;
    whiten_unfuse(&whitening, again.weight, again.bias, ROWS);
    whiten_page(&whitening, whitened, pages[1], SIDE, SIDE);
    for (int patch = 0; patch < ACROSS * ACROSS; patch++) {
        for (int r = 0; r < ROWS; r++) {
            double wanted = of_whitened(&trained, patch, r);
            CHECK_NEAR(of_pixels(&shipped, pages[1], patch, r), wanted, 1e-3);
            CHECK_NEAR(of_whitened(&again, patch, r), wanted, 1e-3);
        }
    }
}

/* Also one whose channels differ, as another's encoder has them. */
static void an_embedding_of_pixels_can_be_unfused(void) {
    static struct embedding pixels, unfused;
    begin();
    fill(&pixels);
    unfused = pixels;
    whiten_unfuse(&whitening, unfused.weight, unfused.bias, ROWS);
    whiten_page(&whitening, whitened, pages[2], SIDE, SIDE);
    for (int patch = 0; patch < ACROSS * ACROSS; patch++) {
        for (int r = 0; r < ROWS; r++) {
            CHECK_NEAR(of_whitened(&unfused, patch, r), of_pixels(&pixels, pages[2], patch, r),
                       1e-3);
        }
    }
}

static void pages_without_ink_are_refused(void) {
    static uint8_t white[SIDE * SIDE];
    struct error e = {0};
    memset(&whitening, 0, sizeof whitening);
    memset(white, 255, sizeof white);
    whiten_add(&whitening, white, SIDE, SIDE);
    CHECK_NUMBER(whiten_finish(&whitening, &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "the pages to learn from are empty");
}

int main(void) {
    RUN(numbers_vary_alike_and_on_their_own);
    RUN(white_is_zero);
    RUN(fused_and_unfused_embeddings_give_the_same_numbers);
    RUN(an_embedding_of_pixels_can_be_unfused);
    RUN(pages_without_ink_are_refused);
    return test_finish();
}
