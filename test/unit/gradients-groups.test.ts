import { suite } from "uvu";
import { groupCases } from "../support/gradient-cases-groups.ts";
import { addGradientTests } from "../support/gradient-check.ts";

const test = suite("gradients of reductions and normalisations");

addGradientTests(test, groupCases);

test.run();
