// x, or its strips, copied into a texture, a vec4 per texel.
// @include "lib/texels.wgsl"
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;

fn x_at(i: u32) -> X {
  return textureLoad(x, texel(i));
}
