// A grid beyond 65,535 workgroups in x folds into y; this is the workgroup's number in the unfolded grid.
fn linear_workgroup(wg: vec3u, count: vec3u) -> u32 {
  return wg.x + wg.y * count.x;
}
