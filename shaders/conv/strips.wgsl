// conv/strips: every plane -> four strips of its rows side by side, the four values that a vec4 of x then holds: element i of a
// plane becomes (x[i], x[i + strip], x[i + 2 strip], x[i + 3 strip]). So the taps of a convolution of planar images are
// aligned vec4s, whatever their shift, and no strip needs a halo of its own: its neighbour's rows are copied.
// One thread per element of a strip. Reads 16 B, writes 16 B. No barrier.
override WG_SIZE: u32 = 64;
struct Params {
  channels: u32,
  planes: u32, // per channel: images
  words: u32, // of a strip of one plane, its halo included
  x_base: u32,
  x_channel: u32, // of x, in words
  x_plane: u32,
  strip: u32, // words of x between two strips
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> strips: array<vec4<f32>>; // channels x planes x words
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) lane: vec3<u32>,
) {
  let i = (group.x + group.y * groups.x) * WG_SIZE + lane.x;
  let plane = i / params.words;
  let channel = plane / params.planes;
  if (channel >= params.channels) { return; }
  let at = params.x_base + channel * params.x_channel + (plane - channel * params.planes) * params.x_plane
    + (i - plane * params.words);
  // The last strips may end below the plane: what they read there belongs to outputs that nobody stores.
  let last = arrayLength(&x) - 1u;
  strips[i] = vec4<f32>(
    x[min(at, last)],
    x[min(at + params.strip, last)],
    x[min(at + 2u * params.strip, last)],
    x[min(at + 3u * params.strip, last)],
  );
}
