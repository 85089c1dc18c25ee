import { findArch } from "../nets/arches.ts";

/** Does MODEL come with trained weights? Only a bare ARCH has seeded ones, and glyphnet only when a seed is given. */
export const wasTrained = (spec: string, seed: number | undefined): boolean =>
  !findArch(spec) || (spec === "glyphnet" && seed === undefined);
