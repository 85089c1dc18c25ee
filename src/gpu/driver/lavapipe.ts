import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandResult, runCommand } from "./command.ts";

export type Log = (line: string) => void;

const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];
const SOURCES = "/etc/apt/sources.list.d";

/**
 * Installs Mesa's lavapipe through apt where this user may. Debian 12's own Mesa is too old for Dawn, so it comes from
 * bookworm-backports, whose priority lets nothing else be upgraded. False, with the reason logged, where it cannot be done.
 */
export async function installLavapipe(log: Log): Promise<boolean> {
  if (!existsSync("/usr/bin/apt-get")) {
    log("there is no apt-get here, so Mesa's software driver cannot be installed that way");
    return false;
  }
  const become = await rootPrefix();
  if (become === undefined) {
    log("installing Mesa's software driver needs root, or sudo without a password");
    return false;
  }
  const apt = (...args: string[]): Promise<CommandResult> =>
    runCommand(become[0] ?? "env", [
      ...become.slice(1),
      ...(become.length > 0 ? ["env"] : []),
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      "-o",
      "DPkg::Lock::Timeout=120",
      ...args,
    ]);

  const backports = isBookworm(readFileSync("/etc/os-release", "utf8")) ? "bookworm-backports" : undefined;
  if (backports !== undefined && !(await addBackports(become, backports, log))) return false;
  log("apt-get update");
  const update = await apt("update");
  if (update.code !== 0) log(`apt-get update failed (going on): ${lastLine(update.output)}`);
  const release = backports === undefined ? [] : ["-t", backports];
  log(`apt-get install ${[...release, ...PACKAGES].join(" ")}`);
  const install = await apt("install", "-y", "--no-install-recommends", ...release, ...PACKAGES);
  if (install.code !== 0) log(`apt-get install failed: ${lastLine(install.output)}`);
  return install.code === 0;
}

/** Is it Debian 12? */
export function isBookworm(osRelease: string): boolean {
  return /^ID=debian$/m.test(osRelease) && /^VERSION_ID="?12"?$/m.test(osRelease);
}

/** The mirror that the system takes its `main` from, out of its source files' texts. */
export function mirrorOf(sourceTexts: readonly string[]): string {
  for (const text of sourceTexts) {
    const uri =
      /^URIs:\s*(\S+\/debian)\/?\s*$/m.exec(text) ??
      /^deb\s+(?:\[[^\]]*\]\s+)?(\S+\/debian)\/?\s+bookworm\s/m.exec(text);
    if (uri) return uri[1]!;
  }
  return "http://deb.debian.org/debian";
}

async function rootPrefix(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  return (await runCommand("sudo", ["-n", "true"])).code === 0 ? ["sudo", "-n"] : undefined;
}

async function addBackports(become: readonly string[], suite: string, log: Log): Promise<boolean> {
  const texts = ["/etc/apt/sources.list", ...readdirSync(SOURCES).map((name) => join(SOURCES, name))]
    .filter((file) => /\.(list|sources)$/.test(file) && existsSync(file))
    .map((file) => readFileSync(file, "utf8"));
  if (texts.some((text) => text.includes(suite))) return true;
  const target = `${SOURCES}/${suite}.sources`;
  const entry = [
    "Types: deb",
    `URIs: ${mirrorOf(texts)}`,
    `Suites: ${suite}`,
    "Components: main",
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    "",
  ].join("\n");
  log(`adding ${suite} to apt's sources (${target}): Debian 12's own Mesa is too old`);
  const folder = mkdtempSync(join(tmpdir(), "secateur-"));
  try {
    const file = join(folder, "entry");
    writeFileSync(file, entry);
    const { code, output } = await runCommand(become[0] ?? "install", [
      ...become.slice(1),
      ...(become.length > 0 ? ["install"] : []),
      "-m",
      "644",
      file,
      target,
    ]);
    if (code !== 0) log(`writing it failed: ${lastLine(output)}`);
    return code === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function lastLine(output: string): string {
  return output.trim().split("\n").at(-1) ?? "";
}
