/** WebGPU's buffer usage bits: Node has no global of them. */
export const BufferUsage = {
  MAP_READ: 0x1,
  MAP_WRITE: 0x2,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  INDEX: 0x10,
  VERTEX: 0x20,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  INDIRECT: 0x100,
  QUERY_RESOLVE: 0x200,
} as const;

/** And its texture usage bits. */
export const TextureUsage = { COPY_SRC: 0x1, COPY_DST: 0x2, STORAGE_BINDING: 0x8 } as const;

/** A storage buffer that can be written from and read back to the host. */
export const STORAGE_USAGE = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
/** A buffer of kernel parameters. */
export const UNIFORM_USAGE = BufferUsage.UNIFORM | BufferUsage.COPY_DST;

/** `GPUMapMode.READ`. */
export const MAP_READ_MODE = 0x1;
/** `GPUShaderStage.COMPUTE`. */
export const COMPUTE_STAGE = 0x4;

/** Bytes to allocate for `bytes`: a multiple of 4, and never less than one vec4, so that any array type can be bound. */
export function allocationSize(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 4) * 4);
}
