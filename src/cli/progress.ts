import { SingleBar } from "cli-progress";
import type { CommonOptions } from "./context.ts";

/** Progress of long work on standard error: a bar when it is a terminal, nothing otherwise or under --quiet. */
export interface Progress {
  update(message: string, done?: number, total?: number): void;
  stop(): void;
}

export function startProgress(options: CommonOptions): Progress {
  if (options.quiet || !process.stderr.isTTY) return { update: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    format: "{bar} {percentage} % | {message}",
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 24,
  });
  let started = false;
  return {
    update(message, done = 0, total = 1) {
      if (!started) bar.start(total, done, { message });
      started = true;
      bar.setTotal(total);
      bar.update(done, { message });
    },
    stop() {
      if (started) bar.stop();
      started = false;
    },
  };
}
