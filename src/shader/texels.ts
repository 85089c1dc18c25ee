/** vec4s in a row of a texture that holds a copy of a buffer; as in shaders/lib/texels.wgsl. */
export const TEXELS_PER_ROW = 8192;

/** Rows of the largest texture that every WebGPU device takes (`maxTextureDimension2D`), with rows as long. */
const mostRows = 8192;

/** vec4s that such a texture holds. */
export const mostTexels = TEXELS_PER_ROW * mostRows;
