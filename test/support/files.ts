import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { type ErrorCode, SecateurError } from "../../src/errors.ts";
import { contextOf, evaluateAs, opOf } from "../../src/graph/evaluate.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { TensorType } from "../../src/graph/op.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { skip } from "./skip.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../..");

/** Path of shared material beside the project, or undefined after saying that the test is skipped. */
export function shared(path: string, test: string): string | undefined {
  const full = join(root, "../shared", path);
  if (existsSync(full)) return full;
  skip(test, `../shared/${path} is absent`);
  return undefined;
}

/**
 * The work must fail with one of the codes, as an error of ours, within a second and without growing the process by 100 MB.
 */
export function refuses(
  work: () => unknown,
  codes: ErrorCode | readonly ErrorCode[],
  what: string,
): SecateurError {
  const allowed = typeof codes === "string" ? [codes] : codes;
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const error = failureOf(work);
  const took = performance.now() - start;
  const grew = (process.memoryUsage().rss - before) / 2 ** 20;
  if (error === undefined) assert.unreachable(`${what}: was accepted, expected ${allowed.join(" or ")}`);
  if (!(error instanceof SecateurError))
    assert.unreachable(`${what}: threw ${String(error)}, no error of ours`);
  const fault = error as SecateurError;
  assert.ok(
    allowed.includes(fault.code),
    `${what}: code ${fault.code} (${fault.message}), expected ${allowed.join(" or ")}`,
  );
  assert.ok(took < 5000, `${what}: took ${took.toFixed(0)} ms`);
  assert.ok(grew < 100, `${what}: grew the process by ${grew.toFixed(0)} MB`);
  return fault;
}

/** {@link refuses} for work that returns a promise. */
export async function refusesAsync(
  work: () => Promise<unknown>,
  codes: ErrorCode | readonly ErrorCode[],
  what: string,
): Promise<SecateurError> {
  let error: unknown;
  try {
    await work();
  } catch (e) {
    error = e;
  }
  return refuses(
    () => {
      if (error !== undefined) throw error;
    },
    codes,
    what,
  );
}

function failureOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error ?? new Error("threw nothing");
  }
  return undefined;
}

/** Every value of a graph by each op's reference, in graph order; slow and plain. */
export function runGraph(graph: Graph, inputs: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
  const values = new Map([...graph.weights, ...inputs]);
  const types = new Map<string, TensorType>(
    [...values].map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape }]),
  );
  for (const node of graph.nodes) {
    const context = contextOf(node, types, values);
    const outputs = opOf(node).infer(context);
    const operands = node.inputs.map((name) => (name === "" ? undefined : values.get(name)));
    const results = evaluateAs(context, operands, outputs);
    for (const [i, name] of node.outputs.entries()) {
      if (name === "") continue;
      types.set(name, outputs[i]!);
      values.set(name, results[i]!);
    }
  }
  return values;
}

/** Two graphs that say the same: nodes, values, weights and masks bit by bit, metadata. */
export function sameGraph(a: Graph, b: Graph, what: string): void {
  assert.equal(b.inputs, a.inputs, `${what}: inputs`);
  assert.equal(b.outputs, a.outputs, `${what}: outputs`);
  assert.equal(b.nodes, a.nodes, `${what}: nodes`);
  assert.equal([...b.metadata].sort(), [...a.metadata].sort(), `${what}: metadata`);
  for (const kind of ["weights", "masks"] as const) {
    assert.equal([...b[kind].keys()].sort(), [...a[kind].keys()].sort(), `${what}: names of ${kind}`);
    for (const [name, t] of a[kind]) sameTensor(t, b[kind].get(name)!, `${what}: ${kind} "${name}"`);
  }
}

/** Same dtype, shape and bytes. */
export function sameTensor(a: HostTensor, b: HostTensor, what: string): void {
  assert.is(b.dtype, a.dtype, `${what}: dtype`);
  assert.equal([...b.shape], [...a.shape], `${what}: shape`);
  const bytes = (t: HostTensor): Buffer =>
    Buffer.from(t.data.buffer as ArrayBuffer, t.data.byteOffset, t.data.byteLength);
  assert.ok(bytes(a).equals(bytes(b)), `${what}: bytes differ`);
}
