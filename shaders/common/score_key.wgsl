// An integer in the order of the scores, from a score's bits: below all others what is pruned already, above all others
// a NaN. Scores are not negative; one that is counts as 0.
fn score_key(bits: u32, kept: bool) -> u32 {
  if (!kept) { return 0u; }
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xffffffffu; }
  return select(bits + 1u, 1u, bits > 0x7fffffffu);
}
