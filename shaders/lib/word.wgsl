// One load of x is a float: single images, and planes whose taps are not aligned to 16 bytes.
alias X = f32;

fn activate_x(v: X, code: u32, a: f32, b: f32) -> X {
  return activate(v, code, a, b);
}
