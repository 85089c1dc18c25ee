import type { OpDefinition } from "../op.ts";
import { argOps } from "./arg.ts";
import { binaryOps } from "./binary.ts";
import { cast } from "./cast.ts";
import { clip } from "./clip.ts";
import { concat } from "./concat.ts";
import { constantOfShape } from "./constant-of-shape.ts";
import { expand } from "./expand.ts";
import { flatten } from "./flatten.ts";
import { gather } from "./gather.ts";
import { pad } from "./pad.ts";
import { prelu } from "./prelu.ts";
import { range } from "./range.ts";
import { reduceOps } from "./reduce.ts";
import { reshape } from "./reshape.ts";
import { shapeOp, sizeOp } from "./shape.ts";
import { slice } from "./slice.ts";
import { split } from "./split.ts";
import { squeeze } from "./squeeze.ts";
import { tile } from "./tile.ts";
import { transpose } from "./transpose.ts";
import { unaryOps } from "./unary.ts";
import { unsqueeze } from "./unsqueeze.ts";
import { variadicOps } from "./variadic.ts";
import { where } from "./where.ts";

/** Every op the engine knows, one file each. */
export const ops: readonly OpDefinition[] = [
  ...argOps,
  ...binaryOps,
  cast,
  clip,
  concat,
  constantOfShape,
  expand,
  flatten,
  gather,
  pad,
  prelu,
  range,
  ...reduceOps,
  reshape,
  shapeOp,
  sizeOp,
  slice,
  split,
  squeeze,
  tile,
  transpose,
  ...unaryOps,
  unsqueeze,
  ...variadicOps,
  where,
];

const byName = new Map(ops.map((op) => [op.name, op]));

export const findOp = (name: string): OpDefinition | undefined => byName.get(name);
