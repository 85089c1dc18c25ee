import type { Dataset } from "../data/dataset.ts";
import { preprocess } from "../data/dataset.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { toleranceOf } from "../plan/half-weights.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { runReference } from "./reference.ts";
import type { Session } from "./session.ts";
import { compareOutputs } from "./verify.ts";

/** Milliseconds that a sample should last at least; short passes are repeated inside one submission. */
const leastSample = 4;

/** One batch of the dataset's first images, repeated from the start when it has fewer. */
export function firstBatch(
  dataset: Dataset,
  batch: number,
  preprocessing: Preprocessing,
  session: Session,
): HostTensor {
  const n = Math.min(batch, dataset.length);
  const images = preprocess(dataset, 0, n, preprocessing);
  const each = images.data.length / n;
  const data = new Float32Array(batch * each);
  for (let i = 0; i < data.length; i++) data[i] = images.data[i % images.data.length] as number;
  const flat = session.inputs[0]!.shape.length === 2;
  return { dtype: "f32", shape: flat ? [batch, each] : [batch, ...images.shape.slice(1)], data };
}

/** Some images of a batch, first and last ones in turn. */
function pick(batch: HostTensor, rows: readonly number[]): HostTensor {
  const each = batch.data.length / batch.shape[0]!;
  const data = new Float32Array(rows.length * each);
  for (const [i, row] of rows.entries())
    data.set((batch.data as Float32Array).subarray(row * each, (row + 1) * each), i * each);
  return { dtype: "f32", shape: [rows.length, ...batch.shape.slice(1)], data };
}

/**
 * Runs one batch through the very kernels that will be timed and compares the outputs of its first and last images with the
 * double-precision reference. Returns the largest relative difference; throws E_VERIFY beyond what the precision of the session
 * explains.
 */
export async function checkBatch(
  session: Session,
  graph: Graph,
  batch: HostTensor,
  images: number,
): Promise<number> {
  const input = session.inputs[0]!.name;
  const output = session.outputs[0]!.name;
  const size = batch.shape[0]!;
  const rows = [
    ...new Set(
      Array.from({ length: Math.min(images, size) }, (_, i) => (i % 2 ? size - 1 - (i >> 1) : i >> 1)),
    ),
  ];
  const got = (await session.run({ [input]: batch }))[output]!;
  const expected = runReference(graph, { [input]: pick(batch, rows) });
  return compareOutputs(
    { [output]: pick(got, rows) },
    { [output]: expected[output]! },
    toleranceOf(session.plan.precision),
  ).outputs[0]!.maxRelative;
}

/** Times all sessions in turn: [session][round] milliseconds. */
export async function timeInTurn(
  sessions: readonly Session[],
  rounds: number,
  onRound: (round: number) => void = () => undefined,
): Promise<number[][]> {
  const repeats: number[] = [];
  for (const session of sessions) {
    await session.time();
    repeats.push(Math.max(1, Math.min(64, Math.ceil(leastSample / (await session.time())))));
  }
  const times = sessions.map((): number[] => []);
  for (let round = 1; round <= rounds; round++) {
    onRound(round);
    for (const [i, session] of sessions.entries()) times[i]!.push(await session.time(repeats[i]!));
  }
  return times;
}
