// y = act(W * x + bias + residual), W in slices of 8 rows and chunks of 8 columns (a sliced ELL, Monakov et al. 2010, whose columns
// are combined as Kung et al., ASPLOS 2019, do for systolic arrays). The 8 lanes of a thread group are 8 rows of W. In each chunk every
// lane loads x at one of its 8 columns, and each then takes, by subgroupShuffle, the column that its own row's next weight asks for, so
// that a load of x serves what 8 columns hold of all RG slices of a thread. Every row takes STEPS weights in a chunk, zeros where it
// has fewer, so there is no inner loop and no lane idles. A chunk of LOADS = 2 has 16 columns, two loads with
// half of the steps each, which then share what carrying the sums to the next chunk costs. Which columns make a chunk is free, and one may be in several, so that
// unstructured masks fill their steps (src/kernels/columns/combine.ts); N:M masks do where columns follow each other.
// The including file says where offsets, positions and weights are (lib/chunks: in arrays; lib/chunks-texels: in a texture).
// Needs subgroups of at least 8. One thread of 8 lanes: RG slices x V columns. Reads per chunk and load V X of x and 4 B of an offset, 4 B per
// 8 positions and 4 B per weight, per lane. No barrier.
const RG: u32 = 4u; // @spec 2 4 8
const V: u32 = 4u; // @spec 2 4 8
const LOADS: u32 = 1u; // @spec 1 2
const STEPS: u32 = 2u; // @spec 1 2 3 4
const WG_SIZE: u32 = 8u;
const WORDS: u32 = (RG * STEPS + 7u) / 8u; // of positions, 4 bits each
const SUMS: u32 = RG * V;
const NONE: u32 = 0xffffffffu;

@group(0) @binding(2) var<storage, read> starts: array<u32>; // first chunk of each group of RG slices, + 1
@group(0) @binding(8) var<storage, read> rows: array<u32>; // output channel of each row of each slice; past the last: NONE

fn slices(id: vec3<u32>, lane: u32) {
  let group = columns_by_rows(id);
  let first = group.x * V;
  let conv_group = group.y / params.blocks_per_group;
  var base: array<u32, V>;
  for (var v: u32 = 0u; v < V; v++) { // @unroll
    base[v] = column_base(params, min(first + v, params.columns - 1u)) + conv_group * params.x_group;
  }
  var channels: array<u32, RG>;
  var acc: array<X, SUMS>;
  for (var s: u32 = 0u; s < RG; s++) { // @unroll
    channels[s] = rows[(group.y * RG + s) * 8u + lane];
    let first_sum = X(bias[select(channels[s], 0u, channels[s] == NONE)]);
    for (var v: u32 = 0u; v < V; v++) { // @unroll
      acc[s * V + v] = first_sum;
    }
  }
  let end = starts[group.y + 1u];
  for (var c = starts[group.y]; c < end; c++) {
    var chunk = fetch_chunk(c, lane);
    var xv: array<X, LOADS * V>;
    for (var l: u32 = 0u; l < LOADS; l++) { // @unroll
      let o = chunk_word(&chunk, l);
      for (var v: u32 = 0u; v < V; v++) { // @unroll
        xv[l * V + v] = x_at(base[v] + o);
      }
    }
    for (var s: u32 = 0u; s < RG; s++) { // @unroll
      for (var t: u32 = 0u; t < STEPS; t++) { // @unroll
        let i = s * STEPS + t;
        let position = (chunk_word(&chunk, LOADS + i / 8u) >> (i % 8u * 4u)) & 15u;
        let w = chunk_weight(c, &chunk, i, lane);
        for (var v: u32 = 0u; v < V; v++) { // @unroll
          acc[s * V + v] += w * subgroupShuffle(xv[t * LOADS / STEPS * V + v], position);
        }
      }
    }
  }
  store_slices(first, &channels, &acc);
}

// A loop whose bound no compiler sees, and selects rather than arrays indexed at run time: see lib/block.
fn store_slices(first: u32, channels: ptr<function, array<u32, RG>>, acc: ptr<function, array<X, SUMS>>) {
  let count = V - u32(max(i32(first + V) - i32(params.columns), 0));
  let slices = RG - u32(params.columns == 0u);
  for (var v = 0u; v < count; v++) {
    let out = column_out(params, first + v);
    var sums: array<X, RG>;
    for (var s: u32 = 0u; s < RG; s++) { // @unroll
      sums[s] = (*acc)[s * V];
      for (var i: u32 = 1u; i < V; i++) { // @unroll
        sums[s] = select(sums[s], (*acc)[s * V + i], v == i);
      }
    }
    for (var s = 0u; s < slices; s++) {
      var m = (*channels)[0];
      var sum = sums[0];
      for (var i: u32 = 1u; i < RG; i++) { // @unroll
        m = select(m, (*channels)[i], s == i);
        sum = select(sum, sums[i], s == i);
      }
      if (m != NONE) { finish_biased(out, m, sum); }
    }
  }
}
