// The entries of a block row of lib/block where every row has N of them in every M columns (vector-wise N:M): no pointers, and an
// entry says where in its group of M columns it lies in BITS bits, as many groups to a word as fit whole.
// EVEN: neighbouring taps lie x_tap apart (1x1, products), so that an offset is worked out; else a table of K offsets has it.
const N: u32 = 2u; // @spec 1 2 3 4 5 6 7 8
const M: u32 = 4u; // @spec 4 8 16
const BITS: u32 = 2u; // @spec 2 4
const TO_A_WORD: u32 = 32u / (N * BITS); // groups
override EVEN: bool = false;
const U: u32 = 1u; // entries to a fetch

@group(0) @binding(1) var<storage, read> positions: array<u32>; // block rows x words of a row
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // K, in X; any other buffer when EVEN

// Of each block row.
fn entries() -> u32 {
  return (params.k + M - 1u) / M * N;
}

fn first_entry(block: u32) -> u32 {
  return block * entries();
}

fn entry_offset(block: u32, e: u32, start: u32, w: ptr<function, Weights>, u: u32) -> u32 {
  let i = e - start;
  let words = (entries() + TO_A_WORD * N - 1u) / (TO_A_WORD * N);
  let word = positions[block * words + i / (TO_A_WORD * N)];
  let k = i / N * M + ((word >> ((i % (TO_A_WORD * N)) * BITS)) & ((1u << BITS) - 1u));
  if (EVEN) { return k * params.x_tap; }
  return offsets[k];
}
