// Functions of one float that WGSL lacks or that drivers compute too loosely.

// The Taylor series below 1; above it the fit of Numerical Recipes (3rd ed., 6.2.2) in t = 1 / (1 + |x| / 2), whose relative
// error for erfc is 1.2e-7.
fn erf_f32(x: f32) -> f32 {
  let a = abs(x);
  if (a < 1.0) {
    let t = x * x;
    var s = -1.0 / 6894720.0; // of x^19, then downwards: (-1)^n / (n! (2n + 1))
    s = fma(s, t, 1.0 / 685440.0);
    s = fma(s, t, -1.0 / 75600.0);
    s = fma(s, t, 1.0 / 9360.0);
    s = fma(s, t, -1.0 / 1320.0);
    s = fma(s, t, 1.0 / 216.0);
    s = fma(s, t, -1.0 / 42.0);
    s = fma(s, t, 0.1);
    s = fma(s, t, -1.0 / 3.0);
    s = fma(s, t, 1.0);
    return 1.1283791670955126 * x * s;
  }
  if (a > 4.0) { return sign(x); }
  let t = 1.0 / (1.0 + 0.5 * a);
  var p = 0.17087277;
  p = fma(p, t, -0.82215223);
  p = fma(p, t, 1.48851587);
  p = fma(p, t, -1.13520398);
  p = fma(p, t, 0.27886807);
  p = fma(p, t, -0.18628806);
  p = fma(p, t, 0.09678418);
  p = fma(p, t, 0.37409196);
  p = fma(p, t, 1.00002368);
  p = fma(p, t, -1.26551223);
  return sign(x) * (1.0 - t * exp(p - a * a));
}

// tanh of a driver may be NaN where exp(2x) overflows.
fn tanh_f32(x: f32) -> f32 {
  let a = abs(x);
  if (a < 0.02) { return x * (1.0 - x * x / 3.0); }
  let e = exp(-2.0 * min(a, 20.0));
  return sign(x) * (1.0 - e) / (1.0 + e);
}

fn sigmoid_f32(x: f32) -> f32 {
  let e = exp(-min(abs(x), 88.0));
  return select(e / (1.0 + e), 1.0 / (1.0 + e), x >= 0.0);
}

// log(1 + e) without losing small e.
fn log1p_f32(e: f32) -> f32 {
  if (e < 0.01) { return e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - e * 0.25))); }
  return log(1.0 + e);
}

fn softplus_f32(x: f32) -> f32 {
  return max(x, 0.0) + log1p_f32(exp(-min(abs(x), 88.0)));
}

// exp(x) - 1 without cancellation near 0.
fn expm1_f32(x: f32) -> f32 {
  if (abs(x) < 0.1) { return x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0))))); }
  return exp(x) - 1.0;
}

// sin and cos of drivers may be off by 2^-11 and lose large arguments. Here the nearest multiple of pi / 2 is taken away in
// three parts (Cody and Waite), and the polynomials are those of Moshier's Cephes library for f32.
struct Angle { rest: f32, quadrant: i32 }

fn reduced_angle(x: f32) -> Angle {
  let n = round(x * 0.6366197723675814);
  let rest = fma(-n, 7.54978995489188216e-8, fma(-n, 4.837512969970703125e-4, fma(-n, 1.5703125, x)));
  return Angle(rest, i32(n) & 3);
}

fn sin_part(r: f32) -> f32 {
  let z = r * r;
  return fma(r * z, fma(z, fma(z, -1.9515295891e-4, 8.3321608736e-3), -1.6666654611e-1), r);
}

fn cos_part(r: f32) -> f32 {
  let z = r * r;
  return fma(z * z, fma(z, fma(z, 2.443315711809948e-5, -1.388731625493765e-3), 4.166664568298827e-2), 1.0 - 0.5 * z);
}

fn sin_f32(x: f32) -> f32 {
  let a = reduced_angle(x);
  let v = select(sin_part(a.rest), cos_part(a.rest), (a.quadrant & 1) == 1);
  return select(v, -v, a.quadrant >= 2);
}

fn cos_f32(x: f32) -> f32 {
  let a = reduced_angle(x);
  let v = select(cos_part(a.rest), sin_part(a.rest), (a.quadrant & 1) == 1);
  return select(v, -v, a.quadrant == 1 || a.quadrant == 2);
}

// Powers as IEEE has them: WGSL's pow is undefined for a negative base.
fn pow_f32(a: f32, b: f32) -> f32 {
  if (b == 0.0) { return 1.0; }
  if (b == 1.0) { return a; }
  if (b == 2.0) { return a * a; }
  if (b == 3.0) { return a * a * a; }
  if (b == 0.5) { return sqrt(a); }
  if (b == -1.0) { return 1.0 / a; }
  if (a == 0.0) { return select(1.0 / a, 0.0, b > 0.0); }
  let magnitude = exp2(b * log2(abs(a)));
  if (a > 0.0) { return magnitude; }
  let odd = abs(b - 2.0 * floor(b * 0.5)) == 1.0;
  return select(magnitude, -magnitude, odd);
}
