import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SecateurError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { readOnnx } from "../src/io/onnx/read.ts";
import { readTensorProto } from "../src/io/onnx/tensor.ts";
import { compile } from "../src/run/compile.ts";
import { getNumber, type HostTensor } from "../src/tensor/host-tensor.ts";
import { sameShape, showShape } from "../src/tensor/shape.ts";

export interface CaseResult {
  readonly name: string;
  readonly kind: "passed" | "unsupported" | "failed";
  readonly detail: string;
}

/** The suite's own measure: |a - b| / (1e-3 + |b|) at most 1e-3. */
const tolerance = 1e-3;

/** Runs one case of the ONNX backend suite on the GPU; an op that is not claimed must be refused by name. */
export async function runCase(gpu: Gpu, dir: string, name: string): Promise<CaseResult> {
  try {
    const graph = readOnnx(readFileSync(join(dir, "model.onnx")), { file: name });
    const data = join(dir, "test_data_set_0");
    const load = (prefix: string, count: number): HostTensor[] =>
      Array.from(
        { length: count },
        (_, i) => readTensorProto(readFileSync(join(data, `${prefix}_${i}.pb`))).tensor,
      );
    const outputs = readdirSync(data).filter((f) => f.startsWith("output_")).length;
    const given = load("input", graph.inputs.length);
    const inputs = Object.fromEntries(graph.inputs.map((input, i) => [input.name, given[i]!]));
    const inputShapes = Object.fromEntries(
      graph.inputs.map((input, i) => [input.name, [...given[i]!.shape]]),
    );
    const session = await compile(gpu, graph, { inputShapes });
    const actual = await session.run(inputs);
    session.dispose();
    for (const [i, expected] of load("output", outputs).entries()) {
      const fault = difference(actual[graph.outputs[i]!.name]!, expected);
      if (fault) return { name, kind: "failed", detail: `output ${graph.outputs[i]!.name} ${fault}` };
    }
    return { name, kind: "passed", detail: "" };
  } catch (error) {
    if (error instanceof SecateurError && error.code === "E_UNSUPPORTED") {
      return { name, kind: "unsupported", detail: error.message };
    }
    const text =
      error instanceof SecateurError
        ? `${error.code} ${error.message}`
        : error instanceof Error
          ? (error.stack ?? "")
          : String(error);
    return { name, kind: "failed", detail: text };
  }
}

function difference(actual: HostTensor, expected: HostTensor): string | undefined {
  if (actual.dtype !== expected.dtype) return `is ${actual.dtype}, not ${expected.dtype}`;
  if (!sameShape(actual.shape, expected.shape))
    return `is ${showShape(actual.shape)}, not ${showShape(expected.shape)}`;
  for (let i = 0; i < expected.data.length; i++) {
    const a = getNumber(actual.data, i);
    const b = getNumber(expected.data, i);
    if (Object.is(a, b) || a === b) continue;
    if (!(Math.abs(a - b) / (1e-3 + Math.abs(b)) <= tolerance)) return `has ${a} for ${b} at element ${i}`;
  }
  return undefined;
}
