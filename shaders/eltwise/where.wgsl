// eltwise/where: y = condition ? a : b with broadcasting, on any strides; words are moved as they are.
// One word per thread. Reads 12 B and writes 4 B per element. No barrier.
const RANK: u32 = 1u; // @spec 1 2 3 4 5 6 7 8
struct Params {
  count: u32,
  c_base: u32,
  a_base: u32,
  b_base: u32,
  y_base: u32,
  shape: array<vec4<u32>, 2>,
  c_steps: array<vec4<u32>, 2>,
  a_steps: array<vec4<u32>, 2>,
  b_steps: array<vec4<u32>, 2>,
  y_steps: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> condition: array<i32>;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {
  let i = (g.x + g.y * n.x) * 64u + l.x;
  if (i >= params.count) { return; }
  var rest = i;
  var at = vec4<u32>(params.c_base, params.a_base, params.b_base, params.y_base);
  for (var d: u32 = 0u; d < RANK; d++) { // @unroll
    let size = params.shape[d / 4u][d % 4u];
    let next = rest / size;
    let index = rest - next * size;
    rest = next;
    at += index * vec4<u32>(
      params.c_steps[d / 4u][d % 4u],
      params.a_steps[d / 4u][d % 4u],
      params.b_steps[d / 4u][d % 4u],
      params.y_steps[d / 4u][d % 4u],
    );
  }
  y[at.w] = select(b[at.z], a[at.y], condition[at.x] != 0);
}
