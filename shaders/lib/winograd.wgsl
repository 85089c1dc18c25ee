// One dimension of the transforms of Winograd's minimal filtering F(M x M, 3 x 3), Y = A^T [(G g G^T) * (B^T d B)] A (Lavin and
// Gray 2016, arXiv 1509.09308, section 4), for any pairs of points: A holds the powers of the points, row i of B^T the
// coefficients of the product of all (x - point) but the i-th. The points are 0, M / 2 pairs of either sign, and infinity, so
// the two rows of a pair are one sum of the even and one of the odd entries, added and subtracted.
// src/kernels/columns/winograd.ts has G of the same points. Needs X of lib/quad or lib/word.
const M: u32 = 2u; // @spec 2 4
const T: u32 = M + 2u; // side of a tile of x
const PAIRS: u32 = M / 2u;
// Of F(4 x 4): exact in f32, as is all that follows from them, and of the pairs tried among those that round least (bench/NOTES.md).
const P = 5.0 / 8.0;
const Q = 3.0 / 2.0;
// The positive point of each pair and its powers up to 3, of M = 2, then of M = 4.
const POWERS = array<f32, 12>(1.0, 1.0, 1.0, 1.0, 1.0, P, P * P, P * P * P, 1.0, Q, Q * Q, Q * Q * Q);
const PAIR_AT: u32 = PAIRS - 1u; // 0 or 1
// Coefficients of 1, x^2, x^4 in the product of (x^2 - point^2) of all pairs, of M = 2, then of M = 4.
const ALL = array<f32, 5>(-1.0, 1.0, P * P * Q * Q, -P * P - Q * Q, 1.0);
const ALL_AT: u32 = M - 2u; // 0 or 2
// And of 1, x^2 in that of all pairs but one.
const OTHERS = array<f32, 5>(1.0, -Q * Q, 1.0, -P * P, 1.0);

// B^T of a line of a tile.
fn input_line(d: array<X, T>) -> array<X, T> {
  var line: array<X, T>;
  for (var k: u32 = 0u; k < PAIRS + 1u; k++) { // @unroll
    line[0] += ALL[ALL_AT + k] * d[2u * k];
    line[T - 1u] += ALL[ALL_AT + k] * d[2u * k + 1u];
  }
  for (var q: u32 = 0u; q < PAIRS; q++) { // @unroll
    var even = X();
    var odd = X();
    for (var k: u32 = 0u; k < PAIRS; k++) { // @unroll
      even += OTHERS[PAIR_AT + q * PAIRS + k] * d[2u * k + 2u];
      odd += POWERS[(PAIR_AT + q) * 4u + 1u] * OTHERS[PAIR_AT + q * PAIRS + k] * d[2u * k + 1u];
    }
    line[2u * q + 1u] = even + odd;
    line[2u * q + 2u] = even - odd;
  }
  return line;
}

// A^T of a line of products.
fn output_line(p: array<X, T>) -> array<X, M> {
  var line: array<X, M>;
  line[0] = p[0];
  line[M - 1u] = p[T - 1u];
  for (var q: u32 = 0u; q < PAIRS; q++) { // @unroll
    let sum = p[2u * q + 1u] + p[2u * q + 2u];
    let difference = p[2u * q + 1u] - p[2u * q + 2u];
    for (var k: u32 = 0u; k < PAIRS; k++) { // @unroll
      line[2u * k] += POWERS[(PAIR_AT + q) * 4u + 2u * k] * sum;
      line[2u * k + 1u] += POWERS[(PAIR_AT + q) * 4u + 2u * k + 1u] * difference;
    }
  }
  return line;
}
