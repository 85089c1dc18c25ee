import { readFileSync } from "node:fs";

/** The library examples of the README, as written, in order. */
export function readmeExamples(): string[] {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((found) => found[1]!);
}

/** The first of them. */
export function readmeExample(): string {
  const [first] = readmeExamples();
  if (!first) throw new Error("README.md has no ts example");
  return first;
}
