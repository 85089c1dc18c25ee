// y = act(W * x + bias + residual), W in R x 1 blocks or dense, x gathered through an offset table.
// Convolution of any rank, 1x1 convolution, Gemm and MatMul with constant weights are all this one loop: an entry is an
// offset into x and the R weights of R output channels that share it. PERMUTED: the rows of a block are those that `rows` names,
// not consecutive ones.
// x and y are in columns layout (batch innermost, channel outermost, zero halo stored), so padding needs no bounds test.
// One thread: R rows x V columns. The including file says which entries a block row has (lib/block-entries: those between two
// pointers; lib/nm-entries: N in every M columns; lib/panels: U of them to a fetch), what R is, and how the weights of an entry are
// fetched. Sums are carried from turn to turn under a mask on lavapipe, which several entries to a turn share if each
// sum takes them one after the other.
override WG_SIZE: u32 = 32;
override PERMUTED: bool = false;
const V: u32 = 2u; // @spec 1 2 3 4 8 16

@group(0) @binding(8) var<storage, read> rows: array<u32>; // the output channel of each row of each block, when PERMUTED

// Of a few sums one by selects: an array that is indexed at run time leaves the registers (bench/NOTES.md), which only
// pays for few.
fn pick(sums: ptr<function, array<X, R>>, r: u32) -> X {
  if (R > 8u) { return (*sums)[r]; }
  var sum = (*sums)[0];
  for (var i: u32 = 1u; i < R; i++) { // @unroll
    sum = select(sum, (*sums)[i], r == i);
  }
  return sum;
}

fn pick_channel(channels: ptr<function, array<u32, R>>, r: u32) -> u32 {
  if (R > 8u) { return (*channels)[r]; }
  var channel = (*channels)[0];
  for (var i: u32 = 1u; i < R; i++) { // @unroll
    channel = select(channel, (*channels)[i], r == i);
  }
  return channel;
}

fn block_row(id: vec3<u32>, thread: u32, lane: u32) {
  let group = columns_by_rows(id);
  let block = group.y;
  let first = group.x * (WG_SIZE * V) + thread;
  let conv_group = block / params.blocks_per_group;
  var base: array<u32, V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v * WG_SIZE, params.columns - 1u)) + conv_group * params.x_group;
  }
  let within = (block - conv_group * params.blocks_per_group) * R;
  var channels: array<u32, R>;
  var acc: array<X, R * V>;
  for (var r: u32 = 0u; r < R; r++) { // @unroll
    // A row past the group's end is the last one again; it is not stored.
    channels[r] = conv_group * params.rows_per_group + min(within + r, params.rows_per_group - 1u);
    if (PERMUTED) { channels[r] = rows[channels[r]]; }
    let first_sum = X(bias[channels[r]]);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      acc[r * V + v] = first_sum;
    }
  }
  let start = first_entry(block);
  let end = first_entry(block + 1u);
  for (var e = start; e < end; e++) {
    var w = fetch(e, lane);
    var xv: array<X, U * V>;
    for (var u: u32 = 0u; u < U; u++) { // @unroll
      let o = entry_offset(block, e, start, &w, u);
      for (var v: u32 = 0u; v < V; v++) { // @unroll
        xv[u * V + v] = x_at(base[v] + o);
      }
    }
    for (var r: u32 = 0u; r < R; r++) { // @unroll
      var wr: array<f32, U>;
      for (var u: u32 = 0u; u < U; u++) { // @unroll
        wr[u] = weight(&w, u * R + r);
      }
      for (var v: u32 = 0u; v < V; v++) { // @unroll
        for (var u: u32 = 0u; u < U; u++) { // @unroll
          acc[r * V + v] += wr[u] * xv[u * V + v];
        }
      }
    }
  }
  // The end is a loop: unrolled it would be most of the kernel's code, and of the time to compile it.
  // Not min(R, rest): a compiler that sees the bound unrolls the loop after all.
  let count = R - u32(max(i32(within + R) - i32(params.rows_per_group), 0));
  for (var v = 0u; v < V; v++) {
    let column = first + v * WG_SIZE;
    if (column < params.columns) {
      let out = column_out(params, column);
      var sums: array<X, R>;
      for (var r: u32 = 0u; r < R; r++) { // @unroll
        sums[r] = acc[r * V];
        for (var i: u32 = 1u; i < V; i++) { // @unroll
          sums[r] = select(sums[r], acc[r * V + i], v == i);
        }
      }
      for (var r = 0u; r < count; r++) {
        var m = conv_group * params.rows_per_group + within + r;
        if (PERMUTED) { m = pick_channel(&channels, r); }
        finish_biased(out, m, pick(&sums, r));
      }
    }
  }
}
