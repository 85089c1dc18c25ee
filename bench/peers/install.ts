// Installs the engines that the benchmarks compare with into a cache folder of their own, outside this package's dependencies:
//   node --import tsx bench/peers/install.ts
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Exact versions: a benchmark without them cannot be repeated. */
export const peerVersions: Readonly<Record<string, string>> = {
  "@tensorflow/tfjs": "4.22.0",
  "@tensorflow/tfjs-backend-webgpu": "4.22.0",
};

/** Where the peers lie. */
export function peersFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "secateur", "peers");
}

/** The version of a peer that is installed, if any. */
export function installedVersion(name: string): string | undefined {
  try {
    const text = readFileSync(join(peersFolder(), "node_modules", name, "package.json"), "utf8");
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return undefined;
  }
}

/** The peers that are missing or of another version than the pinned one. */
export const missingPeers = (): string[] =>
  Object.keys(peerVersions).filter((name) => installedVersion(name) !== peerVersions[name]);

/** Installs what is missing with npm, saying so on standard output. Throws with npm's last lines when npm fails. */
export function installPeers(): void {
  const folder = peersFolder();
  const missing = missingPeers();
  if (missing.length === 0) {
    console.log(`already installed in ${folder}: ${list(Object.keys(peerVersions))}`);
    return;
  }
  console.log(`installing ${list(missing)} into ${folder}`);
  mkdirSync(folder, { recursive: true });
  const manifest = { name: "secateur-peers", private: true, dependencies: peerVersions };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2) + "\n");
  runNpm(folder);
  const still = missingPeers();
  if (still.length > 0) throw new Error(`npm ended well, but ${list(still)} is not in ${folder}.`);
  console.log("done");
}

const list = (names: readonly string[]): string =>
  names.map((name) => `${name}@${peerVersions[name]}`).join(", ");

function runNpm(folder: string): void {
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  const result = spawnSync("npm", ["install", ...flags], {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32", // npm is a .cmd there
  });
  if (result.error) {
    const { message } = result.error;
    throw new Error(`npm could not be started (${message}). Is it installed and on the PATH?`);
  }
  if (result.status !== 0) {
    const output = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-12).join("\n");
    throw new Error(
      `npm install failed in ${folder} (exit ${result.status ?? result.signal}):\n${output}\n` +
        "The peers come from the npm registry: check the network, or copy the folder from a machine that has them.",
    );
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    installPeers();
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
