import { isFloat } from "../../../tensor/dtype.ts";
import { getNumber, type HostTensor } from "../../../tensor/host-tensor.ts";
import { broadcastStrides, rowStrides, sameShape } from "../../../tensor/shape.ts";
import type { TensorType } from "../../op.ts";
import { resultArray, resultTensor, store } from "./operands.ts";
import { forEachOffset } from "./strided.ts";

/** Reference of a function of one element: same shape in and out. */
export function mapOne(x: HostTensor, type: TensorType, f: (x: number) => number): HostTensor {
  const out = resultArray(type);
  for (let i = 0; i < out.length; i++) store(type.dtype, out, i, f(getNumber(x.data, i)));
  return resultTensor(type, out);
}

/** Reference of a function of two elements, broadcast together to `type.shape`. */
export function mapTwo(
  a: HostTensor,
  b: HostTensor,
  type: TensorType,
  f: (a: number, b: number) => number,
): HostTensor {
  const out = resultArray(type);
  if (sameShape(a.shape, b.shape) && isFloat(type.dtype)) {
    for (let i = 0; i < out.length; i++) out[i] = f(getNumber(a.data, i), getNumber(b.data, i));
    return resultTensor(type, out);
  }
  const strides = [a, b].map((t) => broadcastStrides(t.shape, rowStrides(t.shape), type.shape));
  forEachOffset(type.shape, [0, 0], strides, (i, [p, q]) => {
    store(type.dtype, out, i, f(getNumber(a.data, p!), getNumber(b.data, q!)));
  });
  return resultTensor(type, out);
}

/** Reference of a function of any number of elements, broadcast together to `type.shape`. `f` must not keep its argument. */
export function mapMany(
  inputs: readonly HostTensor[],
  type: TensorType,
  f: (values: readonly number[]) => number,
): HostTensor {
  const out = resultArray(type);
  const strides = inputs.map((t) => broadcastStrides(t.shape, rowStrides(t.shape), type.shape));
  const values = new Array<number>(inputs.length);
  forEachOffset(
    type.shape,
    inputs.map(() => 0),
    strides,
    (i, offsets) => {
      for (let k = 0; k < values.length; k++) values[k] = getNumber(inputs[k]!.data, offsets[k]!);
      store(type.dtype, out, i, f(values));
    },
  );
  return resultTensor(type, out);
}
