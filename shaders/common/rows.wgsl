// How rows held by a subgroup's lanes reach the others: row r of a tile sits in register r / SUBGROUP, lane r % SUBGROUP.
//
// A broadcast gives every lane row r; it takes constant lanes only, hence a function for each. In a subgroup of four,
// which is SwiftShader's, lanes swap within their quad instead: one instruction, where a broadcast is five. Lane l then
// gets row r ^ l of the four, and `row_of` says which row that is.
enable subgroups;

const SUBGROUP: u32 = 8;
// Rows of a tile, up to 16. In subgroups of four, whole fours, or one or two more.
const ROWS: u32 = 16;
// Registers that hold them.
const HELD: u32 = (ROWS + SUBGROUP - 1) / SUBGROUP;

// More turns than any loop takes. Dawn counts the turns of a loop in 64 bits, so that none runs for ever, unless it counts in
// ones to a constant: two variables to merge a turn on SwiftShader. Long loops count to this, and break off before.
const ENDLESS: u32 = 0x7fffffff;

// Four terms of a row.
alias V = vec4f;

// The row of the tile that a lane holds in a register. Where rows are fewer than lanes, several lanes hold the same.
fn held_row(h: u32, lane: u32) -> u32 {
  let first = h * SUBGROUP;
  return first + lane % min(SUBGROUP, ROWS - first);
}

// All of them, of a tile that begins at `first`; rows past the last one are the last one. To be asked before a loop, since
// SwiftShader hoists nothing, and divides number by number.
fn held_rows(first: u32, last: u32, lane: u32) -> array<u32, HELD> {
  var held: array<u32, HELD>;
  held[0] = min(first + held_row(0, lane), last);
  if (HELD > 1) { held[1 % HELD] = min(first + held_row(1, lane), last); }
  if (HELD > 2) { held[2 % HELD] = min(first + held_row(2, lane), last); }
  if (HELD > 3) { held[3 % HELD] = min(first + held_row(3, lane), last); }
  return held;
}

// The row of the tile that a lane works at as the subgroup's r-th.
fn row_of(r: u32, lane: u32) -> u32 {
  if (SUBGROUP != 4) { return r; }
  let first = r & ~3u;
  return first + ((r ^ lane) & (min(4, ROWS - first) - 1));
}

// Where a lane has that row, if rows are whole fours.
fn place_of(row: u32, lane: u32) -> u32 {
  return select(row, row ^ lane, SUBGROUP == 4);
}

fn row0(four: V) -> V {
  if (SUBGROUP == 4) { return four; }
  return subgroupBroadcast(four, 0u);
}

fn row1(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapX(four); }
  return subgroupBroadcast(four, 1u % SUBGROUP);
}

fn row2(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapY(four); }
  return subgroupBroadcast(four, 2u % SUBGROUP);
}

fn row3(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapDiagonal(four); }
  return subgroupBroadcast(four, 3u % SUBGROUP);
}

fn row4(four: V) -> V {
  if (SUBGROUP == 4) { return four; }
  return subgroupBroadcast(four, 4u % SUBGROUP);
}

fn row5(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapX(four); }
  return subgroupBroadcast(four, 5u % SUBGROUP);
}

fn row6(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapY(four); }
  return subgroupBroadcast(four, 6u % SUBGROUP);
}

fn row7(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapDiagonal(four); }
  return subgroupBroadcast(four, 7u % SUBGROUP);
}

fn row8(four: V) -> V {
  if (SUBGROUP == 4) { return four; }
  return subgroupBroadcast(four, 8u % SUBGROUP);
}

fn row9(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapX(four); }
  return subgroupBroadcast(four, 9u % SUBGROUP);
}

fn row10(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapY(four); }
  return subgroupBroadcast(four, 10u % SUBGROUP);
}

fn row11(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapDiagonal(four); }
  return subgroupBroadcast(four, 11u % SUBGROUP);
}

fn row12(four: V) -> V {
  if (SUBGROUP == 4) { return four; }
  return subgroupBroadcast(four, 12u % SUBGROUP);
}

fn row13(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapX(four); }
  return subgroupBroadcast(four, 13u % SUBGROUP);
}

fn row14(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapY(four); }
  return subgroupBroadcast(four, 14u % SUBGROUP);
}

fn row15(four: V) -> V {
  if (SUBGROUP == 4) { return quadSwapDiagonal(four); }
  return subgroupBroadcast(four, 15u % SUBGROUP);
}

// sum + b · a.
fn madd(sum: vec4f, a: vec4f, b: mat4x4f) -> vec4f {
  // SwiftShader compiles a vector operation whole, component after component, and spills what waits for the next one: each
  // sum by itself goes from its first product to the addition in one register. Elsewhere whole vectors are faster.
  if (SUBGROUP == 4) {
    return vec4f(
      (a.x * b[0].x + a.y * b[1].x + a.z * b[2].x + a.w * b[3].x) + sum.x,
      (a.x * b[0].y + a.y * b[1].y + a.z * b[2].y + a.w * b[3].y) + sum.y,
      (a.x * b[0].z + a.y * b[1].z + a.z * b[2].z + a.w * b[3].z) + sum.z,
      (a.x * b[0].w + a.y * b[1].w + a.z * b[2].w + a.w * b[3].w) + sum.w,
    );
  }
  return sum + (a.x * b[0] + a.y * b[1] + a.z * b[2] + a.w * b[3]);
}

// Adds held · b, four terms, to every row of the tile's sums: register h holds four terms of row held_row(h, lane), and a
// column of b is what one term multiplies.
fn add_rows(sums: ptr<function, array<vec4f, 16>>, held: array<vec4f, HELD>, b: mat4x4f) {
  if (ROWS == 1) {
    (*sums)[0] = madd((*sums)[0], held[0], b);
    return;
  }
  (*sums)[0] = madd((*sums)[0], row0(held[0 / SUBGROUP % HELD]), b);
  (*sums)[1] = madd((*sums)[1], row1(held[1 / SUBGROUP % HELD]), b);
  if (ROWS > 2) { (*sums)[2] = madd((*sums)[2], row2(held[2 / SUBGROUP % HELD]), b); }
  if (ROWS > 3) { (*sums)[3] = madd((*sums)[3], row3(held[3 / SUBGROUP % HELD]), b); }
  if (ROWS > 4) { (*sums)[4] = madd((*sums)[4], row4(held[4 / SUBGROUP % HELD]), b); }
  if (ROWS > 5) { (*sums)[5] = madd((*sums)[5], row5(held[5 / SUBGROUP % HELD]), b); }
  if (ROWS > 6) { (*sums)[6] = madd((*sums)[6], row6(held[6 / SUBGROUP % HELD]), b); }
  if (ROWS > 7) { (*sums)[7] = madd((*sums)[7], row7(held[7 / SUBGROUP % HELD]), b); }
  if (ROWS > 8) { (*sums)[8] = madd((*sums)[8], row8(held[8 / SUBGROUP % HELD]), b); }
  if (ROWS > 9) { (*sums)[9] = madd((*sums)[9], row9(held[9 / SUBGROUP % HELD]), b); }
  if (ROWS > 10) { (*sums)[10] = madd((*sums)[10], row10(held[10 / SUBGROUP % HELD]), b); }
  if (ROWS > 11) { (*sums)[11] = madd((*sums)[11], row11(held[11 / SUBGROUP % HELD]), b); }
  if (ROWS > 12) { (*sums)[12] = madd((*sums)[12], row12(held[12 / SUBGROUP % HELD]), b); }
  if (ROWS > 13) { (*sums)[13] = madd((*sums)[13], row13(held[13 / SUBGROUP % HELD]), b); }
  if (ROWS > 14) { (*sums)[14] = madd((*sums)[14], row14(held[14 / SUBGROUP % HELD]), b); }
  if (ROWS > 15) { (*sums)[15] = madd((*sums)[15], row15(held[15 / SUBGROUP % HELD]), b); }
}
