import { GpuError } from "../errors.ts";
import type { ShaderSource } from "./source.ts";
import { declarations, evaluate, tokenise } from "./tokens.ts";
import { type MappedText, unroll } from "./unroll.ts";

/** New values for the constants and aliases marked `// @spec`. */
export type SpecValues = Readonly<Record<string, number | string>>;

/**
 * WGSL with the literals of its `// @spec` constants replaced and, where `unrolled` says so, its marked loops unrolled. Only
 * values named in the mark are accepted. `enable f16;` is added where an alias becomes f16. Throws `E_SHADER`.
 */
export function specialise(code: string, spec: SpecValues = {}, unrolled = true): MappedText {
  const wanted = new Map(Object.entries(spec));
  let text = "";
  let done = 0;
  let half = false;
  for (const declaration of declarations(tokenise(code))) {
    const value = wanted.get(declaration.name);
    if (value === undefined || declaration.spec === undefined) continue;
    wanted.delete(declaration.name);
    const allowed = allowedValue(declaration.name, declaration.spec, value);
    half ||= declaration.kind === "alias" && allowed.includes("f16");
    const suffix =
      declaration.kind === "const" && !/[a-z]$/.test(allowed)
        ? (/[iufh]$/.exec(declaration.init)?.[0] ?? "")
        : "";
    text += code.slice(done, declaration.initStart) + allowed + suffix;
    done = declaration.initStart + declaration.init.length;
  }
  if (wanted.size > 0) {
    throw new GpuError(
      "E_SHADER",
      `no constant marked "// @spec" is named ${[...wanted.keys()].join(", ")}.`,
    );
  }
  text += code.slice(done);
  if (half && !/^\s*enable\s+f16\s*;/m.test(text)) text = `enable f16; ${text}`;
  const tokens = tokenise(text);
  if (!unrolled) return { code: text, lines: text.split("\n").map((_, i) => i + 1) };
  const constants = new Map(
    declarations(tokens)
      .filter((d) => d.kind === "const")
      .map((d) => [d.name, d.init]),
  );
  return unroll(tokens, (name) => constants.get(name));
}

/** The spelling, among those of the mark, that means `value`. */
export function allowedValue(name: string, values: readonly string[], value: number | string): string {
  const wanted = String(value);
  const number = typeof value === "number" ? value : Number.NaN;
  const truth = number === 1 ? "true" : number === 0 ? "false" : "";
  const found = values.find((v) => v === wanted || v === truth || Number(v) === number);
  if (found === undefined) {
    throw new GpuError(
      "E_SHADER",
      `${name} = ${wanted} is not among the values of its "// @spec" mark: ${values.join(", ")}.`,
    );
  }
  return found;
}

/** An entry point's workgroup size under the given specialisation and override values. Throws `E_SHADER`. */
export function workgroupSize(
  source: ShaderSource,
  entry: string,
  spec: SpecValues = {},
  constants: Readonly<Record<string, number>> = {},
): [number, number, number] {
  const known = new Map<string, string | number>(Object.entries(source.constants));
  for (const [name, override] of Object.entries(source.overrides)) {
    if (override.init !== undefined) known.set(name, override.init);
  }
  for (const [name, value] of Object.entries(spec))
    known.set(name, typeof value === "number" ? value : String(value));
  for (const [name, value] of Object.entries(constants)) known.set(name, value);
  const sizes = source.entries[entry]?.workgroupSize;
  if (sizes === undefined) throw new GpuError("E_SHADER", `there is no entry point named ${entry}.`);
  return sizes.map((text) => evaluate(text, (name) => known.get(name))) as [number, number, number];
}
