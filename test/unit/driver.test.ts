import { createHash } from "node:crypto";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand } from "../../src/gpu/driver/command.ts";
import { unpackSwiftShader } from "../../src/gpu/driver/fetch-swiftshader.ts";
import { isBookworm, mirrorOf } from "../../src/gpu/driver/lavapipe.ts";
import { loaderFlags } from "../../src/gpu/driver/probe.ts";
import { untar } from "../../src/gpu/driver/tar.ts";
import { fails } from "../support/error.ts";

const test = suite("finding and getting a driver");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A tar archive of regular files. */
function tar(files: Readonly<Record<string, Uint8Array>>, type = "0"): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, data] of Object.entries(files)) {
    const header = new Uint8Array(512);
    header.set(bytes(name));
    header.set(bytes(data.length.toString(8).padStart(11, "0")), 124);
    header.set(bytes(type), 156);
    blocks.push(header, data, new Uint8Array((512 - (data.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, new Uint8Array(1024)]);
}

test("an archive's wanted regular files are found, whatever their length", () => {
  const files = { "a.txt": bytes("x".repeat(512)), "d/b.txt": bytes("short"), empty: new Uint8Array() };
  const found = untar(tar(files), (name) => name !== "a.txt");
  assert.equal([...found.keys()], ["d/b.txt", "empty"]);
  assert.equal(found.get("d/b.txt"), files["d/b.txt"]);
  assert.is(untar(tar(files, "2"), () => true).size, 0, "links are not files");
  assert.is(untar(new Uint8Array(0), () => true).size, 0);
});

test("a damaged archive is an error, not garbage", async () => {
  const good = tar({ "a.txt": bytes("hello") });
  await fails(() => untar(good.subarray(0, 514), () => true), "E_TRUNCATED");
  const bad = good.slice();
  bad.set(bytes("zzz"), 124);
  await fails(() => untar(bad, () => true), "E_FORMAT");
});

test("only the expected files, byte for byte, become the driver", async () => {
  const hash = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
  const lib = bytes("a driver");
  const pack = (inner: Uint8Array): Uint8Array =>
    gzipSync(tar({ "package/bin/swiftshader.tar.br": brotliCompressSync(inner) }));
  const hashes = { "lib.so": hash(lib) };
  const files = unpackSwiftShader(pack(tar({ "lib.so": lib, "../../evil": lib })), hashes);
  assert.equal([...files], [["lib.so", lib]]);
  await fails(
    () => unpackSwiftShader(pack(tar({ "lib.so": bytes("another") })), hashes),
    "E_FORMAT",
    /lib\.so .*not the expected file/,
  );
  await fails(
    () => unpackSwiftShader(pack(tar({ other: lib })), hashes),
    "E_FORMAT",
    /does not hold lib\.so/,
  );
  await fails(() => unpackSwiftShader(gzipSync(tar({})), hashes), "E_FORMAT", /does not hold package\/bin/);
});

test("Debian 12 is known from others, and its mirror from its sources", () => {
  assert.ok(isBookworm('PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n'));
  for (const other of [
    'ID=debian\nVERSION_ID="13"',
    'ID=ubuntu\nVERSION_ID="24.04"',
    'ID_LIKE=debian\nVERSION_ID="12"',
    "",
  ]) {
    assert.not.ok(isBookworm(other));
  }
  assert.is(
    mirrorOf(["Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n"]),
    "http://mirror.example/debian",
  );
  assert.is(
    mirrorOf(["# none", "deb [signed-by=/x.gpg] https://m.example/debian/ bookworm main\n"]),
    "https://m.example/debian",
  );
  assert.is(mirrorOf([]), "http://deb.debian.org/debian");
});

test("a probe runs with the loaders of its parent, and nothing else", () => {
  const flags = [
    "--import",
    "tsx",
    "--inspect",
    "-r",
    "./x.cjs",
    "--import=y",
    "-e",
    "evil()",
    "--expose-gc",
  ];
  assert.equal(loaderFlags(flags), ["--import", "tsx", "-r", "./x.cjs", "--import=y"]);
  assert.equal(loaderFlags([]), []);
});

test("a command's code, output, absence and lateness are told apart", async () => {
  const node = (text: string, timeoutMs?: number): ReturnType<typeof runCommand> =>
    runCommand(process.execPath, ["-e", text], timeoutMs === undefined ? {} : { timeoutMs });
  assert.equal(await node("console.log(1); console.error(2); process.exit(3)"), {
    code: 3,
    output: "1\n2\n",
  });
  assert.is((await runCommand("no-such-command-here", [])).code, 127);
  assert.is((await node("setTimeout(() => {}, 60000)", 300)).code, 124);
});

test.run();
