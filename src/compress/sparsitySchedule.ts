/**
 * Sparsity after step `step` of a gradual pruning from `initial` to `final` over the steps `begin` … `end`:
 * s_t = s_f + (s_i − s_f)·(1 − (t − t₀)/(t₁ − t₀))³ (Zhu & Gupta 2017, "To prune, or not to prune", eq. 1).
 */
export function cubicSparsity(
  step: number,
  { initial, final, begin, end }: { initial: number; final: number; begin: number; end: number },
): number {
  const progress = end > begin ? Math.min(Math.max((step - begin) / (end - begin), 0), 1) : step >= end ? 1 : 0;
  return final + (initial - final) * (1 - progress) ** 3;
}
