/** A 3x3 convolution, padding 1: forward and both gradients for one image, by im2col into panels of four pixels. */
export interface Conv3x3 {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the square input. */
  readonly side: number;
  readonly stride: number;
}

export const outSide = (c: Conv3x3): number => Math.floor((c.side - 1) / c.stride) + 1;
const panels = (c: Conv3x3): number => Math.ceil(outSide(c) ** 2 / 4);

/** Floats of the column buffer: [panel][k][4 pixels]. */
export const columnsLength = (c: Conv3x3): number => panels(c) * c.inputs * 9 * 4;

/** Pixels under every tap, zero outside the image. */
function im2col(c: Conv3x3, x: Float64Array, at: number, columns: Float64Array): void {
  const { side, stride, inputs } = c;
  const out = outSide(c);
  const k = inputs * 9;
  columns.fill(0);
  for (let ci = 0; ci < inputs; ci++) {
    for (let tap = 0; tap < 9; tap++) {
      const r = Math.floor(tap / 3) - 1;
      const s = (tap % 3) - 1;
      for (let oy = 0; oy < out; oy++) {
        const y = oy * stride + r;
        if (y < 0 || y >= side) continue;
        for (let ox = 0; ox < out; ox++) {
          const xx = ox * stride + s;
          if (xx < 0 || xx >= side) continue;
          const p = oy * out + ox;
          columns[((p >> 2) * k + ci * 9 + tap) * 4 + (p & 3)] = x[at + (ci * side + y) * side + xx]!;
        }
      }
    }
  }
}

function col2im(c: Conv3x3, columns: Float64Array, dx: Float64Array, at: number): void {
  const { side, stride, inputs } = c;
  const out = outSide(c);
  const k = inputs * 9;
  for (let ci = 0; ci < inputs; ci++) {
    for (let tap = 0; tap < 9; tap++) {
      const r = Math.floor(tap / 3) - 1;
      const s = (tap % 3) - 1;
      for (let oy = 0; oy < out; oy++) {
        const y = oy * stride + r;
        if (y < 0 || y >= side) continue;
        for (let ox = 0; ox < out; ox++) {
          const xx = ox * stride + s;
          if (xx < 0 || xx >= side) continue;
          const p = oy * out + ox;
          dx[at + (ci * side + y) * side + xx]! += columns[((p >> 2) * k + ci * 9 + tap) * 4 + (p & 3)]!;
        }
      }
    }
  }
}

/** y[outputs][pixels] = w[outputs][k] columns[k][pixels]; four rows by four pixels at a time. */
export function forward(
  c: Conv3x3,
  x: Float64Array,
  xAt: number,
  w: Float64Array,
  y: Float64Array,
  yAt: number,
  columns: Float64Array,
): void {
  im2col(c, x, xAt, columns);
  const pixels = outSide(c) ** 2;
  const k = c.inputs * 9;
  for (let m = 0; m < c.outputs; m += 4) {
    for (let panel = 0; panel < panels(c); panel++) {
      let a0 = 0,
        a1 = 0,
        a2 = 0,
        a3 = 0,
        b0 = 0,
        b1 = 0,
        b2 = 0,
        b3 = 0;
      let c0 = 0,
        c1 = 0,
        c2 = 0,
        c3 = 0,
        d0 = 0,
        d1 = 0,
        d2 = 0,
        d3 = 0;
      let q = panel * k * 4;
      let wa = m * k;
      for (let i = 0; i < k; i++, q += 4, wa++) {
        const x0 = columns[q]!,
          x1 = columns[q + 1]!,
          x2 = columns[q + 2]!,
          x3 = columns[q + 3]!;
        const w0 = w[wa]!,
          w1 = w[wa + k]!,
          w2 = w[wa + 2 * k]!,
          w3 = w[wa + 3 * k]!;
        a0 += w0 * x0;
        a1 += w0 * x1;
        a2 += w0 * x2;
        a3 += w0 * x3;
        b0 += w1 * x0;
        b1 += w1 * x1;
        b2 += w1 * x2;
        b3 += w1 * x3;
        c0 += w2 * x0;
        c1 += w2 * x1;
        c2 += w2 * x2;
        c3 += w2 * x3;
        d0 += w3 * x0;
        d1 += w3 * x1;
        d2 += w3 * x2;
        d3 += w3 * x3;
      }
      const sums = [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3];
      const left = Math.min(4, pixels - panel * 4);
      for (let r = 0; r < 4; r++)
        for (let p = 0; p < left; p++) y[yAt + (m + r) * pixels + panel * 4 + p] = sums[r * 4 + p]!;
    }
  }
}

/** Adds to dw and, unless it is undefined, to dx. */
export function backward(
  c: Conv3x3,
  x: Float64Array,
  xAt: number,
  w: Float64Array,
  dy: Float64Array,
  dyAt: number,
  dw: Float64Array,
  dx: Float64Array | undefined,
  columns: Float64Array,
): void {
  im2col(c, x, xAt, columns);
  const pixels = outSide(c) ** 2;
  const k = c.inputs * 9;
  const count = panels(c);
  // dy in the panel layout of the columns: [panel][outputs][4], zero past the last pixel.
  const g = new Float64Array(count * c.outputs * 4);
  for (let m = 0; m < c.outputs; m++) {
    for (let p = 0; p < pixels; p++) g[((p >> 2) * c.outputs + m) * 4 + (p & 3)] = dy[dyAt + m * pixels + p]!;
  }
  for (let m = 0; m < c.outputs; m += 2) {
    for (let i = 0; i < k; i += 3) {
      let a0 = 0,
        a1 = 0,
        a2 = 0,
        b0 = 0,
        b1 = 0,
        b2 = 0;
      for (let panel = 0; panel < count; panel++) {
        let q = (panel * k + i) * 4;
        let e = (panel * c.outputs + m) * 4;
        for (let l = 0; l < 4; l++, q++, e++) {
          const g0 = g[e]!,
            g1 = g[e + 4]!;
          const x0 = columns[q]!,
            x1 = columns[q + 4]!,
            x2 = columns[q + 8]!;
          a0 += g0 * x0;
          a1 += g0 * x1;
          a2 += g0 * x2;
          b0 += g1 * x0;
          b1 += g1 * x1;
          b2 += g1 * x2;
        }
      }
      const at = m * k + i;
      dw[at]! += a0;
      dw[at + 1]! += a1;
      dw[at + 2]! += a2;
      dw[at + k]! += b0;
      dw[at + k + 1]! += b1;
      dw[at + k + 2]! += b2;
    }
  }
  if (!dx) return;
  for (let panel = 0; panel < count; panel++) {
    for (let i = 0; i < k; i += 3) {
      let a0 = 0,
        a1 = 0,
        a2 = 0,
        a3 = 0,
        b0 = 0,
        b1 = 0,
        b2 = 0,
        b3 = 0,
        c0 = 0,
        c1 = 0,
        c2 = 0,
        c3 = 0;
      let e = panel * c.outputs * 4;
      for (let m = 0; m < c.outputs; m++, e += 4) {
        const g0 = g[e]!,
          g1 = g[e + 1]!,
          g2 = g[e + 2]!,
          g3 = g[e + 3]!;
        const w0 = w[m * k + i]!,
          w1 = w[m * k + i + 1]!,
          w2 = w[m * k + i + 2]!;
        a0 += w0 * g0;
        a1 += w0 * g1;
        a2 += w0 * g2;
        a3 += w0 * g3;
        b0 += w1 * g0;
        b1 += w1 * g1;
        b2 += w1 * g2;
        b3 += w1 * g3;
        c0 += w2 * g0;
        c1 += w2 * g1;
        c2 += w2 * g2;
        c3 += w2 * g3;
      }
      const q = (panel * k + i) * 4;
      columns[q] = a0;
      columns[q + 1] = a1;
      columns[q + 2] = a2;
      columns[q + 3] = a3;
      columns[q + 4] = b0;
      columns[q + 5] = b1;
      columns[q + 6] = b2;
      columns[q + 7] = b3;
      columns[q + 8] = c0;
      columns[q + 9] = c1;
      columns[q + 10] = c2;
      columns[q + 11] = c3;
    }
  }
  col2im(c, columns, dx, xAt);
}
