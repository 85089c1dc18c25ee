// pool/gradient-scalar: as pool/gradient, word by word, on any strides.
// One thread per element of dx.
// Reads 4 B of dy and y per window, and 4 B per earlier tap of a window (max). Writes 4 B. No barrier.
// @include "lib/pool-gradient.wgsl"
alias Value = f32;
alias Flag = bool;
