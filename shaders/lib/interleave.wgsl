// Puts the channels of x side by side in chunks of 8: interleaved[chunk][i][channel of the chunk] = element i of that channel, zero
// past the group's last channel. The including file says what element i of the channel at a place of x is.
override WG_SIZE: u32 = 64;
struct Params {
  channels: u32, // per group
  chunks: u32, // per group
  groups: u32,
  words: u32, // elements per channel
  plane: u32, // and per plane of a channel, where an element is four strips of it
  x_base: u32,
  x_channel: u32,
  x_group: u32,
  x_plane: u32, // words of x between two planes
  strip: u32, // words of x between two strips
}

@group(0) @binding(1) var<storage, read_write> interleaved: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn interleave(i: u32) {
  let row = i / 8u;
  let chunk = row / params.words;
  if (chunk >= params.chunks * params.groups) { return; }
  let conv_group = chunk / params.chunks;
  let channel = (chunk - conv_group * params.chunks) * 8u + i % 8u;
  var value = vec4<f32>();
  if (channel < params.channels) {
    value = element(
      params.x_base + conv_group * params.x_group + channel * params.x_channel,
      row - chunk * params.words,
    );
  }
  interleaved[i] = value;
}
