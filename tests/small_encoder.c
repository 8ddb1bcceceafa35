/* small_encoder.c - for tests that want tokens, whatever they are: an encoder with random weights
 * that costs a hundredth of the bundled one.
 *
 *     small_encoder FILE
 */
#include <stdio.h>

#include "compress/model.h"

int main(int argc, char **argv) {
    const struct encoder_config config = {.name = "small",
                                          .patch = 16,
                                          .grid = 32,
                                          .dim = 32,
                                          .depth = 1,
                                          .heads = 1,
                                          .mlp = 32,
                                          .window = 8,
                                          .neck = 16,
                                          .net_2 = 16,
                                          .net_3 = 32,
                                          .clip_dim = 32,
                                          .clip_depth = 1,
                                          .clip_heads = 1,
                                          .clip_mlp = 32,
                                          .clip_grid = 8,
                                          .token_dim = 512,
                                          .token_norm = true};
    struct error e;
    if (argc != 2 || model_init(argv[1], &config, 1, DTYPE_BF16, &e) < 0) {
        fprintf(stderr, "small_encoder: %s\n", argc != 2 ? "name a file" : e.text);
        return 1;
    }
    return 0;
}
