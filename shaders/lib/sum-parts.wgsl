// The end of a product whose K was split: y = act(sum of the parts + bias + residual), always in the order of the parts.
// Of Columns: k counts the parts, x_group is the step from part to part, and x_d, x_h, x_w are those of a part's pixels.
// One thread per output channel and column. Reads k X, writes one. No barrier.
override WG_SIZE: u32 = 64;

@group(0) @binding(0) var<storage, read> parts: array<X>; // k x rows x columns

fn sum_parts(i: u32) {
  let m = i / params.columns;
  if (m >= params.rows_per_group) { return; }
  let column = i - m * params.columns;
  let at = column_base(params, column) + m * (params.x_group / params.rows_per_group);
  var sum = X();
  for (var part = 0u; part < params.k; part++) {
    sum += parts[at + part * params.x_group];
  }
  finish(column_out(params, column), m, sum);
}
