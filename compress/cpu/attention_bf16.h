/* attention_bf16.h - attention_body.h with BF16 products, by AVX512-BF16 at least. Included as
 * attention_f32.h is, by a level_LEVEL.c that has defined what attention_body.h lists. */
#define PACK 2

static inline void store_bf16(uint16_t *out, vec x) {
    _mm256_storeu_si256((void *)out, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}

/* Lanes of `low` in the lower halves of elements, of `high` in the upper ones. */
static inline vec pair_of(vec low, vec high) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    return (vec)_mm512_permutexvar_epi16(order, both);
}

#include "compress/cpu/attention_body.h"

#include "compress/cpu/attention_backward_body.h"

#include "compress/cpu/gemm_body.h"
