import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { ROOT } from "./child.ts";

const BARE = /(?:\bfrom|\bimport)\s*\(?\s*["']([^."'/][^"']*)["']/g;
const RELATIVE = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']*)["']/g;

/** Where a Chromium is likely to be; undefined where there is none. */
export function findChromium(): string | undefined {
  const names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  return [process.env.SECATEUR_CHROMIUM ?? "", ...names].find((path) => path !== "" && existsSync(path));
}

/** A page with WebGPU on Chromium's own SwiftShader, which can `import("/index.js")` from a folder of ES modules. */
export interface BrowserPage {
  readonly page: Page;
  /** What the console said and what failed to load. */
  readonly complaints: string[];
  close(): Promise<void>;
}

export async function openPage(executablePath: string, folder: string): Promise<BrowserPage> {
  const server = await serve(folder);
  const profile = mkdtempSync(join(tmpdir(), "secateur-chromium-"));
  let context: BrowserContext | undefined;
  const close = async (): Promise<void> => {
    await context?.close();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath,
      headless: true,
      args: [
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
      ],
    });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("response", (response) => {
      if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
    });
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return { page, complaints, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Serves the folder, and the packages that it imports by bare name through an import map. */
async function serve(folder: string): Promise<Server> {
  const map = importMap(folder);
  const html = `<!doctype html><script type="importmap">${JSON.stringify({ imports: map })}</script>`;
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").split("?")[0]!);
    if (path === "/") {
      response.setHeader("content-type", "text/html").end(html);
      return;
    }
    if (path === "/favicon.ico") {
      response.writeHead(204).end();
      return;
    }
    const file = path.startsWith("/node_modules/") ? join(ROOT, path) : join(folder, path);
    if (path.includes("..") || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("content-type", "text/javascript").end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** From bare specifiers to URLs, for all that is reached from the folder's index.js. */
function importMap(folder: string): Record<string, string> {
  const map: Record<string, string> = {};
  const pending = [join(folder, "index.js")];
  const seen = new Set<string>();
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (seen.has(file) || !existsSync(file)) continue;
    seen.add(file);
    const text = readFileSync(file, "utf8");
    for (const match of text.matchAll(RELATIVE)) pending.push(join(file, "..", match[1]!));
    for (const match of text.matchAll(BARE)) {
      const specifier = match[1]!;
      if (specifier.startsWith("node:") || specifier === "webgpu") continue;
      const from = file.startsWith(folder) ? join(ROOT, "src/index.ts") : file;
      const target = resolvePackage(specifier, from);
      if (target === undefined) continue;
      map[specifier] = `/${relative(ROOT, target).split(sep).join("/")}`;
      pending.push(target);
    }
  }
  return map;
}

function resolvePackage(specifier: string, from: string): string | undefined {
  try {
    return fileURLToPath(import.meta.resolve(specifier, pathToFileURL(from).href));
  } catch {
    return undefined; // a word in a comment
  }
}
