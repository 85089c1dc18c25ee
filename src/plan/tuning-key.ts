import type { AdapterFacts } from "../gpu/adapter.ts";
import type { Format } from "../kernels/columns/formats.ts";
import type { ColumnsProblem, PixelGrid } from "../kernels/columns/problem.ts";
import { variants } from "../kernels/columns/variants.ts";
import { sources } from "../shader/sources.gen.ts";
import { version } from "../version.ts";

/** Where a problem's columns and pixels lie, as far as it decides how fast a kernel runs. */
export function geometryKey(p: ColumnsProblem): string {
  const grid = (g: PixelGrid): string => `${g.base},${g.channel},${g.steps}`;
  return [
    p.groups,
    p.rowsPerGroup,
    p.k,
    p.out,
    p.batch,
    p.xBase,
    p.xSteps,
    p.xChannel,
    p.xGroup,
    p.taps.at(1),
    p.taps.at(-1),
    grid(p.y),
    p.residual ? grid(p.residual) : "-",
  ].join(" ");
}

/**
 * What a race's outcome depends on, the adapter apart: geometry, activation, and the share of values that each sparse format
 * considered would store, to two digits. Without formats it is the race of the dense variants, which all layers of one
 * geometry share; a variable weight has fewer of them, and there are more where kernels may round activations.
 */
export function raceKey(
  p: ColumnsProblem,
  { variable, rounds }: { readonly variable: boolean; readonly rounds?: boolean },
  densities: ReadonlyMap<Format, number> = new Map(),
): string {
  const stored = [...densities].map(([format, density]) => `${format}=${Number(density.toPrecision(2))}`);
  return [
    geometryKey(p),
    `act ${p.activation.code}`,
    variable ? "variable" : "constant",
    ...(rounds ? ["x in f16"] : []),
    ...(stored.length > 0 ? stored : ["dense"]),
  ].join(" | ");
}

let kernels: string | undefined;

/** Of everything embedded that decides how fast the kernels of a layer run; changed kernels are measured anew. */
function kernelsHash(): string {
  kernels ??= textHash(
    JSON.stringify([version, variants, Object.entries(sources).map(([name, source]) => [name, source.code])]),
  );
  return kernels;
}

/** Features without which a kernel is compiled or timed in another way. */
const telling = ["timestamp-query", "subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"];

/** Of kernels, adapter, driver and, where the adapter computes on the CPU, the machine: measurements hold for one such set. */
export function fingerprint(adapter: AdapterFacts, host = ""): string {
  const { vendor, architecture, device, description, features, subgroups, texels, software } = adapter;
  return textHash(
    JSON.stringify([
      kernelsHash(),
      [vendor, architecture, device, description],
      telling.filter((name) => features.includes(name)),
      subgroups ?? null,
      texels,
      software ? host : "",
    ]),
  );
}

/** 64 bits in hex, as two FNV-1a hashes from different starts: to tell texts apart, not to keep secrets. */
export function textHash(text: string): string {
  const half = (start: number): string => {
    let hash = start;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
    return hash.toString(16).padStart(8, "0");
  };
  return half(0x811c9dc5) + half(0x9e3779b9);
}
