import type { TexelFormat } from "../shader/source.ts";
import { TEXELS_PER_ROW } from "../shader/texels.ts";
import { TextureUsage } from "./usage.ts";

const bytesPerTexel = 16;
const bytesPerRow = TEXELS_PER_ROW * bytesPerTexel;

/** Of a texture that kernels read vec4s from. */
export const texelLayout = (format: TexelFormat = "rgba32float"): GPUStorageTextureBindingLayout => ({
  access: "read-only",
  format,
  viewDimension: "2d",
});

/** Width and height that hold so many vec4s: whole rows, or a part of one. */
const sizeOf = (texels: number): [number, number] =>
  texels <= TEXELS_PER_ROW ? [Math.max(1, texels), 1] : [TEXELS_PER_ROW, Math.ceil(texels / TEXELS_PER_ROW)];

/** Of a texture that holds so many vec4s. */
export function texelBytes(texels: number): number {
  const [width, height] = sizeOf(texels);
  return width * height * bytesPerTexel;
}

export const texelTexture = (
  label: string,
  texels: number,
  format: TexelFormat = "rgba32float",
): GPUTextureDescriptor => ({
  label,
  size: sizeOf(texels),
  format,
  usage: TextureUsage.STORAGE_BINDING | TextureUsage.COPY_DST,
});

/** The vec4s at the start of a buffer, to be copied into a texture before a kernel reads them there. */
export interface TexelCopy {
  readonly buffer: GPUBuffer;
  readonly texture: GPUTexture;
  readonly texels: number;
}

/** One after the other; to be recorded outside of a pass. */
export function recordTexelCopy(encoder: GPUCommandEncoder, { buffer, texture, texels }: TexelCopy): void {
  for (const { row, width, height } of blocksOf(texels)) {
    const source = { buffer, offset: row * bytesPerRow, bytesPerRow };
    encoder.copyBufferToTexture(source, { texture, origin: [0, row] }, [width, height]);
  }
}

/** Whole vec4s of the host's into a texture. */
export function writeTexels(
  { queue }: GPUDevice,
  texture: GPUTexture,
  words: Float32Array | Uint32Array,
): void {
  for (const { row, width, height } of blocksOf(words.length / 4)) {
    const layout = { offset: words.byteOffset + row * bytesPerRow, bytesPerRow };
    queue.writeTexture({ texture, origin: [0, row] }, words.buffer, layout, [width, height]);
  }
}

/** So many vec4s as at most two rectangles: whole rows, and what is left of the last. */
function blocksOf(texels: number): { row: number; width: number; height: number }[] {
  const rows = Math.floor(texels / TEXELS_PER_ROW);
  const rest = texels - rows * TEXELS_PER_ROW;
  return [
    ...(rows > 0 ? [{ row: 0, width: TEXELS_PER_ROW, height: rows }] : []),
    ...(rest > 0 ? [{ row: rows, width: rest, height: 1 }] : []),
  ];
}
