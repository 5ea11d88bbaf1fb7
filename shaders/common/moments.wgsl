// Count, mean and sum of squared deviations of a set of numbers.
struct Moments { n: f32, mean: f32, m2: f32 }

// Of two sets together (Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, eq. 1.5).
fn merge_moments(a: Moments, b: Moments) -> Moments {
  let n = a.n + b.n;
  let delta = b.mean - a.mean;
  let share = b.n / max(n, 1.0);
  return Moments(n, a.mean + delta * share, a.m2 + b.m2 + delta * delta * a.n * share);
}
