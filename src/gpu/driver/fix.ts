import { examine } from "../doctor.ts";
import { ensureDriver } from "./ensure.ts";

const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
try {
  await ensureDriver(log);
  const { ok, adapter, selfTest, error } = await examine();
  log(
    ok ? `self-test passed on ${adapter?.description} in ${selfTest?.ms.toFixed(1)} ms` : `${error?.message}`,
  );
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  log((error as Error).message);
  process.exitCode = 1;
}
