// gpu/self-test: y = scale * x + i, and one sum per workgroup, to learn whether an adapter computes what it should.
// One thread per element, folded over x and y; a tree reduction in workgroup memory proves barriers and shared memory.
// Reads 4 B and writes 4 B per element. Needs no feature.
override WG_SIZE: u32 = 64;
const STEPS: u32 = 4u; // @spec 2 4 8

struct Params {
  n: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // one per workgroup
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> partial: array<f32, WG_SIZE>;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let flat = group.x + group.y * groups.x;
  let i = flat * WG_SIZE + lane;
  var value = 0.0;
  if (i < params.n) {
    value = params.scale * x[i] + f32(i);
    y[i] = value;
  }
  partial[lane] = value;
  workgroupBarrier();
  for (var half = WG_SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] += partial[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u && flat * WG_SIZE < params.n) { sums[flat] = partial[0]; }
}

// y = x + 0 + 1 + ... + (STEPS - 1): the same with the loop unrolled and not.
@compute @workgroup_size(WG_SIZE)
fn steps(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.n) { return; }
  var terms: array<f32, STEPS>;
  for (var s: u32 = 0u; s < STEPS; s++) { // @unroll
    terms[s] = f32(s);
  }
  var value = x[id.x];
  for (var s: u32 = 0u; s < STEPS; s++) { // @unroll
    value += terms[s];
  }
  y[id.x] = value;
}
