import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SecateurError } from "../../src/errors.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { type HostTensor, tensor, zeros } from "../../src/tensor/host-tensor.ts";
import { parameters, survey } from "../support/survey.ts";

const test = suite("nets-weights");

const named = (graph: Graph): ReadonlyMap<string, HostTensor> =>
  new Map([...graph.weights].filter(([, w]) => w.dtype === "f32" && w.shape.length > 0));
const weightsOf = (arch: string, widths?: ReadonlyMap<string, number>): Map<string, HostTensor> =>
  new Map(named(buildNet(arch, { seed: 3, widths })));
const fails = (run: () => unknown, code: string, message: RegExp): void =>
  assert.throws(run, (e: unknown) => {
    assert.instance(e, SecateurError);
    assert.is((e as SecateurError).code, code, String(e));
    assert.match((e as SecateurError).message, message);
    return true;
  });

test("given weights come back as they are", () => {
  const weights = weightsOf("resnet20");
  const graph = buildNet("resnet20", { weights });
  for (const [name, w] of weights) assert.is(graph.weights.get(name), w);
});

test("step counters and masks beside a tensor are passed over", () => {
  const weights = weightsOf("lenet300");
  weights.set("ip1.weight_mask", weights.get("ip1.weight")!);
  weights.set("bn1.num_batches_tracked", tensor([1], [], "i64"));
  assert.is(buildNet("lenet300", { weights }).weights.size, 6);
});

test("widths follow the shapes of the weights", () => {
  const widths = new Map([
    ["conv1", 8],
    ["conv2", 19],
    ["ip1", 57],
  ]);
  const graph = buildNet("lenet5", { weights: weightsOf("lenet5", widths) });
  assert.equal(parameters(graph).slice(0, 2), [21_898, 21_992]);
  assert.is(survey(graph).macs, 376_298);
  const inner = new Map([
    ["layer1.0.conv1", 5],
    ["layer3.2.conv1", 7],
  ]);
  assert.is(
    survey(buildNet("resnet20", { weights: weightsOf("resnet20", inner) })).types.get("layer1.0.conv1")!
      .shape[1],
    5,
  );
});

/** Every convolution that ends in a stage's stream, so that the stream is narrower. */
const streams = (one: number, two: number, three: number): Map<string, number> =>
  new Map([
    ["conv1", one],
    ...[0, 1, 2].flatMap((i) => [
      [`layer1.${i}.conv2`, one] as const,
      [`layer2.${i}.conv2`, two] as const,
      [`layer3.${i}.conv2`, three] as const,
    ]),
  ]);
const padsIn = (graph: Graph, pad: string): number[] =>
  Array.from(graph.weights.get(`${pad}.pads`)!.data, Number);

test("a shortcut pads by a quarter on both sides, and by floor(d/2) in front for widths asked for", () => {
  assert.equal(padsIn(buildNet("resnet20"), "layer2.0.shortcut.pad"), [8, 8]);
  assert.equal(padsIn(buildNet("resnet20"), "layer3.0.shortcut.pad"), [16, 16]);
  const graph = buildNet("resnet20", { widths: streams(9, 14, 64) });
  assert.equal(padsIn(graph, "layer2.0.shortcut.pad"), [2, 3]);
  assert.is(survey(graph).types.get("layer2.0.shortcut.pad")!.shape[1], 14);
});

test("weights that leave the zero channels of a shortcut open are refused; told, they are taken", () => {
  const weights = weightsOf("resnet20", streams(14, 27, 59));
  fails(
    () => buildNet("resnet20", { weights }),
    "E_SHAPE",
    /layer2\.0\.shortcut\.pad.*14 channels become 27.*13 zero channels/,
  );
  const pads = new Map<string, readonly [number, number]>([
    ["layer2.0.shortcut.pad", [6, 7]],
    ["layer3.0.shortcut.pad", [16, 16]],
  ]);
  assert.equal(padsIn(buildNet("resnet20", { weights, pads }), "layer2.0.shortcut.pad"), [6, 7]);
  pads.set("layer2.0.shortcut.pad", [6, 8]);
  fails(() => buildNet("resnet20", { weights, pads }), "E_SHAPE", /adds 6 \+ 8 channels to 14, but 27/);
});

test("a shortcut whose zero channels are all there, or all gone, leaves nothing open", () => {
  const graph = buildNet("resnet20", { weights: weightsOf("resnet20", streams(12, 28, 28)) });
  assert.equal(padsIn(graph, "layer2.0.shortcut.pad"), [8, 8]);
  assert.equal(padsIn(graph, "layer3.0.shortcut.pad"), [0, 0]);
  fails(
    () => buildNet("resnet20", { weights: weightsOf("resnet20", streams(12, 28, 64)) }),
    "E_SHAPE",
    /28 channels become 64/,
  );
});

test("missing, unknown and misshapen weights are listed", () => {
  const without = weightsOf("lenet5");
  without.delete("conv2.bias");
  fails(() => buildNet("lenet5", { weights: without }), "E_GRAPH", /1 missing \(conv2\.bias\)/);
  const more = weightsOf("lenet5").set("extra\n.weight", zeros([1]));
  fails(() => buildNet("lenet5", { weights: more }), "E_GRAPH", /1 unknown \(extra\\u000a\.weight\)/);
  const bent = weightsOf("lenet5").set("ip1.weight", zeros([500, 801]));
  fails(
    () => buildNet("lenet5", { weights: bent }),
    "E_SHAPE",
    /ip1\.weight is \[500, 801\] instead of \[500, 800\]/,
  );
  const whole = weightsOf("lenet5").set("ip2.bias", tensor(new Int32Array(10), [10]));
  fails(() => buildNet("lenet5", { weights: whole }), "E_SHAPE", /ip2\.bias is i32/);
  const flat = weightsOf("lenet5").set("conv1.weight", zeros([]));
  fails(() => buildNet("lenet5", { weights: flat }), "E_SHAPE", /conv1\.weight is \[\]/);
  fails(
    () => buildNet("vgg16", { weights: weightsOf("lenet5") }),
    "E_GRAPH",
    /missing .* and \d+ more.*8 unknown/,
  );
});

test("an identity shortcut is cut where widths asked for differ, but weights must agree", () => {
  const widths = new Map([["layer1.0.conv2", 13]]);
  assert.equal(padsIn(buildNet("resnet20", { widths }), "layer1.0.shortcut.pad"), [-2, -1]);
  const weights = weightsOf("resnet20", widths);
  fails(() => buildNet("resnet20", { weights }), "E_SHAPE", /layer1\.0\.shortcut\.pad.*16 channels into 13/);
});

test("unknown nets, seeds and widths are refused", () => {
  fails(() => buildNet("alexnet"), "E_INPUT", /no built-in net "alexnet".*resnet20/);
  fails(() => buildNet("lenet5", { seed: 0.5 }), "E_INPUT", /seed is 0\.5/);
  fails(() => buildNet("lenet5", { widths: new Map([["conv1", 0]]) }), "E_INPUT", /width of conv1 is 0/);
});

test.run();
