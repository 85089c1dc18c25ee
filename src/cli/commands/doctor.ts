import { Command } from "commander";
import { SecateurError } from "../../errors.ts";
import { examine } from "../../gpu/doctor.ts";
import { ensureDriver } from "../../gpu/driver/ensure.ts";
import { tuningSize } from "../../plan/tuning-folder.ts";
import { bytes } from "../../report/format.ts";
import { addCommonOptions, type CommonOptions, print, tuningFolderOf, writeJson } from "../context.ts";

interface Options extends CommonOptions {
  readonly fix?: boolean;
}

export function doctorCommand(): Command {
  return addCommonOptions(new Command("doctor"))
    .description("looks for a GPU, says what it offers and checks that it computes right")
    .option(
      "--fix",
      "get a software driver where there is no GPU (Mesa lavapipe through apt, else SwiftShader)",
    )
    .action(async (options: Options) => {
      if (options.fix) await ensureDriver((line) => print(options, line));
      const report = await examine({ adapter: options.adapter });
      const folder = tuningFolderOf(options);
      const tuning = folder === undefined ? undefined : { folder, ...(await tuningSize(folder)) };
      const kept =
        tuning === undefined
          ? "off"
          : `${tuning.folder} (${tuning.files} ${tuning.files === 1 ? "file" : "files"}, ${bytes(tuning.bytes)})`;
      const text = `${report.text}\n${"tuning cache".padEnd(15)} ${kept}`;
      writeJson(options, { ...report, text, tuning: tuning ?? null });
      print(options, text);
      if (!report.ok)
        throw new SecateurError("E_NO_ADAPTER", report.problem ?? "no working adapter was found.");
    });
}
