import { existsSync, readFileSync } from "node:fs";
import { FileError } from "../src/errors.ts";
import type { Graph } from "../src/graph/graph.ts";
import { writeFileWhole } from "../src/io/files.ts";
import { graphHash } from "../src/prune/hash.ts";

/** Rows of a table that takes hours, kept in a file as they come: a run that was stopped goes on where it was. */
export interface KeptRows<R extends Identified> {
  readonly rows: readonly R[];
  /** The row measured before under the same settings. */
  find(id: string): R | undefined;
  /** Takes the place of a row of the same id, and writes the file whole. */
  add(row: R): Promise<void>;
  /** Writes the file with more beside the rows; what lay there before stays unless it is replaced. */
  write(more: object): Promise<void>;
}

export interface Identified {
  /** Everything that decides what the row says. */
  readonly id: string;
}

/** A net in a row's id: by its name, for people, and by what it holds, so that another net of that name is not taken for it. */
export const netId = async (graph: Graph): Promise<string> =>
  `${graph.name} ${(await graphHash(graph)).slice(0, 8)}`;

/** Rows of an earlier run are read from `file`, where there is one; without a file they are kept in memory only. */
export function keptRows<R extends Identified>(file: string | undefined): KeptRows<R> {
  const { rows, ...before } = file !== undefined && existsSync(file) ? read<R>(file) : { rows: [] };
  let beside: object = before;
  const write = async (): Promise<void> => {
    if (file !== undefined)
      await writeFileWhole(file, `${JSON.stringify({ ...beside, rows }, undefined, 2)}\n`);
  };
  return {
    rows,
    find: (id) => rows.find((r) => r.id === id),
    async add(row) {
      const at = rows.findIndex((r) => r.id === row.id);
      if (at < 0) rows.push(row);
      else rows[at] = row;
      await write();
    },
    async write(more) {
      beside = { ...beside, ...more };
      await write();
    },
  };
}

function read<R extends Identified>(file: string): { readonly rows: R[] } {
  let found: { readonly rows?: unknown };
  try {
    found = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new FileError("E_FORMAT", `${file} is no JSON: ${(error as Error).message}. Give another --json.`);
  }
  const rows = found?.rows;
  if (Array.isArray(rows) && rows.every((r) => typeof r?.id === "string")) return { ...found, rows };
  throw new FileError("E_FORMAT", `${file} holds no rows of this table. Give another --json.`);
}
