// Where thread i of a strided kernel finds its element in up to four views: RANK loops, innermost first, whose sizes and steps
// lie in params.shape and params.steps, one component per view, from params.base on.
fn place(i: u32) -> vec4<u32> {
  var rest = i;
  var at = params.base;
  for (var d: u32 = 1u; d < RANK; d++) { // @unroll
    let size = params.shape[(d - 1u) / 4u][(d - 1u) % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.steps[d - 1u];
    rest = next;
  }
  return at + rest * params.steps[RANK - 1u];
}
