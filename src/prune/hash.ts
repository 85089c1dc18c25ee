import type { Attribute, Graph } from "../graph/graph.ts";
import { bytesOf, type HostTensor } from "../tensor/host-tensor.ts";

/**
 * SHA-256 (hex) over everything that decides what a graph computes and how it was pruned: inputs, outputs, nodes,
 * attributes, weights and masks by their bytes. Names count, metadata does not, and neither does the order in which weights
 * are stored.
 */
export async function graphHash(graph: Graph): Promise<string> {
  const weights = await digests(graph.weights);
  const masks = await digests(graph.masks);
  const nodes = [];
  for (const node of graph.nodes) {
    const attributes = [];
    for (const [name, value] of [...node.attributes].sort(byName))
      attributes.push([name, await attributeText(value)]);
    nodes.push([node.name, node.op, node.inputs, node.outputs, attributes]);
  }
  const manifest = JSON.stringify([graph.inputs, graph.outputs, nodes, weights, masks]);
  return sha256(new TextEncoder().encode(manifest));
}

const byName = (a: readonly [string, unknown], b: readonly [string, unknown]): number =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;

async function digests(tensors: ReadonlyMap<string, HostTensor>): Promise<unknown[]> {
  const list = [];
  for (const [name, t] of [...tensors].sort(byName)) list.push([name, await tensorText(t)]);
  return list;
}

const tensorText = async (t: HostTensor): Promise<unknown> => [t.dtype, t.shape, await sha256(bytesOf(t))];

async function attributeText(value: Attribute): Promise<unknown> {
  return typeof value === "object" && "dtype" in value ? tensorText(value) : value;
}

/** SHA-256 of bytes, in hex. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
}
