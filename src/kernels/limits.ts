/** Workgroups that WebGPU lets a dispatch have per dimension on every device. */
export const mostGroups = 65_535;

/** Bytes that WebGPU lets one binding span on every device. */
export const mostBytes = 128 * 2 ** 20;
