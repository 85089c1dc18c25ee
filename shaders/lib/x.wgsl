// x as it lies, one X per load: what lib/csr and lib/block read, unless a copy in half precision was made of it (lib/x-halves).
@group(0) @binding(0) var<storage, read> x: array<X>;

fn x_at(i: u32) -> X {
  return x[i];
}
