import { TEXELS_PER_ROW } from "../shader/texels.ts";
import { TextureUsage } from "./usage.ts";

/** Format and kind of the textures that kernels read vec4s from. */
export const TEXEL_LAYOUT: GPUStorageTextureBindingLayout = {
  access: "read-only",
  format: "rgba32float",
  viewDimension: "2d",
};

const bytesPerTexel = 16;
const bytesPerRow = TEXELS_PER_ROW * bytesPerTexel;

const rowsOf = (texels: number): number => Math.max(1, Math.ceil(texels / TEXELS_PER_ROW));

/** Of a texture that holds so many vec4s, in whole rows. */
export const texelBytes = (texels: number): number => rowsOf(texels) * bytesPerRow;

export const texelTexture = (label: string, texels: number): GPUTextureDescriptor => ({
  label,
  size: [TEXELS_PER_ROW, rowsOf(texels)],
  format: TEXEL_LAYOUT.format,
  usage: TextureUsage.STORAGE_BINDING | TextureUsage.COPY_DST,
});

/** The vec4s at the start of a buffer, to be copied into a texture before a kernel reads them there. */
export interface TexelCopy {
  readonly buffer: GPUBuffer;
  readonly texture: GPUTexture;
  readonly texels: number;
}

/** Outside of a pass: whole rows, and what is left of the last. */
export function recordTexelCopy(encoder: GPUCommandEncoder, { buffer, texture, texels }: TexelCopy): void {
  const rows = Math.floor(texels / TEXELS_PER_ROW);
  const rest = texels - rows * TEXELS_PER_ROW;
  if (rows > 0) encoder.copyBufferToTexture({ buffer, bytesPerRow }, { texture }, [TEXELS_PER_ROW, rows]);
  if (rest === 0) return;
  const source = { buffer, offset: rows * bytesPerRow, bytesPerRow };
  encoder.copyBufferToTexture(source, { texture, origin: [0, rows] }, [rest, 1]);
}
