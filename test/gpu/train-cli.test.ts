import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommanderError } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { trainCommand } from "../../src/cli/commands/train.ts";
import { type ErrorCode, SecateurError } from "../../src/errors.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { openModel, saveModel } from "../../src/io/files.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";
import { cifarRecord, idx } from "../support/datasets.ts";
import { fails } from "../support/error.ts";
import { sameTensor } from "../support/files.ts";
import { gpuTest } from "../support/gpu.ts";

const command = suite("secateur train: what it reads and writes");
const folder = mkdtempSync(join(tmpdir(), "secateur-train-cli-"));
command.after(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const put = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(at(name), bytes);
  return at(name);
};
const json = (name: string) => JSON.parse(readFileSync(at(name), "utf8"));

/** The command within this process: a process of its own takes seconds to start. What it prints is given back. */
async function run(...args: string[]): Promise<string> {
  let printed = "";
  const write = process.stdout.write;
  process.stdout.write = (chunk: string | Uint8Array) => {
    printed += chunk;
    return true;
  };
  try {
    const made = trainCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    await made.parseAsync(args, { from: "user" });
    return printed;
  } finally {
    process.stdout.write = write;
  }
}

const small = ["--data", "glyphs", "--limit", "120", "--batch", "16", "--seed", "3"];

command("every option is explained, and everything that can be said has its limits", async () => {
  for (const option of trainCommand().options)
    assert.ok(option.description.length > 8, `${option.flags}: ${option.description}`);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["", /required option '--data <data>'/],
    ["--data glyphs", /missing required argument 'model'/],
    ["lenet300", /required option '--data <data>'/],
    ["lenet300 --data", /argument missing/],
    ["lenet300 --data glyphs --schedule zigzag", /"zigzag": use constant, cosine/],
    ["lenet300 --data glyphs --schedule step:0.9,0.5", /0\.9 and 0\.5 do not follow/],
    ["lenet300 --data glyphs --lr -0.1", /--lr is "-0\.1"; a number above 0/],
    ["lenet300 --data glyphs --lr 0", /--lr is "0"/],
    ["lenet300 --data glyphs --lr many", /--lr is "many"/],
    ["lenet300 --data glyphs --lr Infinity", /--lr is "Infinity"/],
    ["lenet300 --data glyphs --optimizer lion", /--optimizer is "lion"; use one of sgd, adam, adamw/],
    ["lenet300 --data glyphs --optimizer adam --nesterov", /--nesterov belongs to sgd/],
    ["lenet300 --data glyphs --momentum 1", /--momentum is "1"; a number from 0 and below 1/],
    ["lenet300 --data glyphs --epochs 0", /--epochs is "0"; a whole number from 1/],
    ["lenet300 --data glyphs --epochs 1.5", /--epochs is "1\.5"/],
    ["lenet300 --data glyphs --batch 0", /--batch is "0"/],
    ["lenet300 --data glyphs --validation -1", /--validation is "-1"/],
    ["lenet300 --data glyphs --limit 0", /--limit is "0"/],
    ["lenet300 --data glyphs --clip 0", /--clip is "0"/],
    ["lenet300 --data glyphs --label-smoothing 1", /--label-smoothing is "1"/],
    ["lenet300 --data glyphs --augment pad:-1", /--augment is "pad:-1"/],
    ["lenet300 --data glyphs --mask soft", /--mask is "soft"; use one of hold, zeros/],
    ["lenet300 --data glyphs --temperature 0", /--temperature is "0"/],
    ["lenet300 --data glyphs --alpha 1.1", /--alpha is "1\.1"; a number from 0 and up to 1/],
    ["lenet300 --data glyphs --checkpoint-every 0", /--checkpoint-every is "0"/],
    ["lenet300 --data glyphs --plan measured", /--plan is "measured"; training takes estimated/],
    ["lenet300 --data glyphs --plan no-such-plan.json", /neither one of .* nor a file/],
    ["lenet300 --data glyphs -o weights.pt", /-o is "weights\.pt"; its extension/],
    ["lenet301 --data glyphs", /"lenet301" is no model/],
    ["lenet300 --data glyphs --teacher alexnet", /"alexnet" is no model/],
    ["lenet300 --data glyphs --unknown", /unknown option '--unknown'/],
    ["lenet300 lenet5 --data glyphs", /too many arguments/],
  ];
  for (const [line, words] of wrong) {
    const error: unknown = await run(...line.split(" ").filter(Boolean)).catch((e: unknown) => e);
    const usage = error instanceof CommanderError || (error as SecateurError).code === "E_USAGE";
    assert.ok(usage, `${line}: ${error}`);
    assert.match((error as Error).message, words);
  }
});

command("missing, mislabelled, cut off and unfitting data: one line that names the file", async () => {
  mkdirSync(at("mnist"));
  put("mnist/train-images-idx3-ubyte", idx([2, 28, 28], Array(1568).fill(7)));
  put("mnist/train-labels-idx1-ubyte", idx([3], [1, 2, 3]));
  const mislabelled = cifarRecord(1);
  mislabelled[0] = 77;
  put("77.bin", mislabelled);
  put("short.bin", cifarRecord(1).subarray(0, 3000));
  put("zipped.bin", Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2, 3));
  put("text.csv", "hello\n");
  put("broken.safetensors", "no model");
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["lenet300", `mnist:${at("nowhere")}`, /train-images-idx3-ubyte.* nowhere|nowhere/],
    ["lenet300", `mnist:${at("mnist")}`, /train-labels-idx1-ubyte, byte 4: 3 labels for the 2 images/],
    ["resnet20", `cifar10:${at("77.bin")}`, /77\.bin, byte 0: label 77/],
    ["resnet20", `cifar10:${at("short.bin")}`, /short\.bin/],
    ["resnet20", `cifar10:${at("zipped.bin")}`, /zipped\.bin/],
    ["resnet20", `cifar10:${at("absent.bin")}`, /absent\.bin/],
    ["lenet300", `digits:${at("text.csv")}`, /text\.csv/],
    ["lenet300", "imagenet:x", /"imagenet:x" is not known/],
    [at("broken.safetensors"), "glyphs", /broken\.safetensors|safetensors/],
    [at("absent.onnx"), "glyphs", /absent\.onnx/],
  ];
  for (const [model, data, words] of cases) {
    const error: unknown = await run(model, "--data", data, "-o", at("x.onnx")).catch((e: unknown) => e);
    assert.ok(error instanceof SecateurError && error.code !== "E_USAGE", `${data}: ${error}`);
    assert.match(error.message, words);
    assert.not.match(error.message, "\n");
  }
  assert.equal(
    readdirSync(folder).filter((file) => file.startsWith("x.onnx")),
    [],
  );
});

const zeros = (graph: Graph, name: string): number[] =>
  [...graph.weights.get(name)!.data].flatMap((v, i) => (Number(v) === 0 ? [i] : []));

gpuTest(
  command,
  "a pruned model is trained under its masks, which the file holds, with how it came about",
  async () => {
    const { graph } = await prune(buildNet("lenet300", { seed: 1 }), {
      method: "magnitude",
      granularity: "element",
      sparsity: 0.9,
    });
    await saveModel(graph, at("pruned.safetensors"));
    for (const name of ["tuned.safetensors", "tuned.onnx"]) {
      const out = ["-o", at(name), "--json", at(`${name}.json`)];
      const said = await run(at("pruned.safetensors"), ...small, "--epochs", "2", ...out);
      assert.match(said, /^epoch 1: loss .*\nepoch 2: loss .*, validation .*\nwrote .*best epoch \d of 2\n/);
      assert.match(said, /\n {2}gap +-?\d+\.\d\d points between training and test\n/);
      const tuned = await openModel(at(name));
      assert.equal([...tuned.masks.keys()].sort(), [...graph.masks.keys()].sort());
      for (const [weight, mask] of graph.masks) {
        sameTensor(tuned.masks.get(weight)!, mask, weight);
        assert.equal(zeros(tuned, weight), zeros(graph, weight), weight);
      }
      assert.is(tuned.metadata.get("secateur.record"), graph.metadata.get("secateur.record"));
      const manifest = JSON.parse(tuned.metadata.get("secateur.training")!);
      const report = json(`${name}.json`);
      assert.equal(report.manifest, manifest);
      assert.equal([manifest.seed, manifest.batch, manifest.epochs, manifest.masks], [3, 16, 2, "hold"]);
      assert.equal([manifest.data.images, manifest.validation.images], [108, 12]);
      // Weights that were trained before are trained gently.
      assert.is(manifest.rate, 0.01);
      assert.is(report.epochs.length, 2);
      for (const e of report.epochs)
        assert.ok(e.loss > 0 && e.top1 >= 0 && e.top1 <= 1 && e.seconds > 0 && e.validation.top1 >= 0);
      assert.is(report.best.top1, report.epochs[report.best.epoch - 1].validation.top1);
      assert.ok(report.test.top1 > 0 && report.test.loss > 0);
      assert.is(report.test.images, 2000);
      assert.is(report.gap, report.train.top1 - report.test.top1);
      assert.type(report.adapter, "string");
      assert.not.ok("graph" in report);
    }
    const [a, b] = [await openModel(at("tuned.safetensors")), await openModel(at("tuned.onnx"))];
    for (const [name, t] of a.weights) sameTensor(b.weights.get(name)!, t, name);
    assert.equal(
      readdirSync(folder).filter((file) => /checkpoint|tmp/.test(file)),
      [],
    );
  },
);

gpuTest(command, "distillation, Adam, zeros as masks, no validation and --quiet, all at once", async () => {
  const bare = { ...(await openModel(at("pruned.safetensors"))), masks: new Map() };
  await saveModel(bare, at("bare.safetensors"));
  const more =
    "--epochs 1 --validation 0 --optimizer adam --mask zeros --teacher lenet5 --temperature 2 --alpha 0.5";
  const out = ["--quiet", "-o", at("taught.safetensors"), "--json", at("taught.json")];
  const said = await run(at("bare.safetensors"), ...small, ...more.split(" "), ...out);
  assert.is(said, "");
  const taught = await openModel(at("taught.safetensors"));
  assert.equal(zeros(taught, "ip1.weight"), zeros(bare, "ip1.weight"));
  assert.ok(taught.masks.has("ip1.weight"));
  const { manifest, best, epochs } = json("taught.json");
  assert.equal(
    [manifest.teacher.name, manifest.teacher.temperature, manifest.teacher.alpha],
    ["lenet5", 2, 0.5],
  );
  assert.equal(
    [manifest.optimizer.kind, manifest.optimizer.nesterov, manifest.maskZeros],
    ["adam", false, true],
  );
  assert.ok(manifest.rate <= 0.001, `Adam at a rate of ${manifest.rate}`);
  assert.equal(best, { top1: epochs[0].top1, loss: epochs[0].loss, epoch: 1 });
});

gpuTest(command, "divergence fails in one line and leaves no model", async () => {
  const args = [...small, "--lr", "1e8", "--epochs", "2", "-o", at("away.onnx")];
  await fails(
    () => run("lenet300", ...args),
    "E_DIVERGED",
    /^training diverged in epoch 1, .*lower learning rate.*\.$/,
  );
  assert.not.ok(existsSync(at("away.onnx")));
});

gpuTest(command, "what was trained survives a report that cannot be written", async () => {
  const args = ["lenet300", ...small, "--epochs", "1", "-o", at("kept.safetensors")];
  mkdirSync(at("folder.json"));
  await fails(() => run(...args, "--json", at("folder.json")), "E_IO", /cannot write .*folder\.json/);
  const checkpoint = `${at("kept.safetensors")}.checkpoint`;
  assert.ok(existsSync(checkpoint));
  const before = readFileSync(at("kept.safetensors"));
  // Trained to the end already: only the report is made again.
  const said = await run(...args, "--json", at("kept.json"), "--resume");
  assert.not.match(said, /epoch 1: loss/);
  assert.equal(readFileSync(at("kept.safetensors")), before);
  assert.is(json("kept.json").epochs.length, 1);
  assert.not.ok(existsSync(checkpoint));
});

gpuTest(command, "checkpoints that cannot be gone on with are named", async () => {
  const args = ["lenet300", ...small, "--epochs", "1", "-o", at("next.safetensors")];
  const cases: readonly (readonly [string, ErrorCode, RegExp])[] = [
    [at("absent.checkpoint"), "E_IO", /there is no checkpoint .*absent\.checkpoint to resume from/],
    [folder, "E_IO", /is no regular file/],
    [put("text.checkpoint", "not a checkpoint"), "E_HEADER_SIZE", /text\.checkpoint: /],
    [at("tuned.safetensors"), "E_FORMAT", /tuned\.safetensors: .*no training checkpoint/],
  ];
  for (const [file, code, words] of cases) await fails(() => run(...args, "--resume", file), code, words);
  // An earlier checkpoint is not replaced in silence.
  put("next.safetensors.checkpoint", "of an earlier training");
  const said = await run(...args);
  assert.match(said, /^.*next\.safetensors\.checkpoint of an earlier training will be replaced; --resume/);
});

gpuTest(
  command,
  "a checkpoint that the system refuses to write ends in one line and leaves nothing behind",
  async () => {
    const name = "refused.safetensors";
    mkdirSync(at(`${name}.checkpoint`));
    put(`${name}.checkpoint/in-the-way`, "");
    const args = ["lenet300", ...small, "--epochs", "2", "-o", at(name)];
    await fails(() => run(...args), "E_IO", /^cannot write .*refused\.safetensors\.checkpoint: .*\.$/);
    await fails(() => run(...args, "--resume"), "E_IO", /checkpoint is no regular file/);
    assert.equal(
      readdirSync(folder).filter((file) => file.startsWith("refused")),
      [`${name}.checkpoint`],
    );
  },
);

gpuTest(command, "a model's own name is no path to write to", async () => {
  const graph = { ...buildNet("lenet300", { seed: 1 }), name: "../../up/../name" };
  await saveModel(graph, at("named.onnx"));
  const here = process.cwd();
  process.chdir(folder);
  try {
    await run(at("named.onnx"), ...small, "--epochs", "1");
  } finally {
    process.chdir(here);
  }
  const made = readdirSync(folder).filter((file) => file.endsWith(".trained.safetensors"));
  assert.is(made.length, 1, String(made));
});

command.run();
