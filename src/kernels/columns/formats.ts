/**
 * How a weight lies in memory. `block8x1`: eight consecutive output channels share a column. `rows8x1`: eight output channels
 * with like patterns do, wherever they are, so that an unstructured mask runs in blocks; the zeros that a row gets from its
 * seven neighbours are stored. `ell`: sliced ELL, eight rows by eight combined columns at a time. `csr-u16`: CSR with 16-bit steps from
 * offset to offset, 6 bytes per non-zero instead of 8, for single columns, where the weights' bytes count. `csr-f16`: and with weights in
 * half precision, 4 bytes; only weights that half precision holds exactly are taken. `nm4x1`: vector-wise N:M, of every M columns the
 * same N in four consecutive output channels, whatever N and M the weights show; `nm1x1`: in each by itself. `dense-f16`: dense in
 * half precision, for single columns and for matrix units.
 */
export type Format =
  | "dense"
  | "dense-f16"
  | "csr"
  | "csr-u16"
  | "csr-f16"
  | "block2x1"
  | "block4x1"
  | "block8x1"
  | "block16x1"
  | "rows4x1"
  | "rows8x1"
  | "rows16x1"
  | "nm1x1"
  | "nm4x1"
  | "nm8x1"
  | "ell";

export const formats: readonly Format[] = [
  "dense",
  "dense-f16",
  "csr",
  "csr-u16",
  "csr-f16",
  "block2x1",
  "block4x1",
  "block8x1",
  "block16x1",
  "rows4x1",
  "rows8x1",
  "rows16x1",
  "nm1x1",
  "nm4x1",
  "nm8x1",
  "ell",
];

/** Rows of a block format; 1 where every row has its own columns, 0 for dense. */
export const blockRowsOf = (format: Format): number =>
  isDense(format) ? 0 : isCsr(format) || format === "ell" ? 1 : Number(/\d+/.exec(format)![0]);

/** Is it CSR, whatever its entries look like? */
export const isCsr = (format: Format): boolean => csrFormats.some((f) => f === format);

export const csrFormats = ["csr", "csr-u16", "csr-f16"] as const;

/** Does the format hold weights in half precision, and so only those which that holds exactly? */
export const isHalf = (format: Format): boolean => format.endsWith("-f16");

/** Does the format hold every weight, zeros too? */
export const isDense = (format: Format): boolean => format === "dense" || format === "dense-f16";

/** Does the format keep N of every M columns? */
export const isNm = (format: Format): boolean => format.startsWith("nm");

/** Do the blocks of the format take rows from anywhere? */
export const isClustered = (format: Format): boolean => format.startsWith("rows");
