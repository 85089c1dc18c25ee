// lib/finish for x in strips: the four lanes of a sum are pixels of four strips of one plane, strip_rows rows apart, so each
// is stored by itself, and those below the plane are not stored at all.
override ACT: u32 = 0;
override HAS_RESIDUAL: bool = false;

@group(0) @binding(4) var<storage, read> bias: array<f32>; // one per output channel
@group(0) @binding(5) var<storage, read> residual: array<f32>; // y's channels and pixels; any other buffer when unused
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> params: Columns;

fn finish(out: vec2<u32>, m: u32, sum: X) {
  finish_biased(out, m, sum + bias[m]);
}

// Of a sum that began with its bias, as in lib/finish.
fn finish_biased(out: vec2<u32>, m: u32, sum: X) {
  let base = out + m * vec2<u32>(params.y_channel, params.r_channel);
  var value = sum;
  // The rows left below this column's row; strip s lies s * strip_rows below.
  let left = params.strip_height - (out.x - params.y_base) % params.y_d / params.y_h;
  for (var s: u32 = 0u; s < 4u; s++) { // @unroll
    if (s * params.strip_rows < left) {
      if (HAS_RESIDUAL) { value[s] += residual[base.y + s * params.strip_rows * params.r_h]; }
    }
  }
  value = activate_x(value, ACT, params.act_a, params.act_b);
  for (var s: u32 = 0u; s < 4u; s++) { // @unroll
    if (s * params.strip_rows < left) { y[base.x + s * params.strip_rows * params.y_h] = value[s]; }
  }
}
