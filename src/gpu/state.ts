import { GpuError, type SecateurError } from "../errors.ts";
import { paced } from "./wait/pacing.ts";

/** Why a device is gone. */
export interface DeviceLoss {
  readonly reason: string;
  readonly message: string;
}

/**
 * The health of one device. Dawn lets every call on a lost device succeed silently and prints errors that nobody asked
 * for, so each part of {@link Gpu} asks here before and after it talks to the device.
 */
export interface DeviceState {
  readonly device: GPUDevice;
  readonly lost: Promise<DeviceLoss>;
  readonly disposed: boolean;
  readonly usable: boolean;
  /** Throws `E_DISPOSED` or `E_DEVICE_LOST`. */
  alive(): void;
  /** Throws as `alive` does, or the first error collected since the last call. */
  check(): void;
  /** Keeps an error for the next `check`. */
  collect(error: SecateurError): void;
  /** Awaits a promise of the device: paced on software adapters, rejected at once when the device goes. */
  settle<T>(run: () => Promise<T>): Promise<T>;
  paced<T>(run: () => Promise<T>): Promise<T>;
  /** From now on everything throws `E_DISPOSED`; true the first time. */
  retire(): boolean;
}

const MOST_ERRORS = 16;

export function trackDevice(device: GPUDevice, label: string, software: boolean, own: boolean): DeviceState {
  const waiters = new Set<(error: SecateurError) => void>();
  const errors: SecateurError[] = [];
  let dropped = 0;
  let disposed = false;
  let loss: DeviceLoss | undefined;

  const failure = (): SecateurError | undefined => {
    if (disposed)
      return new GpuError("E_DISPOSED", `${label} has been disposed. Open another with openGpu().`);
    if (loss === undefined) return undefined;
    const why = loss.message || loss.reason;
    return new GpuError(
      "E_DEVICE_LOST",
      `${label} was lost (${why}). Open another with openGpu() and compile again.`,
    );
  };
  const rejectAll = (): void => {
    const error = failure();
    if (error) for (const reject of waiters) reject(error);
    waiters.clear();
  };
  const lost = device.lost.then((info): DeviceLoss => {
    loss = { reason: String(info.reason ?? "unknown"), message: info.message };
    rejectAll();
    return loss;
  });
  const alive = (): void => {
    const error = failure();
    if (error) throw error;
  };
  const collect = (error: SecateurError): void => {
    if (errors.length < MOST_ERRORS) errors.push(error);
    else dropped++;
  };
  const onError = (event: GPUUncapturedErrorEvent): void => {
    // Unless its default is prevented, Dawn prints the error on standard output. A caller's device keeps its habits.
    if (own) event.preventDefault();
    collect(fromDevice(label, event.error));
  };
  device.addEventListener("uncapturederror", onError);

  return {
    device,
    lost,
    get disposed() {
      return disposed;
    },
    get usable() {
      return failure() === undefined;
    },
    alive,
    collect,
    check() {
      alive();
      const first = errors.shift();
      if (first === undefined) return;
      const more = errors.length + dropped;
      errors.length = 0;
      dropped = 0;
      throw more === 0
        ? first
        : new GpuError(first.code, `${first.message} (and ${more} more errors)`, {}, { cause: first });
    },
    paced: (run) => (software ? paced(run) : run()),
    settle<T>(run: () => Promise<T>): Promise<T> {
      alive();
      const settled = (): Promise<T> =>
        new Promise<T>((resolve, reject) => {
          waiters.add(reject);
          run()
            .then(resolve, (error) => reject(failure() ?? error))
            .finally(() => waiters.delete(reject));
        });
      return software ? paced(settled) : settled();
    },
    retire() {
      if (disposed) return false;
      disposed = true;
      device.removeEventListener("uncapturederror", onError);
      // Errors of work still under way are nobody's any more, but Dawn would print them.
      if (own) device.addEventListener("uncapturederror", (event) => event.preventDefault());
      rejectAll();
      return true;
    },
  };
}

/** Our error for one that the device reported. */
export function fromDevice(label: string, error: GPUError): SecateurError {
  const memory = error.constructor.name === "GPUOutOfMemoryError";
  const what = memory ? "ran out of device memory" : "refused an operation";
  return new GpuError(memory ? "E_MEMORY" : "E_GPU", `${label} ${what}: ${error.message.trim()}`);
}
