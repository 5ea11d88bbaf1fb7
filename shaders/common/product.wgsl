// What all kernels of C = clamp(alpha * A·B + beta * bias) take.
//
// A, B and C carry strides for both of their axes, so a transposed operand is the same kernel.
struct Args {
  m: u32, n: u32, k: u32,
  a_offset: u32, a_batch: u32, a_m: u32, a_k: u32,
  b_offset: u32, b_batch: u32, b_k: u32, b_n: u32,
  out_offset: u32, out_batch: u32, out_m: u32, out_n: u32,
  bias_m: u32, bias_n: u32, // strides of the bias; 0 broadcasts it
  // Of kernels that can split k: split s sums k in [s*k_chunk, (s+1)*k_chunk) into its own copy of the output.
  k_chunk: u32, splits: u32, out_split: u32,
  tiles_n: u32, plane_groups: u32, batches: u32, // a plane is one split of one product, and has so many tiles
  alpha: f32, beta: f32, lo: f32, hi: f32,
}
