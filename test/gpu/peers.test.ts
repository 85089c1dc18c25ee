import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { peerPackages } from "../../bench/peers/install.ts";
import { runPeers } from "../../bench/peers/run.ts";
import { fails } from "../support/error.ts";

const peers = suite("peers on the GPU");

/** A package of the pinned version in a peers' folder, with a text of ours in place of the engine. */
function fake(cache: string, name: string, version: string, text: string): void {
  const folder = join(cache, "secateur", "peers", "node_modules", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, version, main: "index.js" }));
  writeFileSync(join(folder, "index.js"), text);
}

/** An ONNX Runtime whose every result is zero: first the whole one, then those that are cut to four elements. */
const zeros = `
let sessions = 0;
exports.Tensor = class {};
exports.InferenceSession = {
  async create() {
    const data = new Float32Array(sessions++ === 0 ? 37 * 29 : 4);
    return { run: async () => ({ y0: { data } }), release: async () => {} };
  },
};`;

peers(
  "a peer that dies, one that computes wrongly and one that is not there are missing, each for its reason",
  async () => {
    const cache = mkdtempSync(join(tmpdir(), "peers-"));
    for (const [name, version] of Object.entries(peerPackages["jax-js"]))
      fake(cache, name, version, "process.exit(7)");
    fake(cache, "onnxruntime-node", peerPackages.onnxruntime["onnxruntime-node"]!, zeros);
    const before = process.env["XDG_CACHE_HOME"];
    process.env["XDG_CACHE_HOME"] = cache;
    try {
      const { message } = await fails(
        () => runPeers({ set: "quick" }),
        "E_UNSUPPORTED",
        /no peer to compare with/,
      );
      for (const reason of [
        /tfjs: @tensorflow\/tfjs@[\d.]+, @tensorflow\/tfjs-backend-webgpu@[\d.]+ not installed/,
        /onnxruntime: matmul 37x41x29: 37x41x29 gave 0 at element 0/,
        /jax-js: its process ended \(exit 7\)/,
      ]) {
        if (!reason.test(message)) throw new Error(`${reason} is not in: ${message}`);
      }
    } finally {
      if (before === undefined) delete process.env["XDG_CACHE_HOME"];
      else process.env["XDG_CACHE_HOME"] = before;
    }
  },
);

peers.run();
