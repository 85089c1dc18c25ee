import { apoz } from "./apoz.ts";
import { fpgm } from "./fpgm.ts";
import { hrank } from "./hrank.ts";
import type { Method } from "./method.ts";
import { slimming } from "./slimming.ts";

/** Methods that score whole filters only. */
export const structuredMethods: readonly Method[] = [fpgm, slimming, hrank, apoz];
