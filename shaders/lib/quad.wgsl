// One load of x is a vec4: four images of a pixel, or four pixels of a single image.
alias X = vec4<f32>;

fn activate_x(v: X, code: u32, a: f32, b: f32) -> X {
  return activate4(v, code, a, b);
}
