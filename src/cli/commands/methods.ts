import { Command } from "commander";
import { allocations } from "../../prune/allocations/index.ts";
import { publishedLists } from "../../prune/allocations/published.ts";
import type { Method } from "../../prune/methods/method.ts";
import { publishedRates } from "../../prune/published.ts";
import { allMethods, recipes } from "../../recipes/index.ts";
import type { Recipe } from "../../recipes/recipe.ts";
import { textTable } from "../../report/table.ts";
import { addCommonOptions, type CommonOptions, print, writeJson } from "../context.ts";

const help = `
KIND      baseline   blind to the model: what every method has to beat
          weights    looks at the weights alone
          data       looks at what the GPU gathers first: give --data (synflow needs none)
          training   trains and prunes in one: give --data and --retrain EPOCHS

Published rates of filters: hrank is Lin et al. 2020 (arXiv 2002.10179), hrankplus their improved code; each is named by the net and
by the MACs that its authors print, in their own convention (secateur inspect --count).

All of them: secateur prune MODEL --method NAME --sparsity S [--data DATA] [--retrain EPOCHS] -o OUT`;

/** What a method needs to be given, beside the model. */
export const needsOf = (m: Method | Recipe): readonly string[] =>
  "needs" in m ? m.needs : m.kind === "training" ? ["training data"] : [];

export function methodsCommand(): Command {
  return addCommonOptions(new Command("methods"))
    .description("what there is to prune with: methods, allocations, published lists")
    .addHelpText("after", help)
    .action((options: CommonOptions) => {
      const all = allMethods();
      writeJson(
        options,
        all.map((m) => ({
          name: m.name,
          kind: m.kind,
          granularity: m.granularities,
          reference: m.reference,
          needs: needsOf(m as Method | Recipe),
          ...("settings" in m && { settings: m.settings }),
        })),
      );
      const rows = all.map((m) => [m.name, m.kind, m.granularities.join(" "), m.reference]);
      print(options, textTable(["method", "kind", "granularity", "reference"], rows));
      const settings = recipes.flatMap((r) =>
        Object.entries(r.settings).map(([name, s]) => [r.name, `${name}=${s.default}`, s.what]),
      );
      print(options, textTable(["method", "--set", "meaning (the default is shown)"], settings));
      print(
        options,
        textTable(
          ["--allocation", "reference"],
          allocations.map((a) => [a.name, a.reference]),
        ),
      );
      print(
        options,
        textTable(
          ["--sparsity", "for", "reference"],
          publishedLists.map((p) => [`published:${p.name}`, Object.keys(p.nets).join(" "), p.reference]),
        ),
      );
      print(
        options,
        textTable(
          ["--sparsity, of filters", "for", "printed MACs", "printed parameters"],
          publishedRates.map((p) => [`published:${p.name}`, p.arch, ...p.printed]),
        ),
      );
    });
}
