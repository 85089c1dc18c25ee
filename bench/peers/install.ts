// Installs the engines that the benchmarks compare with into a cache folder of their own, outside this package's dependencies:
//   node --import tsx bench/peers/install.ts
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export const peerNames = ["tfjs", "onnxruntime", "jax-js"] as const;
export type PeerName = (typeof peerNames)[number];

/** The packages of every peer, in exact versions: a benchmark without them cannot be repeated. */
export const peerPackages: Readonly<Record<PeerName, Readonly<Record<string, string>>>> = {
  tfjs: { "@tensorflow/tfjs": "4.22.0", "@tensorflow/tfjs-backend-webgpu": "4.22.0" },
  onnxruntime: { "onnxruntime-node": "1.30.0" },
  "jax-js": { "@jax-js/jax": "0.1.25", "@jax-js/onnx": "0.1.2" },
};

export const installCommand = "node --import tsx bench/peers/install.ts";

/** Where the peers lie. */
export function peersFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "secateur", "peers");
}

/** The version of a package that is installed there, if any. */
export function installedVersion(name: string): string | undefined {
  try {
    const text = readFileSync(join(peersFolder(), "node_modules", name, "package.json"), "utf8");
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return undefined;
  }
}

/** Packages of a peer that are missing or of another version than the pinned one, as name@version. */
export const missingPackages = (peer: PeerName): string[] =>
  Object.entries(peerPackages[peer])
    .filter(([name, version]) => installedVersion(name) !== version)
    .map(([name, version]) => `${name}@${version}`);

/** Why a peer cannot be loaded, if it cannot. */
export function whyMissing(peer: PeerName): string | undefined {
  const missing = missingPackages(peer);
  if (missing.length === 0) return undefined;
  return `${missing.join(", ")} not installed in ${peersFolder()}`;
}

/** A package of a peer. Throws, with the command that installs it, where it is missing or of another version. */
export function loadPeer(peer: PeerName, name: string): unknown {
  const why = whyMissing(peer);
  if (why !== undefined) throw new Error(`${why}. Run \`${installCommand}\`.`);
  return createRequire(join(peersFolder(), "package.json"))(name);
}

/**
 * Installs what is missing with npm, peer by peer, saying so on standard output. Returns what failed, by peer, with npm's last
 * lines; the others are there all the same.
 */
export function installPeers(): ReadonlyMap<PeerName, string> {
  const folder = peersFolder();
  const failed = new Map<PeerName, string>();
  mkdirSync(folder, { recursive: true });
  for (const peer of peerNames) {
    const missing = missingPackages(peer);
    if (missing.length === 0) {
      console.log(`${peer}: already installed in ${folder}`);
      continue;
    }
    console.log(`${peer}: installing ${missing.join(", ")} into ${folder}`);
    // npm removes what the manifest does not name, so it names what is there already too.
    const present = peerNames.filter((p) => p === peer || missingPackages(p).length === 0);
    const dependencies = Object.assign({}, ...present.map((p) => peerPackages[p]));
    const manifest = { name: "secateur-peers", private: true, dependencies };
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    const why = runNpm(folder) ?? whyMissing(peer);
    if (why !== undefined) failed.set(peer, why);
  }
  return failed;
}

/** What npm complained of, if it failed. */
function runNpm(folder: string): string | undefined {
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  const result = spawnSync("npm", ["install", ...flags], {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32", // npm is a .cmd there
    // ONNX Runtime's own script would fetch CUDA libraries; the WebGPU provider is in the package.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (result.error)
    return `npm could not be started (${result.error.message}). Is it installed and on the PATH?`;
  if (result.status === 0) return undefined;
  const output = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-12).join("\n");
  return (
    `npm install failed in ${folder} (exit ${result.status ?? result.signal}):\n${output}\n` +
    "The peers come from the npm registry: check the network, or copy the folder from a machine that has them."
  );
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const failed = installPeers();
  for (const [peer, why] of failed) console.error(`${peer}: ${why}`);
  if (failed.size > 0) process.exitCode = 1;
}
