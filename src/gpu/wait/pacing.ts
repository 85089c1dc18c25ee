/**
 * While a GPU promise is pending, Dawn's Node binding polls through `globalThis.setImmediate` in a tight loop and takes a
 * whole core, which on a software adapter is missing from the "GPU". While at least one paced promise is pending, polls are
 * spread a millisecond apart, save for the first moment of each wait, in which small kernels end; afterwards the originals are
 * put back. Elsewhere nothing is touched.
 */
interface ImmediateHost {
  setImmediate?: (run: (...args: unknown[]) => void, ...args: unknown[]) => unknown;
  clearImmediate?: (handle: unknown) => void;
}

const POLL_MS = 1;
/** How long a wait may poll without a pause. */
const EAGER_MS = 0.2;

const host = globalThis as ImmediateHost;
let pending = 0;
let originals: Required<ImmediateHost> | undefined;
let eagerUntil = 0;
let ours: ImmediateHost["setImmediate"];

/** Runs `run`, pacing the polls until its promise settles. */
export async function paced<T>(run: () => Promise<T>): Promise<T> {
  enter();
  try {
    return await run();
  } finally {
    leave();
  }
}

function enter(): void {
  eagerUntil = performance.now() + EAGER_MS;
  if (pending++ > 0) return;
  const { setImmediate, clearImmediate } = host;
  if (setImmediate === undefined || clearImmediate === undefined) return; // a browser
  originals = { setImmediate, clearImmediate };
  ours = (callback, ...args) =>
    performance.now() < eagerUntil ? setImmediate(callback, ...args) : setTimeout(callback, POLL_MS, ...args);
  host.setImmediate = ours;
  host.clearImmediate = (handle) => {
    clearTimeout(handle as Parameters<typeof clearTimeout>[0]);
    clearImmediate(handle);
  };
}

function leave(): void {
  if (--pending > 0 || originals === undefined) return;
  // Someone else who replaced it meanwhile keeps theirs.
  if (host.setImmediate === ours) Object.assign(host, originals);
  originals = undefined;
}
