// R values of dy, each read by one lane and passed to the others by subgroupShuffle (why: lib/shuffled-weights).
// Needs subgroups of at least 8.
const R: u32 = 16u; // @spec 8 16
const LOADS: u32 = R / 8u;

fn row_of(load: u32, lane: u32) -> u32 { return load * 8u + (lane & 7u); }

fn slope_of(slopes: ptr<function, array<Value, LOADS>>, r: u32) -> Value {
  return subgroupShuffle((*slopes)[r / 8u], r % 8u);
}
