import { allocate } from "../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber } from "../tensor/host-tensor.ts";
import { forEachCell, type PrunableLayer } from "./layers.ts";

/** A tensor of the weight's shape as a matrix [rows, cols], row by row, in double precision. */
export function toMatrix(layer: PrunableLayer, t: HostTensor): Float64Array {
  const matrix = new Float64Array(layer.rows * layer.cols);
  forEachCell(layer, (i, row, column) => {
    matrix[row * layer.cols + column] = getNumber(t.data, i);
  });
  return matrix;
}

/** Such a matrix as a tensor like `like`. */
export function fromMatrix(layer: PrunableLayer, matrix: Float64Array, like: HostTensor): HostTensor {
  const data = allocate(like.dtype, like.data.length);
  forEachCell(layer, (i, row, column) => setNumber(data, i, matrix[row * layer.cols + column]!));
  return { ...like, data };
}

/** The place in memory of every cell of the matrix, row by row. */
export function cellPlaces(layer: PrunableLayer): Uint32Array {
  const places = new Uint32Array(layer.rows * layer.cols);
  forEachCell(layer, (i, row, column) => {
    places[row * layer.cols + column] = i;
  });
  return places;
}
