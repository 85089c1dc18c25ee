// A channel of the columns layout as rows of pixels: every image of every pixel of a row lies in order, so kernels that add up
// a channel walk runs of `quads` vec4s per pixel.

// Which of the four images of quad i of a run are there: `tail` of them in the last quad of a pixel, 0 where that is full.
fn present(i: u32, quads: u32, tail: u32) -> vec4<bool> {
  return vec4<bool>(tail == 0u || (i + 1u) % quads != 0u) | (vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(tail));
}
