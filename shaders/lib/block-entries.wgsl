// The entries of a block row of lib/block as they lie between two pointers. Dense: every block row has all K entries
// and they share one table of K offsets (SHARED_OFFSETS); block-sparse: each entry has its own.
override SHARED_OFFSETS: bool = true;
const U: u32 = 1u; // entries to a fetch

@group(0) @binding(1) var<storage, read> row_ptr: array<u32>; // block rows + 1
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // K or one per entry, in X

fn first_entry(block: u32) -> u32 {
  return row_ptr[block];
}

fn entry_offset(block: u32, e: u32, start: u32, w: ptr<function, Weights>, u: u32) -> u32 {
  return offsets[e - select(0u, start, SHARED_OFFSETS)];
}
