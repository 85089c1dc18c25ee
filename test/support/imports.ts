import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

/** One `import`, `export … from` or `import()` in a file. */
export interface Import {
  /** Relative to the project's root. */
  readonly file: string;
  readonly specifier: string;
  /** `import type` and `export type`: gone at run time. */
  readonly typeOnly: boolean;
  /** The file it means, relative to the root; undefined for a package. */
  readonly target: string | undefined;
}

const STATIC = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?["']([^"']+)["']/gm;
const DYNAMIC = /\bimport\(\s*["'`]([^"'`]+)["'`]\s*\)/g;

/** What a file imports, statically and dynamically. Comments do not count. */
export function importsOf(root: string, file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "");
  const make = (specifier: string, typeOnly: boolean): Import => ({
    file,
    specifier,
    typeOnly,
    target: specifier.startsWith(".")
      ? slashes(relative(root, join(root, dirname(file), specifier)))
      : undefined,
  });
  return [
    ...[...text.matchAll(STATIC)].map((m) => make(m[2]!, m[1] !== undefined)),
    ...[...text.matchAll(DYNAMIC)].map((m) => make(m[1]!, false)),
  ];
}

/** Files below a folder whose names end as said, relative to the root, sorted. */
export function filesBelow(root: string, folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => slashes(relative(root, join(entry.parentPath, entry.name))))
    .sort();
}

function slashes(path: string): string {
  return path.split(sep).join("/");
}
