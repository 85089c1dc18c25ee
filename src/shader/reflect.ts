import {
  type ArrayInfo,
  type MemberInfo,
  ResourceType,
  type StructInfo,
  type TemplateInfo,
  type TypeInfo,
  WgslReflect,
} from "wgsl_reflect/wgsl_reflect.module.js";
import type { Composed } from "./include.ts";
import {
  locate,
  type ScalarType,
  type ShaderBinding,
  type ShaderEntry,
  type ShaderOverride,
  type ShaderSource,
  type ShaderSpec,
  type TexelFormat,
  type UniformField,
  type UniformLayout,
} from "./source.ts";
import { declarations, solid, type Token, tokenise } from "./tokens.ts";
import { countMarkedLoops, ShaderTextError, unroll } from "./unroll.ts";

/**
 * What a composed shader declares: bindings per entry point, the uniform struct, overrides, constants. Checks the
 * project's conventions: everything in `@group(0)`, at most one uniform, named `params`. Throws `E_SHADER` with file:line.
 */
export function reflect(composed: Composed): ShaderSource {
  const tokens = tokenise(composed.code);
  const at = (line: number, why: string): ShaderTextError =>
    new ShaderTextError(line, `${locate(composed, line)}: ${why}`);
  const parsed = parse(composed, tokens, at);
  const bindings: Record<string, ShaderBinding> = {};
  let uniform: UniformLayout | undefined;
  for (const variable of [...parsed.uniforms, ...parsed.storage]) {
    const line = lineOf(tokens, variable.name);
    if (variable.group !== 0)
      throw at(line, `${variable.name} is in @group(${variable.group}); all bindings belong in @group(0)`);
    const kind = kinds.get(variable.resourceType) ?? "storage";
    const format = kind === "texels" ? texelFormat(variable.type) : undefined;
    if (kind === "texels" && !format)
      throw at(
        line,
        `the texture ${variable.name} must be a texture_storage_2d<rgba32float, read>, or one of rgba32uint`,
      );
    if (Object.values(bindings).some((b) => b.binding === variable.binding)) {
      throw at(line, `@binding(${variable.binding}) of ${variable.name} is taken already`);
    }
    const access = variable.access === "read_write" ? "read_write" : "read";
    bindings[variable.name] = {
      binding: variable.binding,
      kind,
      access,
      ...(format && { format }),
    };
    if (kind !== "uniform") continue;
    if (variable.name !== "params") throw at(line, `the uniform ${variable.name} must be named params`);
    if (!variable.type.isStruct) throw at(line, "params must be a struct");
    uniform = uniformLayout(variable.type as StructInfo, (why) => at(line, why));
  }
  if (parsed.textures.length + parsed.samplers.length > 0)
    throw at(1, "of textures only those of texels are supported, and no samplers");

  const sizes = workgroupSizes(tokens);
  const entries: Record<string, ShaderEntry> = {};
  for (const entry of parsed.entry.compute) {
    const size = sizes.get(entry.name);
    if (size === undefined) throw at(lineOf(tokens, entry.name), `${entry.name} has no @workgroup_size`);
    entries[entry.name] = {
      workgroupSize: size,
      bindings: entry.resources.map((r) => r.name).filter((n) => n in bindings),
    };
  }
  if (Object.keys(entries).length === 0) throw at(1, "there is no @compute entry point");
  return { ...composed, entries, bindings, ...(uniform && { uniform }), ...constantsOf(tokens, at) };
}

const kinds: ReadonlyMap<ResourceType, ShaderBinding["kind"]> = new Map([
  [ResourceType.Uniform, "uniform"],
  [ResourceType.StorageTexture, "texels"],
]);

function texelFormat(type: TypeInfo): TexelFormat | undefined {
  const { name, format, access } = type as TemplateInfo;
  const of = format?.name;
  if (name !== "texture_storage_2d" || access !== "read") return undefined;
  return of === "rgba32float" || of === "rgba32uint" ? of : undefined;
}

function constantsOf(
  tokens: readonly Token[],
  at: (line: number, why: string) => ShaderTextError,
): Pick<ShaderSource, "overrides" | "constants" | "spec" | "unrollable"> {
  const overrides: Record<string, ShaderOverride> = {};
  const constants: Record<string, string> = {};
  const spec: Record<string, ShaderSpec> = {};
  for (const d of declarations(tokens)) {
    if (d.kind === "override") {
      const type = d.type || literalType(d.init);
      overrides[d.name] = { type, ...(d.init && { init: d.init }) };
    }
    if (d.kind === "const") constants[d.name] = d.init;
    if (d.spec === undefined) continue;
    if (d.kind === "override") throw at(d.line, `${d.name} is an override: it needs no @spec mark`);
    if (/\s/.test(d.init))
      throw at(d.line, `${d.name} is marked @spec, so its value must be a single literal`);
    const plain = d.kind === "const" ? d.init.replace(/[iufh]$/, "") : d.init;
    if (!d.spec.some((v) => v === plain || Number(v) === Number(plain))) {
      throw at(d.line, `the value ${d.init} of ${d.name} is not among its @spec values ${d.spec.join(", ")}`);
    }
    spec[d.name] = { kind: d.kind, init: d.init, values: d.spec };
  }
  const unrollable = countMarkedLoops(tokens);
  try {
    unroll(tokens, (name) => constants[name]);
  } catch (error) {
    throw error instanceof ShaderTextError ? at(error.line, error.message) : error;
  }
  return { overrides, constants, spec, unrollable };
}

/** What the parser is given instead of a word it does not take. */
const stands = new Map([
  ["block", "block_"],
  ["subgroup_matrix_left", "f32"],
  ["subgroup_matrix_right", "f32"],
  ["subgroup_matrix_result", "f32"],
]);

/** Words with a template of types, which goes with them. */
const MATRIX = /^(subgroup_matrix_(left|right|result)|subgroupMatrix(Load|Store))$/;

/**
 * The parser takes `block` and a few more ordinary names for keywords of long ago, no expression in `@workgroup_size`, and knows no
 * subgroup matrices; it is given a text in which those are replaced. Line numbers stay.
 */
function parse(
  composed: Composed,
  tokens: readonly Token[],
  at: (line: number, why: string) => ShaderTextError,
): WgslReflect {
  let text = "";
  let skip = 0;
  let template = false;
  tokens.forEach((token, i) => {
    if (skip > 0 && token.kind !== "space") {
      if (token.text === "(") skip++;
      if (token.text === ")" && --skip === 1) {
        text += "(1)";
        skip = 0;
      }
      return;
    }
    if (template) {
      template = token.text !== ">";
      if (token.kind === "space") text += token.text;
      return;
    }
    if (token.text === "workgroup_size" && tokens[i - 1]?.text === "@") skip = 1;
    template = MATRIX.test(token.text) && tokens[i + 1]?.text === "<";
    text +=
      token.kind === "comment" ? token.text.replace(/[^\n]/g, " ") : (stands.get(token.text) ?? token.text);
  });
  try {
    return new WgslReflect(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const line = Number(/Line:\s*(\d+)/.exec(message)?.[1] ?? 1);
    throw at(
      line,
      `wgsl_reflect cannot read it: ${message.replace(/\.*\s*Line:.*$/s, "")} (${composed.code.split("\n")[line - 1]?.trim()})`,
    );
  }
}

/** The type that an override without one takes from its default. */
function literalType(init: string): string {
  if (/^(true|false)$/.test(init)) return "bool";
  if (/^0x/i.test(init)) return init.endsWith("u") ? "u32" : "i32";
  if (init.endsWith("h")) return "f16";
  return init.endsWith("u") ? "u32" : /[.ef]/.test(init) ? "f32" : "i32";
}

function workgroupSizes(tokens: readonly Token[]): Map<string, [string, string, string]> {
  const solids = tokens.filter(solid);
  const sizes = new Map<string, [string, string, string]>();
  for (let i = 0; i < solids.length; i++) {
    if (solids[i]!.text !== "workgroup_size" || solids[i - 1]?.text !== "@") continue;
    const parts = [""];
    let depth = 0;
    for (i++; i < solids.length; i++) {
      const { text } = solids[i]!;
      if (text === "(" && depth++ === 0) continue;
      if (text === ")" && --depth === 0) break;
      if (text === "," && depth === 1) parts.push("");
      else parts.push(`${parts.pop()} ${text}`.trim());
    }
    while (i < solids.length && solids[i]!.text !== "fn") i++;
    const [x, y, z] = parts.filter((part) => part !== "");
    sizes.set(solids[i + 1]?.text ?? "", [x ?? "1", y ?? "1", z ?? "1"]);
  }
  return sizes;
}

function uniformLayout(struct: StructInfo, bad: (why: string) => ShaderTextError): UniformLayout {
  const fields: Record<string, UniformField> = {};
  for (const member of struct.members) fields[member.name] = uniformField(member, bad);
  return { size: Math.ceil(struct.size / 16) * 16, fields };
}

function uniformField(member: MemberInfo, bad: (why: string) => ShaderTextError): UniformField {
  const array = member.type.isArray ? (member.type as ArrayInfo) : undefined;
  const element: TypeInfo = array ? array.format : member.type;
  const [type, lanes] = scalarAndLanes(element);
  if (type === undefined || (array && !(array.count > 0))) {
    throw bad(
      `the field ${member.name} of params must be a scalar or vector of f32, i32 or u32, or an array of such`,
    );
  }
  if (array && array.stride % 16 !== 0)
    throw bad(`the array ${member.name} of params needs elements of 16 bytes`);
  const stride = array ? array.stride : lanes * 4;
  return {
    type,
    offset: member.offset,
    size: member.size,
    count: lanes * (array?.count ?? 1),
    lanes,
    stride,
  };
}

function scalarAndLanes(type: TypeInfo): [ScalarType | undefined, number] {
  const match = /^vec([234])(?:([fiu])|<(f32|i32|u32)>)?$/.exec(type.name);
  const letter = { f: "f32", i: "i32", u: "u32" } as const;
  if (match) {
    const inner = match[3] ?? (match[2] ? letter[match[2] as "f"] : (type as TemplateInfo).format?.name);
    return [inner === "f32" || inner === "i32" || inner === "u32" ? inner : undefined, Number(match[1])];
  }
  return [type.name === "f32" || type.name === "i32" || type.name === "u32" ? type.name : undefined, 1];
}

function lineOf(tokens: readonly Token[], name: string): number {
  return tokens.find((t) => t.text === name)?.line ?? 1;
}
