import { GpuError } from "../errors.ts";
import type { UniformField, UniformLayout } from "./source.ts";

/** Values of a uniform struct's fields; arrays fill array and vector fields element by element. */
export type ParamValues = Readonly<Record<string, number | readonly number[]>>;

/**
 * Packs values into the bytes of a uniform struct. Every field must be given, no other may be, u32 and i32 fields take only
 * integers that fit. Throws `E_GPU` naming `label` and the field.
 */
export function packParams(
  label: string,
  layout: UniformLayout | undefined,
  values: ParamValues,
): Uint8Array<ArrayBuffer> {
  const names = Object.keys(values);
  if (layout === undefined) {
    if (names.length === 0) return new Uint8Array(0);
    throw new GpuError("E_GPU", `${label} has no params, but was given ${names.join(", ")}.`);
  }
  const unknown = names.filter((name) => !Object.hasOwn(layout.fields, name));
  if (unknown.length > 0) {
    const known = Object.keys(layout.fields).join(", ");
    throw new GpuError(
      "E_GPU",
      `${label}: params has no field ${unknown.join(", ")}; its fields are ${known}.`,
    );
  }
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  for (const [name, field] of Object.entries(layout.fields)) {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) throw new GpuError("E_GPU", `${label}: the field ${name} of params is missing.`);
    const list = typeof value === "number" ? [value] : value;
    if (!Array.isArray(list) || list.length !== field.count) {
      throw new GpuError(
        "E_GPU",
        `${label}: the field ${name} of params takes ${field.count} numbers, but got ${Array.isArray(list) ? list.length : String(list)}.`,
      );
    }
    list.forEach((number, k) => {
      const at = field.offset + Math.floor(k / field.lanes) * field.stride + (k % field.lanes) * 4;
      write(view, at, field.type, number, () => `${label}: the field ${name} of params`);
    });
  }
  return bytes;
}

function write(
  view: DataView,
  at: number,
  type: UniformField["type"],
  value: number,
  what: () => string,
): void {
  if (type === "f32") {
    if (typeof value !== "number") throw new GpuError("E_GPU", `${what()} is f32, but got ${String(value)}.`);
    view.setFloat32(at, value, true);
    return;
  }
  const [low, high] = type === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new GpuError("E_GPU", `${what()} is ${type}, but got ${String(value)}.`);
  }
  if (type === "u32") view.setUint32(at, value, true);
  else view.setInt32(at, value, true);
}
