import { suite } from "uvu";
import { movementCases } from "../support/gradient-cases-movement.ts";
import { addGradientTests } from "../support/gradient-check.ts";

const test = suite("gradients of ops that move data");

addGradientTests(test, movementCases);

test.run();
