// train/random-mask: dropout's factors, decided element by element from seed, step and row-major index, on any strides.
// The formula is that of src/graph/ops/random-mask.ts. One thread per element. Reads 4 B (uniform), writes 4 B. No barrier.
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8

struct Params {
  count: u32,
  seed: u32, // mixed
  threshold: u32, // hashes from here on are kept
  factor: f32,
  base: u32,
  shape: array<vec4<u32>, 2>, // innermost dimension first
  steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn mix_bits(x: u32) -> u32 {
  var h = x;
  h = (h ^ (h >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  var rest = i;
  var at = params.base;
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * params.steps[d / 4u][d % 4u];
    rest = next;
  }
  let hash = mix_bits(i ^ mix_bits(step[0] ^ params.seed));
  y[at] = select(0.0, params.factor, hash >= params.threshold);
}
