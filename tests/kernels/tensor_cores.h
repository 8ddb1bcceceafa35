/* tensor_cores.h - what compress/cuda/mma.h does by instructions of its own on a GPU: products and
 * loads of matrices by a warp, and copies that are done when they are waited for, not before. */
#ifndef OCC_TESTS_KERNELS_TENSOR_CORES_H
#define OCC_TESTS_KERNELS_TENSOR_CORES_H

/* mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 */
void gpu_mma_bf16(float d[4], const unsigned a[4], unsigned b0, unsigned b1);
/* ldmatrix.sync.aligned.m8n8.x4.shared.b16, with .trans where turned */
void gpu_load_matrices(unsigned out[4], const void *row, bool turned);
/* cp.async.cg.shared.global 16; zeros where nothing is there. */
void gpu_copy_async(void *to, const void *from, bool there);
void gpu_copies_wait(void); /* cp.async.wait_all */

#endif
