// pool/gradient: gradient of MaxPool and AveragePool with respect to the input, four images at a time on the columns layout.
// One thread per four images of an element of dx. Max: a window hands dy to the first element that equals its maximum.
// Reads 16 B of dy and y per window, and 16 B per earlier tap of a window (max). Writes 16 B. No barrier.
// @include "lib/pool-gradient.wgsl"
alias Value = vec4<f32>;
alias Flag = vec4<bool>;
