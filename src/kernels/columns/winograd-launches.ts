import { mostTexels } from "../../shader/texels.ts";
import { type Launch, type Realised, renamed } from "./launch.ts";
import { type ColumnsProblem, columnsParams, cutColumns, texelsRead } from "./problem.ts";
import { productsOf, type Tiling } from "./winograd.ts";

/** Threads of a workgroup of the transforms. */
const transformSize = 32;

/** The products of a tiling, as they are realised, between the transforms of x and y, which read vec4s out of textures too if the products do. */
export function aroundProducts(p: ColumnsProblem, t: Tiling, inner: Realised, inTexels: boolean): Realised {
  const products = productsOf(p, t);
  const spec = { M: t.side };
  // Of the convolution itself: four images per load, or single floats of a single image.
  const outer = cutColumns(p).find((c) => (c.load === "quad" && p.batch > 1) || c.load === "word")!;
  const u = outer.load === "quad" ? 4 : 1;
  const read = texelsRead(p, outer);
  const texels = inTexels && u === 4 && read <= mostTexels;
  const suffix = texels ? ("-texels" as const) : u === 4 ? ("" as const) : ("-scalar" as const);
  const tiles = t.planes * t.rows * t.columns * outer.inner;
  const pitch = t.pitch / u;
  const across = Math.ceil(tiles / transformSize);
  const input: Launch = {
    kernel: `winograd/input${suffix}`,
    spec,
    constants: { WG_SIZE: transformSize },
    bindings: { x: "x", v: "transformed" },
    params: {
      channels: t.channels,
      tiles,
      pitch,
      inner: outer.inner,
      tiles_w: t.columns,
      tiles_h: t.rows,
      last_h: p.out[1] + 1,
      last_w: p.out[2] + 1,
      x_base: p.xBase / u,
      x_channel: p.xChannel / u,
      x_d: Math.floor(p.xSteps[0] / u),
      x_h: p.xSteps[1] / u,
      x_w: p.xSteps[2] / u,
      matrix: t.channels * pitch,
    },
    ...(texels && { texels: { x: read } }),
    groups: [across, t.channels, 1],
  };
  const output: Launch = {
    kernel: `winograd/output${suffix}`,
    spec,
    constants: {
      WG_SIZE: transformSize,
      ACT: p.activation.code,
      HAS_RESIDUAL: p.residual ? 1 : 0,
    },
    bindings: { x: "products", bias: "bias", residual: p.residual ? "residual" : "bias", y: "y" },
    params: {
      ...columnsParams(p, outer, 1),
      columns: tiles,
      x_d: pitch,
      x_group: p.rowsPerGroup * pitch,
    },
    ...(texels && { texels: { x: t.matrices * p.rowsPerGroup * pitch } }),
    groups: [across, p.rowsPerGroup, 1],
  };
  const launches = renamed(inner.launches, {
    x: "transformed",
    y: "products",
    bias: "no_bias",
    residual: "no_bias",
  });
  return {
    arrays: { ...inner.arrays, no_bias: new Float32Array(products.groups * products.rowsPerGroup) },
    scratch: {
      ...inner.scratch,
      transformed: products.groups * t.channels * t.pitch,
      products: products.groups * p.rowsPerGroup * t.pitch,
    },
    launches: [input, ...launches, output],
    bytes: inner.bytes,
    density: 1,
  };
}
