import { GpuError } from "../../errors.ts";
import { fetchSwiftShader } from "./fetch-swiftshader.ts";
import { installLavapipe, type Log } from "./lavapipe.ts";
import { probeAdapter } from "./probe.ts";

export interface DriverOutcome {
  /** "present": nothing had to be done. */
  readonly kind: "present" | "lavapipe" | "swiftshader";
  readonly description: string;
}

/**
 * Sees to it that WebGPU finds an adapter here: hardware or whatever is there already, else Mesa's lavapipe through apt, else
 * SwiftShader in a cache folder of ours, for which no root is needed. Says each step to `log`, asks nothing, and may be
 * called again. With `SECATEUR_DRIVER=swiftshader` in the environment it gets that one. Throws `E_NO_ADAPTER`.
 */
export async function ensureDriver(log: Log): Promise<DriverOutcome> {
  if (process.env.SECATEUR_DRIVER === "swiftshader") {
    await fetchSwiftShader(log);
    return settle("swiftshader", log);
  }
  const before = await probeAdapter();
  if (before.found) {
    log(`an adapter is there: ${before.description}`);
    return { kind: "present", description: before.description };
  }
  log(before.why);
  if (process.platform !== "linux") {
    throw new GpuError(
      "E_NO_ADAPTER",
      `${before.why} A software driver can be installed on Linux only; here, update the GPU's driver.`,
    );
  }
  if (await installLavapipe(log)) {
    const after = await probeAdapter();
    if (after.found) {
      log(`an adapter is there now: ${after.description}`);
      return { kind: "lavapipe", description: after.description };
    }
    log(`with Mesa installed, still: ${after.why}`);
  }
  await fetchSwiftShader(log);
  return settle("swiftshader", log);
}

async function settle(kind: DriverOutcome["kind"], log: Log): Promise<DriverOutcome> {
  const probe = await probeAdapter();
  if (!probe.found) {
    throw new GpuError(
      "E_NO_ADAPTER",
      `no driver could be found or installed: ${probe.why} Or install a Vulkan driver by hand (mesa-vulkan-drivers and libvulkan1).`,
    );
  }
  log(`an adapter is there now: ${probe.description}`);
  return { kind, description: probe.description };
}
