// The end of every columns kernel: bias, residual and activation on the way to y. Needs X of lib/quad or lib/word.
override ACT: u32 = 0;
override HAS_RESIDUAL: bool = false;

@group(0) @binding(4) var<storage, read> bias: array<f32>; // one per output channel
@group(0) @binding(5) var<storage, read> residual: array<X>; // y's channels and pixels; x or bias when unused
@group(0) @binding(6) var<storage, read_write> y: array<X>;
@group(0) @binding(7) var<uniform> params: Columns;

// Stores output channel m of a column; `out` is what column_out says of it.
fn finish(out: vec2<u32>, m: u32, sum: X) {
  finish_biased(out, m, sum + bias[m]);
}

// Of a sum that began with its bias: ahead of all loops one load serves every thread, here it is one per thread and store.
fn finish_biased(out: vec2<u32>, m: u32, sum: X) {
  var value = sum;
  if (HAS_RESIDUAL) { value += residual[out.y + m * params.r_channel]; }
  y[out.x + m * params.y_channel] = activate_x(value, ACT, params.act_a, params.act_b);
}
