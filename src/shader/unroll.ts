import { GpuError } from "../errors.ts";
import { evaluate, solid, type Token } from "./tokens.ts";

/** WGSL text and, for each of its lines, the line of the text that it came from (both counted from 1). */
export interface MappedText {
  readonly code: string;
  readonly lines: readonly number[];
}

const MOST_COPIES = 4096;
const MARK = /^\/\/\s*@unroll\b/;

interface MarkedLoop {
  readonly index: string;
  readonly suffix: string;
  readonly from: readonly Token[];
  readonly to: readonly Token[];
  readonly step: readonly Token[];
  /** First token of the body and the token of its closing brace. */
  readonly body: number;
  readonly end: number;
}

/** How many loops are marked `// @unroll`. */
export function countMarkedLoops(tokens: readonly Token[]): number {
  return tokens.filter((t) => t.kind === "comment" && MARK.test(t.text)).length;
}

/**
 * Replaces every loop marked `// @unroll` by its body repeated, the index written as a literal, so that arrays indexed by
 * it can live in registers. A marked loop reads `for (var i: u32 = A; i < B; i++) { // @unroll` (or `i += C`) with A, B
 * and C constant, or constant once the loops around it are unrolled; it has no `break` or `continue` of its own and does
 * not assign its index. Throws `E_SHADER` with the line otherwise.
 */
export function unroll(
  tokens: readonly Token[],
  constant: (name: string) => string | number | undefined,
): MappedText {
  let code = "";
  const lines = [1];
  let copies = 0;
  const write = (text: string, line: number): void => {
    code += text;
    for (const c of text) if (c === "\n") lines.push(++line);
  };
  const expand = (first: number, last: number, known: ReadonlyMap<string, string>): void => {
    let before = "";
    for (let i = first; i < last; i++) {
      const token = tokens[i]!;
      const loop = token.text === "for" ? markedLoop(tokens, i) : undefined;
      if (loop === undefined) {
        const literal = token.kind === "word" && before !== "." ? known.get(token.text) : undefined;
        write(literal ?? token.text, token.line);
        if (solid(token)) before = token.text;
        continue;
      }
      const value = (part: readonly Token[]): number =>
        located(token.line, () =>
          evaluate(part.map((t) => t.text).join(" "), (n) => known.get(n) ?? constant(n)),
        );
      const [from, to, step] = [value(loop.from), value(loop.to), value(loop.step)];
      if (!(step > 0)) throw bad(token.line, `its step is ${step}; it must be above 0`);
      for (let k = from; k < to; k += step) {
        if (++copies > MOST_COPIES) throw bad(token.line, `unrolling makes more than ${MOST_COPIES} copies`);
        write("{", token.line);
        expand(loop.body, loop.end, new Map(known).set(loop.index, `${k}${loop.suffix}`));
        write("}", tokens[loop.end]!.line);
      }
      if (from >= to) write("{}", token.line);
      i = loop.end;
      before = "}";
    }
  };
  expand(0, tokens.length, new Map());
  return { code, lines };
}

function markedLoop(tokens: readonly Token[], start: number): MarkedLoop | undefined {
  const line = tokens[start]!.line;
  let open = start;
  while (open < tokens.length && tokens[open]!.text !== "{") open++;
  let comment = open + 1;
  while (tokens[comment]?.kind === "space" && !tokens[comment]!.text.includes("\n")) comment++;
  if (tokens[comment]?.kind !== "comment" || !MARK.test(tokens[comment]!.text)) return undefined;

  const head = tokens.slice(start + 1, open).filter(solid);
  const text = head.map((t) => t.text);
  const [first, second] = [text.indexOf(";"), text.lastIndexOf(";")];
  const index = text[2] ?? "";
  const equals = text.indexOf("=");
  const increment = text.slice(second + 1, -1);
  const shape =
    text[0] === "(" &&
    text[1] === "var" &&
    text[text.length - 1] === ")" &&
    equals > 2 &&
    equals < first &&
    text[first + 1] === index &&
    text[first + 2] === "<" &&
    increment[0] === index &&
    (increment[1] === "++" ? increment.length === 2 : increment[1] === "+=");
  if (!shape) throw bad(line, "it must read `for (var i: u32 = A; i < B; i++) {`, or end in `i += C`");
  const from = head.slice(equals + 1, first);
  const suffix = text[3] === ":" ? { u32: "u", i32: "i" }[text[4]!] : /[iu]$/.exec(from[0]?.text ?? "")?.[0];
  if (suffix === undefined) throw bad(line, "its index must be u32 or i32");
  const end = matchingBrace(tokens, open, line);
  checkBody(tokens, comment + 1, end, index);
  const step =
    increment[1] === "++"
      ? [{ ...head[0]!, kind: "number" as const, text: "1" }]
      : head.slice(second + 3, -1);
  return { index, suffix, from, to: head.slice(first + 3, second), step, body: comment + 1, end };
}

function matchingBrace(tokens: readonly Token[], open: number, line: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i]!.text === "{") depth++;
    if (tokens[i]!.text === "}" && --depth === 0) return i;
  }
  throw bad(line, "its body is not closed");
}

/** Refuses what a repeated body could not mean: jumps of its own, a second variable of the index's name, a changed index. */
function checkBody(tokens: readonly Token[], first: number, end: number, index: string): void {
  const inner: boolean[] = []; // per open brace: does it belong to a loop or switch that takes `break`?
  let pending = false;
  let before = "";
  let beforeThat = "";
  for (let i = first; i < end; i++) {
    const token = tokens[i]!;
    if (!solid(token)) continue;
    if (/^(for|while|loop|switch)$/.test(token.text)) pending = true;
    if (token.text === "{") {
      inner.push(pending);
      pending = false;
    }
    if (token.text === "}") inner.pop();
    if (/^(break|continue)$/.test(token.text) && !inner.includes(true)) {
      throw bad(token.line, `its body holds a \`${token.text}\` of its own`);
    }
    if (token.text === index && before !== ".") {
      if (/^(let|var|const)$/.test(before)) throw bad(token.line, `its body declares another ${index}`);
      if (before === "&") throw bad(token.line, `its body takes the address of ${index}`);
    }
    const assigned =
      before === index && beforeThat !== "." && /^(\+\+|--|<<=|>>=|[-+*/%&|^]?=)$/.test(token.text);
    if (assigned) throw bad(token.line, `its body assigns ${index}`);
    beforeThat = before;
    before = token.text;
  }
}

function bad(line: number, why: string): ShaderTextError {
  return new ShaderTextError(line, `a loop marked @unroll cannot be unrolled: ${why}`);
}

function located<T>(line: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw bad(line, (error as Error).message);
  }
}

/** A fault in shader text, with its line in the composed text. */
export class ShaderTextError extends GpuError {
  readonly line: number;

  constructor(line: number, message: string) {
    super("E_SHADER", message);
    this.line = line;
  }
}
