// Activations fused into the kernels that write a layer's output. `code` is an override of the kernel, so the branch is
// resolved when the pipeline is made; a and b are the activation's own parameters.
const ACT_NONE: u32 = 0u;
const ACT_RELU: u32 = 1u;
const ACT_CLIP: u32 = 2u; // between a and b
const ACT_LEAKY_RELU: u32 = 3u; // slope a below 0
const ACT_SIGMOID: u32 = 4u;
const ACT_TANH: u32 = 5u;
const ACT_HARD_SIGMOID: u32 = 6u; // a * v + b between 0 and 1
const ACT_HARD_SWISH: u32 = 7u;
const ACT_SILU: u32 = 8u;

// e to the x would overflow on its way to a result that does not: beyond 80 both are at their limits in f32.
fn sigmoid4(v: vec4<f32>) -> vec4<f32> {
  return 1.0 / (1.0 + exp(-clamp(v, vec4<f32>(-80.0), vec4<f32>(80.0))));
}

fn activate4(v: vec4<f32>, code: u32, a: f32, b: f32) -> vec4<f32> {
  switch (code) {
    case ACT_RELU: { return max(v, vec4<f32>(0.0)); }
    case ACT_CLIP: { return min(max(v, vec4<f32>(a)), vec4<f32>(b)); }
    case ACT_LEAKY_RELU: { return select(v, v * a, v < vec4<f32>(0.0)); }
    case ACT_SIGMOID: { return sigmoid4(v); }
    case ACT_TANH: { return tanh(clamp(v, vec4<f32>(-20.0), vec4<f32>(20.0))); }
    case ACT_HARD_SIGMOID: { return clamp(v * a + b, vec4<f32>(0.0), vec4<f32>(1.0)); }
    case ACT_HARD_SWISH: { return v * clamp(v / 6.0 + 0.5, vec4<f32>(0.0), vec4<f32>(1.0)); }
    case ACT_SILU: { return v * sigmoid4(v); }
    default: { return v; }
  }
}

fn activate(v: f32, code: u32, a: f32, b: f32) -> f32 {
  return activate4(vec4<f32>(v), code, a, b).x;
}
