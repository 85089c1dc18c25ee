import { apoz } from "./apoz.ts";
import { channelLasso } from "./channel-lasso.ts";
import { fpgm } from "./fpgm.ts";
import { hrank } from "./hrank.ts";
import type { Method } from "./method.ts";
import { particle } from "./particle.ts";
import { skeletonization } from "./skeletonization.ts";
import { slimming } from "./slimming.ts";
import { taylor } from "./taylor.ts";
import { thinet } from "./thinet.ts";

/** Methods that score whole filters only, oldest first. */
export const structuredMethods: readonly Method[] = [
  skeletonization,
  particle,
  apoz,
  slimming,
  thinet,
  channelLasso,
  fpgm,
  taylor,
  hrank,
];
