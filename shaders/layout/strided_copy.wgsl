// Copies a box of up to six axes between two tensors with strides of their own: slices, transposes, pads, concatenations.
// Axis 0 is the innermost. With CHECKED, positions of the box outside low .. low + length along some axis are filled
// instead; the source's first element then lies at `low` of every axis.
import package::common::grid::linear_workgroup;

struct Args {
  n: u32, span: u32, // elements of the box, and those of a workgroup, in units of T, as all that follows
  from_base: i32, to_base: i32,
  size0: u32, size1: u32, size2: u32, size3: u32, size4: u32, size5: u32,
  from0: i32, from1: i32, from2: i32, from3: i32, from4: i32, from5: i32, // strides
  to0: i32, to1: i32, to2: i32, to3: i32, to4: i32, to5: i32,
  low0: i32, low1: i32, low2: i32, low3: i32, low4: i32, low5: i32,
  length0: u32, length1: u32, length2: u32, length3: u32, length4: u32, length5: u32,
  fill: f32,
}

override WG: u32 = 64;
const RANK: u32 = 6;
const CHECKED: bool = true;
// vec4f where the innermost axis is contiguous on both sides and everything is a multiple of four.
alias T = f32;

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

struct Place {
  rest: u32, // number of the box's element along the axes still to come
  source: i32, sink: i32,
  inside: bool,
}

// Moves along one axis; `outermost` saves the division.
fn along(p: Place, outermost: bool, size: u32, from_stride: i32, to_stride: i32, low: i32, length: u32) -> Place {
  var rest = 0u;
  if (!outermost) { rest = p.rest / size; }
  let c = p.rest - rest * size;
  var at = i32(c);
  var inside = p.inside;
  if (CHECKED) {
    at -= low;
    inside &= u32(at) < length;
  }
  return Place(rest, p.source + at * from_stride, p.sink + i32(c) * to_stride, inside);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = linear_workgroup(group, groups) * args.span;
  let end = min(begin + args.span, args.n);
  for (var i = begin + lane; i < end; i += WG) {
    var p = Place(i, args.from_base, args.to_base, true);
    p = along(p, RANK == 1, args.size0, args.from0, args.to0, args.low0, args.length0);
    if (RANK > 1) { p = along(p, RANK == 2, args.size1, args.from1, args.to1, args.low1, args.length1); }
    if (RANK > 2) { p = along(p, RANK == 3, args.size2, args.from2, args.to2, args.low2, args.length2); }
    if (RANK > 3) { p = along(p, RANK == 4, args.size3, args.from3, args.to3, args.low3, args.length3); }
    if (RANK > 4) { p = along(p, RANK == 5, args.size4, args.from4, args.to4, args.low4, args.length4); }
    if (RANK > 5) { p = along(p, true, args.size5, args.from5, args.to5, args.low5, args.length5); }
    // A place outside reads whatever robust access makes of it, and drops it.
    y[p.sink] = select(T(args.fill), x[p.source], !CHECKED | p.inside);
  }
}
