// R values of dy that all threads of a group read alike, one load each: what a GPU serves from its constant path.
const R: u32 = 4u; // @spec 1 2 4 8
const LOADS: u32 = R;

fn row_of(load: u32, lane: u32) -> u32 { return load; }

fn slope_of(slopes: ptr<function, array<Value, LOADS>>, r: u32) -> Value { return (*slopes)[r]; }
