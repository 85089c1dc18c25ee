// Where a vec4 lies in a texture that holds many of them in rows (src/shader/texels.ts). A vec4 from memory is four loads and four
// tests per lane, a texel is one load of 16 bytes and no test (lavapipe: a call of 54 instructions for 8 lanes against some 300).
const TEXELS_PER_ROW: u32 = 8192u;

fn texel(i: u32) -> vec2<u32> {
  return vec2<u32>(i % TEXELS_PER_ROW, i / TEXELS_PER_ROW);
}
