// x in half precision, a vec4 in two words (conv/halve): half of the bytes per load. Sums are in f32.
@group(0) @binding(0) var<storage, read> x: array<vec2<u32>>;

fn x_at(i: u32) -> X {
  let halves = x[i];
  return vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
