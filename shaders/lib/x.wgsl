// x as it lies.
@group(0) @binding(0) var<storage, read> x: array<X>;

fn x_at(i: u32) -> X {
  return x[i];
}
