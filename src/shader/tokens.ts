import { GpuError } from "../errors.ts";

/** A piece of WGSL. Joined, the texts of all tokens give the source back. */
export interface Token {
  readonly kind: "word" | "number" | "space" | "comment" | "sign";
  readonly text: string;
  readonly start: number;
  /** Counted from 1. */
  readonly line: number;
}

const PATTERN =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<space>\s+)|(?<word>[A-Za-z_]\w*)|(?<number>0[xX][\da-fA-F]+[iu]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?)|(?<sign><<=|>>=|\+\+|--|[-+*/%&|^!<>=]=|<<|>>|[\s\S])/gy;

/** Cuts WGSL into tokens; comments and spaces are tokens too. */
export function tokenise(code: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (const match of code.matchAll(PATTERN)) {
    const groups = match.groups as Record<Token["kind"], string | undefined>;
    const kind = (["comment", "space", "word", "number", "sign"] as const).find(
      (k) => groups[k] !== undefined,
    )!;
    const text = match[0];
    tokens.push({ kind, text, start: match.index, line });
    for (const c of text) if (c === "\n") line++;
  }
  return tokens;
}

/** Is it neither a comment nor a space? */
export function solid(token: Token): boolean {
  return token.kind !== "comment" && token.kind !== "space";
}

/** A module-scope `const`, `override` or `alias`. */
export interface Declaration {
  readonly kind: "const" | "override" | "alias";
  readonly name: string;
  readonly type: string;
  /** Empty for an override without a default. */
  readonly init: string;
  readonly initStart: number;
  readonly line: number;
  /** The allowed values of a `// @spec` mark on the declaration's line. */
  readonly spec: readonly string[] | undefined;
}

/** Finds the declarations of constants at module scope. */
export function declarations(tokens: readonly Token[]): Declaration[] {
  const found: Declaration[] = [];
  let depth = 0;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.text === "{") depth++;
    else if (token.text === "}") depth--;
    if (depth !== 0 || token.kind !== "word" || !/^(const|override|alias)$/.test(token.text)) continue;
    let end = i;
    while (end < tokens.length && tokens[end]!.text !== ";") end++;
    const body = tokens.slice(i + 1, end);
    const equals = body.findIndex((t) => t.text === "=");
    const head = (equals < 0 ? body : body.slice(0, equals)).filter(solid);
    const value = equals < 0 ? [] : body.slice(equals + 1).filter(solid);
    const after = tokens
      .slice(end + 1, end + 3)
      .find((t) => t.kind === "comment" && t.line === tokens[end]?.line);
    const mark = /^\/\/\s*@spec\s+(.*)$/.exec(after?.text ?? "");
    found.push({
      kind: token.text as Declaration["kind"],
      name: head[0]?.text ?? "",
      type: head
        .slice(2)
        .map((t) => t.text)
        .join(""),
      init: value.map((t) => t.text).join(" "),
      initStart: value[0]?.start ?? -1,
      line: token.line,
      spec: mark ? mark[1]!.trim().split(/\s+/) : undefined,
    });
    i = end;
  }
  return found;
}

/**
 * The value of a constant WGSL integer expression: literals, names, + - * / % << >>, min, max and parentheses.
 * `lookup` gives a name's value or initialiser. Throws `E_SHADER` for anything else.
 */
export function evaluate(
  expression: string,
  lookup: (name: string) => string | number | undefined,
  depth = 0,
): number {
  const fail = (why: string): never => {
    throw new GpuError("E_SHADER", `"${expression}" is not a constant integer expression: ${why}.`);
  };
  if (depth > 16) fail("its constants refer to each other in a circle");
  const tokens = tokenise(expression).filter(solid);
  let at = 0;
  const next = (): string => tokens[at]?.text ?? "";
  const expect = (text: string): void => {
    if (next() !== text) fail(`expected "${text}" and found "${next()}"`);
    at++;
  };
  const primary = (): number => {
    const token = tokens[at++];
    if (token === undefined) return fail("it ends too early");
    if (token.text === "(") {
      const value = sum();
      expect(")");
      return value;
    }
    if (token.text === "-") return -primary();
    if (token.kind === "number") return Number(token.text.replace(/(?<!^0x[\da-fA-F]*)[fh]$|[iu]$/, ""));
    if (token.text === "true") return 1;
    if (token.text === "false") return 0;
    if (token.kind === "word" && next() === "(") {
      if (!/^(min|max|u32|i32)$/.test(token.text)) fail(`the function ${token.text} is not known here`);
      expect("(");
      const values = [sum()];
      while (next() === ",") {
        at++;
        if (next() !== ")") values.push(sum());
      }
      expect(")");
      return token.text === "min"
        ? Math.min(...values)
        : token.text === "max"
          ? Math.max(...values)
          : values[0]!;
    }
    if (token.kind !== "word") return fail(`"${token.text}" is not expected there`);
    const value = lookup(token.text);
    if (value === undefined) return fail(`${token.text} is not a constant of the module`);
    return typeof value === "number" ? value : evaluate(value, lookup, depth + 1);
  };
  const product = (): number => {
    let value = primary();
    for (;;) {
      const sign = next();
      if (sign !== "*" && sign !== "/" && sign !== "%") return value;
      at++;
      const right = primary();
      if (sign !== "*" && right === 0) fail("it divides by zero");
      value = sign === "*" ? value * right : sign === "/" ? Math.trunc(value / right) : value % right;
    }
  };
  const sum = (): number => {
    let value = product();
    for (;;) {
      const sign = next();
      if (!/^(\+|-|<<|>>)$/.test(sign)) return value;
      at++;
      const right = product();
      if (sign === "+") value += right;
      else if (sign === "-") value -= right;
      else value = Math.trunc(value * 2 ** (sign === "<<" ? right : -right));
    }
  };
  const value = sum();
  if (at !== tokens.length) fail(`"${next()}" is not expected there`);
  return value;
}
