import { readFileSync } from "node:fs";

/** The library example of the README, as written. */
export function readmeExample(): string {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const found = /```ts\n([\s\S]*?)```/.exec(text);
  if (!found) throw new Error("README.md has no ts example");
  return found[1]!;
}
