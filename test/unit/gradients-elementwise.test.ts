import { suite } from "uvu";
import { binaryCases } from "../support/gradient-cases-binary.ts";
import { unaryCases } from "../support/gradient-cases-unary.ts";
import { addGradientTests } from "../support/gradient-check.ts";

const test = suite("gradients of elementwise ops");

addGradientTests(test, [...unaryCases, ...binaryCases]);

test.run();
