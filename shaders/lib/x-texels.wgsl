// x copied into a texture, a vec4 per texel, in rows of TEXELS_PER_ROW (src/gpu/texels.ts): where a load of a vec4 from memory is four
// loads and four tests per lane, that of a texel is one of 16 bytes and no test (lavapipe: 54 instructions for 8 lanes against 290).
const TEXELS_PER_ROW: u32 = 8192u;

@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;

fn x_at(i: u32) -> X {
  return textureLoad(x, vec2<u32>(i % TEXELS_PER_ROW, i / TEXELS_PER_ROW));
}
