import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { SecateurError } from "../errors.ts";
import { compose } from "./include.ts";
import { reflect } from "./reflect.ts";
import type { ShaderSource } from "./source.ts";

/**
 * Every kernel below `folder` (files in its `lib` are includes), composed and reflected, in order of name. A bad one is
 * left out and handed to `onError`.
 */
export function readShaders(
  folder: string,
  onError: (error: SecateurError) => void,
): Map<string, ShaderSource> {
  const cache = new Map<string, string | undefined>();
  const read = (path: string): string | undefined => {
    if (!cache.has(path)) {
      const full = join(folder, path);
      cache.set(path, existsSync(full) ? readFileSync(full, "utf8").replaceAll("\r\n", "\n") : undefined);
    }
    return cache.get(path);
  };
  const kernels = new Map<string, ShaderSource>();
  for (const path of wgslFiles(folder)) {
    if (path.startsWith("lib/")) continue;
    try {
      kernels.set(path.replace(/\.wgsl$/, ""), reflect(compose(path, "shaders/", read)));
    } catch (error) {
      if (!(error instanceof SecateurError)) throw error;
      onError(error);
    }
  }
  return kernels;
}

/** Paths of all `.wgsl` files below a folder, relative to it, sorted. */
export function wgslFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".wgsl"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** The generated module's text. */
export function moduleText(kernels: ReadonlyMap<string, ShaderSource>): string {
  const names = [...kernels.keys()].map((name) => `\n  | ${JSON.stringify(name)}`).join("");
  const rows = [...kernels]
    .map(([name, source]) => `  ${JSON.stringify(name)}: ${JSON.stringify(source)},\n`)
    .join("");
  return `// Written by src/shader/embed.ts (npm run shaders) from shaders/**/*.wgsl.
import type { ShaderSource } from "./source.ts";

/** A kernel's path below shaders/, without its extension. */
export type KernelName =${names || " never"};

export const sources: Readonly<Record<KernelName, ShaderSource>> = {
${rows}};
`;
}

function main(): void {
  const here = dirname(fileURLToPath(import.meta.url));
  const target = join(here, "sources.gen.ts");
  const kernels = readShaders(resolve(here, "../../shaders"), (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
  const text = moduleText(kernels);
  if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) main();
