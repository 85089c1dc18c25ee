// Preloaded into a process whose disk is to be full: a file may not grow beyond SECATEUR_TEST_DISK bytes. What fits is
// written first, as a real disk does.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const room = Number(process.env.SECATEUR_TEST_DISK);
const { writeFileSync } = fs;

fs.writeFileSync = (file, data, options) => {
  if (data.length <= room) return writeFileSync(file, data, options);
  writeFileSync(file, data.slice(0, room), options);
  throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
};
syncBuiltinESMExports();
