import { ShaderTextError } from "./unroll.ts";

/** A file's text with its includes in place. */
export interface Composed {
  readonly code: string;
  readonly files: readonly string[];
  readonly segments: readonly { start: number; file: number; line: number }[];
}

const INCLUDE = /^\s*\/\/\s*@include\b(.*)$/;

/**
 * Replaces each line `// @include "lib/x.wgsl"` (paths from the shader folder) by that file, the first time it is asked for;
 * later requests vanish. `read` gives a file's text or undefined. Throws `E_SHADER` with file:line for a cycle, a missing
 * file or a malformed line.
 */
export function compose(path: string, prefix: string, read: (path: string) => string | undefined): Composed {
  const files: string[] = [];
  const segments: { start: number; file: number; line: number }[] = [];
  const lines: string[] = [];
  const seen = new Set<string>();
  const visit = (current: string, open: readonly string[], from: string): void => {
    const bad = (line: number, why: string): ShaderTextError =>
      new ShaderTextError(line, `${prefix}${current}:${line}: ${why}`);
    const text = read(current);
    if (text === undefined) throw new ShaderTextError(1, `${from}there is no shader file ${current}`);
    seen.add(current);
    const file = files.push(prefix + current) - 1;
    segments.push({ start: lines.length + 1, file, line: 1 });
    for (const [i, line] of text.replace(/\n$/, "").split("\n").entries()) {
      const include = INCLUDE.exec(line);
      if (include === null) {
        lines.push(line);
        continue;
      }
      const target = /^\s+"([\w/.-]+\.wgsl)"\s*$/.exec(include[1]!)?.[1];
      if (target === undefined) {
        throw bad(i + 1, '@include takes one quoted path, as in // @include "lib/x.wgsl"');
      }
      if (target === current || open.includes(target)) {
        throw bad(i + 1, `includes go in a circle: ${[...open, current, target].join(" -> ")}`);
      }
      if (!seen.has(target)) visit(target, [...open, current], `${prefix}${current}:${i + 1}: `);
      segments.push({ start: lines.length + 1, file, line: i + 2 });
    }
  };
  visit(path, [], "");
  return { code: `${lines.join("\n")}\n`, files, segments };
}
