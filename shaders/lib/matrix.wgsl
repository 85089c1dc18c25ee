// y = act(W * x + bias + residual) on the adapter's matrix units (subgroup matrices): W dense and x in half precision, sums in f32.
// A workgroup of GM x GN subgroups: BM rows x BN columns. Per step of BK entries x is gathered into workgroup memory, rounded to
// half precision; each subgroup then multiplies TM x TN of its matrices by the weights, which lie matrix by matrix.
// LANES: floats of X. Values of x beyond what half precision holds are cut to it.
const SM: u32 = 16u; // @spec 8 16
const SN: u32 = 16u; // @spec 8 16
const SK: u32 = 16u; // @spec 8 16
const SUBGROUP: u32 = 32u; // @spec 8 16 32 64
const TM: u32 = 2u; // @spec 1 2 4
const TN: u32 = 2u; // @spec 1 2 4
const GM: u32 = 2u; // @spec 1 2 4
const GN: u32 = 2u; // @spec 1 2 4
const BK: u32 = 32u; // @spec 16 32
const BM: u32 = SM * TM * GM;
const BN: u32 = SN * TN * GN;
const WG_SIZE: u32 = SUBGROUP * GM * GN;
const ACROSS: u32 = BN / LANES; // X per row of the tile
alias Left = subgroup_matrix_left<f16, SK, SM>;
alias Right = subgroup_matrix_right<f16, SN, SK>;
alias Sums = subgroup_matrix_result<f32, SN, SM>;

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> offsets: array<u32>; // K, rounded up to BK
@group(0) @binding(2) var<storage, read> weights: array<f16>; // panels of SM rows x K / SK matrices x SM x SK, times a power of two

var<workgroup> bases: array<u32, ACROSS>;
var<workgroup> tile: array<f16, BK * BN>;
var<workgroup> sums: array<f32, GM * GN * SM * SN>;

fn matrix_tile(group: vec3<u32>, thread: u32) {
  let first = group.x * ACROSS;
  let conv_group = group.y / params.blocks_per_group;
  let steps = (params.k + BK - 1u) / BK;
  let subgroup = thread / SUBGROUP;
  let down = subgroup / GN * TM; // matrices from the tile's corner
  let along = subgroup % GN * TN;
  for (var c = thread; c < ACROSS; c += WG_SIZE) {
    bases[c] = column_base(params, min(first + c, params.columns - 1u)) + conv_group * params.x_group;
  }
  workgroupBarrier();
  var acc: array<Sums, TM * TN>;
  for (var s = 0u; s < steps; s++) {
    for (var i = thread; i < BK * ACROSS; i += WG_SIZE) {
      let k = i / ACROSS;
      let c = i % ACROSS;
      stage(i * LANES, x[bases[c] + offsets[s * BK + k]]);
    }
    workgroupBarrier();
    for (var k: u32 = 0u; k < BK / SK; k++) { // @unroll
      let panel = ((group.y * (BM / SM) + down) * steps + s) * (BK / SK) + k;
      var right: array<Right, TN>;
      for (var n: u32 = 0u; n < TN; n++) { // @unroll
        right[n] = subgroupMatrixLoad<Right, row_major>(&tile, k * SK * BN + (along + n) * SN, BN);
      }
      for (var m: u32 = 0u; m < TM; m++) { // @unroll
        let left = subgroupMatrixLoad<Left, row_major>(&weights, (panel + m * steps * (BK / SK)) * SM * SK, SK);
        for (var n: u32 = 0u; n < TN; n++) { // @unroll
          acc[m * TN + n] = subgroupMatrixMultiplyAccumulate(left, right[n], acc[m * TN + n]);
        }
      }
    }
    workgroupBarrier();
  }
  // A matrix has no elements that a thread could name: each goes through workgroup memory on its way to y.
  let mine = subgroup * SM * SN;
  let lane = thread % SUBGROUP;
  for (var m: u32 = 0u; m < TM; m++) { // @unroll
    for (var n: u32 = 0u; n < TN; n++) { // @unroll
      subgroupMatrixStore<row_major>(&sums, mine, acc[m * TN + n], SN);
      workgroupBarrier();
      for (var i = lane; i < SM * SN / LANES; i += SUBGROUP) {
        let row = i / (SN / LANES);
        let within = (group.y - conv_group * params.blocks_per_group) * BM + (down + m) * SM + row;
        let column = first + (along + n) * (SN / LANES) + i % (SN / LANES);
        if (within < params.rows_per_group && column < params.columns) {
          let out = column_out(params, column);
          finish(out, conv_group * params.rows_per_group + within, gathered(mine + i * LANES) * params.scale);
        }
      }
      workgroupBarrier();
    }
  }
}
