import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AdapterFacts } from "../../src/gpu/adapter.ts";
import { geometricMean, spread } from "../../src/plan/stats.ts";
import { environment, environmentLine, globalHost } from "../../src/report/environment.ts";
import { bytes, count, percent } from "../../src/report/format.ts";
import { nodeHost } from "../../src/report/host.ts";
import { markdownTable, textTable } from "../../src/report/table.ts";
import { version } from "../../src/version.ts";
import { fails } from "../support/error.ts";

const report = suite("report");

report(
  "a spread is the median and the 10th and 90th percentile, linear between ranks, whatever the order",
  async () => {
    // Rank of a percentile q among n values: q (n - 1), from 0.
    assert.equal(spread([5, 1, 4, 2, 3]), { median: 3, p10: 1.4, p90: 4.6, samples: 5 });
    const hundred = Array.from({ length: 101 }, (_, i) => (i * 37) % 101);
    assert.equal(spread(hundred), { median: 50, p10: 10, p90: 90, samples: 101 });
    assert.equal(spread([7]), { median: 7, p10: 7, p90: 7, samples: 1 });
    assert.is(spread([1, 2, 3, 10]).median, 2.5);
    const given = [3, 1, 2];
    spread(given);
    assert.equal(given, [3, 1, 2]);
    await fails(() => spread([]), "E_INPUT");
  },
);

report("ratios are averaged geometrically", async () => {
  assert.ok(Math.abs(geometricMean([2, 8]) - 4) < 1e-12);
  assert.ok(Math.abs(geometricMean([0.5, 2]) - 1) < 1e-12);
  await fails(() => geometricMean([]), "E_INPUT");
});

report("numbers as people read them", () => {
  assert.is(count(853_018), "853,018");
  assert.is(count(0), "0");
  assert.is(percent(0.915), "91.5 %");
  assert.is(percent(1), "100.0 %");
  assert.is(bytes(0), "0 B");
  assert.is(bytes(1023), "1023 B");
  assert.is(bytes(1024), "1.0 KiB");
  assert.is(bytes(3.3 * 2 ** 20), "3.3 MiB");
  assert.is(bytes(5 * 2 ** 40), "5120.0 GiB");
});

report("a text table: names to the left, numbers to the right, a rule below the head", () => {
  const lines = textTable(
    ["layer", "MACs"],
    [
      ["conv1", "1,000"],
      ["a longer name", "-"],
    ],
  ).split("\n");
  assert.equal(lines, [
    "layer           MACs",
    "--------------------",
    "conv1          1,000",
    "a longer name      -",
  ]);
  assert.equal(textTable(["only", "head"], []).split("\n"), ["only  head", "----------"]);
});

report("a Markdown table escapes what would end a cell", () => {
  assert.equal(markdownTable(["name", "n"], [["a|b", "1"]]).split("\n"), [
    "| name | n |",
    "|---|---:|",
    "| a\\|b | 1 |",
  ]);
});

report("names from a model cannot steer the terminal or break the line", () => {
  for (const make of [textTable, markdownTable]) {
    const text = make(["layer", "n"], [["\u001b[2Jconv\n1\r\u009b\u2028", "1"]]);
    assert.is(text.split("\n").length, 3);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must be gone
    assert.not.match(text.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f\u2028]/);
    assert.match(text, "conv");
  }
});

const facts = (software: boolean): AdapterFacts => ({
  vendor: "some vendor",
  architecture: "",
  device: "",
  description: "some adapter",
  software,
  features: [],
  limits: {},
  texels: false,
  key: "some-adapter-0",
});

report("the environment names adapter, runtime, platform, version and date, and no machine", async () => {
  const { hostname, userInfo } = await import("node:os");
  for (const e of [environment(facts(false)), environment(facts(false), nodeHost())]) {
    assert.is(e.adapter, "some adapter");
    assert.is(e.runtime, `Node ${process.version}`);
    assert.ok(e.platform.startsWith(`${process.platform} `) && e.platform.endsWith(` ${process.arch}`));
    assert.is(e.secateur, version);
    assert.ok(Math.abs(Date.parse(e.date) - Date.now()) < 60_000);
    for (const secret of [process.cwd(), userInfo().homedir]) assert.not.match(JSON.stringify(e), secret);
    if (hostname().length > 5) assert.not.match(JSON.stringify(e), hostname());
  }
});

report("in Node the processor is told; a browser tells what it knows, and nothing is made up", async () => {
  const { availableParallelism, cpus, release } = await import("node:os");
  const host = nodeHost();
  assert.is(host.cores, availableParallelism());
  assert.is(host.cpu !== undefined, ![undefined, "", "unknown"].includes(cpus()[0]?.model.trim()));
  assert.match(host.platform, release().split(/[^\d.]/)[0]!);
  const line = environmentLine(environment(facts(true), { ...host, cpu: "some processor", cores: 1 }));
  assert.match(line, "; some processor (1 thread); Node ");
  const browser = globalHost({ navigator: { userAgent: "some browser", hardwareConcurrency: 6 } });
  assert.equal(browser, { runtime: "some browser", platform: "browser", cores: 6 });
  assert.equal(globalHost({}), { runtime: "unknown", platform: "browser" });
  assert.not.match(environmentLine(environment(facts(true), globalHost({}))), /thread|undefined/);
});

report("a software adapter's line says that its milliseconds do not count", () => {
  assert.match(environmentLine(environment(facts(true))), /software adapter.*milliseconds do not/);
  const hardware = environmentLine(environment(facts(false)));
  assert.match(hardware, /some adapter \(hardware\)/);
  assert.not.match(hardware, "software");
});

report.run();
