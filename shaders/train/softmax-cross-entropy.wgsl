// train/softmax-cross-entropy: loss and gradient of softmax(logits) against target distributions, one thread per row.
// loss = sum of targets * (log sum exp - logit); gradient = softmax * (sum of targets) - target.
// Reads 8 B per class three times (mostly from the cache), writes 4 B per class. No barrier.
struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) { return; }
  let start = id.x * params.classes;
  let end = start + params.classes;
  var top = logits[start];
  for (var i = start + 1u; i < end; i++) { top = max(top, logits[i]); }
  var total = 0.0;
  var weight = 0.0;
  for (var i = start; i < end; i++) {
    total += exp(logits[i] - top);
    weight += targets[i];
  }
  let log_total = log(total);
  var sum = 0.0;
  for (var i = start; i < end; i++) {
    let from_top = logits[i] - top;
    sum += targets[i] * (log_total - from_top);
    gradient[i] = weight * exp(from_top) / total - targets[i];
  }
  loss[id.x] = sum;
}
