import { compose } from "../../src/shader/include.ts";
import { reflect } from "../../src/shader/reflect.ts";
import type { ShaderSource } from "../../src/shader/source.ts";

/** A kernel from text, as if it lay at shaders/test/NAME.wgsl, with `includes` beside it by path. */
export function shaderFrom(
  name: string,
  text: string,
  includes: Readonly<Record<string, string>> = {},
): { name: string; source: ShaderSource } {
  const path = `test/${name}.wgsl`;
  const files = new Map(Object.entries({ ...includes, [path]: text }));
  return { name: `test/${name}`, source: reflect(compose(path, "shaders/", (p) => files.get(p))) };
}
