// train/update: one optimiser step for one weight, in place. `sgd`: stochastic gradient descent with momentum. `adam`: Adam and
// AdamW. `accumulate`: total += value. The formulas are those of src/graph/ops/update.ts.
// One thread per element. Reads 12 B (sgd), 16 B (adam) and 4 B of mask, writes 8 or 12 B. No barrier.
override NESTEROV: bool = false;
override DECOUPLED: bool = false;
override PENALISE: bool = true;
override MASKED: bool = false;
override SCALED: bool = false;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read_write> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> first: array<f32>; // velocity, or first moment
@group(0) @binding(2) var<storage, read_write> second: array<f32>; // second moment
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>; // rate, momentum or beta1, beta2, epsilon, decay, l1, corrections
@group(0) @binding(5) var<storage, read> mask: array<f32>; // the gradient again where there is none
@group(0) @binding(6) var<storage, read> scale: array<f32>; // hyper again where there is none
@group(0) @binding(7) var<uniform> params: Params;

fn thread(g: vec3<u32>, n: vec3<u32>, lane: u32) -> u32 { return (g.x + g.y * n.x) * 64u + lane; }

fn held(i: u32) -> bool {
  if (!MASKED) { return false; }
  return mask[i] == 0.0;
}

// The gradient, scaled, with what the penalties add.
fn slope(i: u32, w: f32) -> f32 {
  var g = gradient[i];
  if (SCALED) { g *= scale[0]; }
  if (PENALISE) {
    if (!DECOUPLED) { g += hyper[4] * w; }
    g += hyper[5] * sign(w);
  }
  return g;
}

@compute @workgroup_size(64)
fn sgd(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  if (held(i)) {
    weight[i] = 0.0;
    first[i] = 0.0;
    return;
  }
  let w = weight[i];
  let d = slope(i, w);
  let v = hyper[1] * first[i] + d;
  first[i] = v;
  weight[i] = w - hyper[0] * select(v, d + hyper[1] * v, NESTEROV);
}

@compute @workgroup_size(64)
fn adam(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  if (held(i)) {
    weight[i] = 0.0;
    first[i] = 0.0;
    second[i] = 0.0;
    return;
  }
  let w = weight[i];
  let d = slope(i, w);
  let m = hyper[1] * first[i] + (1.0 - hyper[1]) * d;
  let v = hyper[2] * second[i] + (1.0 - hyper[2]) * d * d;
  first[i] = m;
  second[i] = v;
  var next = w;
  if (DECOUPLED && PENALISE) { next -= hyper[0] * hyper[4] * w; }
  weight[i] = next - hyper[0] * (m / hyper[6]) / (sqrt(v / hyper[7]) + hyper[3]);
}

@compute @workgroup_size(64)
fn accumulate(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = thread(g, n, l.x);
  if (i >= params.count) { return; }
  weight[i] = weight[i] + gradient[i];
}
