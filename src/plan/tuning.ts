import * as v from "valibot";
import { printable } from "../errors.ts";
import type { AdapterFacts } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { fingerprint } from "./tuning-key.ts";

/**
 * Where measurements outlive the process: texts under names that are safe as file names. In Node a folder; in a browser what
 * the caller makes of `localStorage` or the like. What goes wrong in it is told as a warning and costs only time.
 */
export interface TuningStore {
  /** The text under a name, undefined where there is none. */
  read(name: string): Promise<string | undefined>;
  /** Replaces the text under a name, whole or not at all. */
  write(name: string, text: string): Promise<void>;
  /** The machine, where its processor is what computes. */
  readonly host?: string;
  /** `console.warn` unless given. */
  warn?(message: string): void;
}

/** What a race said of one contender; no milliseconds where its result was wrong. */
export interface Timed {
  readonly format: string;
  readonly kernel: string;
  readonly ms?: number;
  readonly p10?: number;
  readonly p90?: number;
  readonly samples?: number;
}

/** Measurements on one adapter, by `raceKey`. */
export interface Tuning {
  get(key: string): readonly Timed[] | undefined;
  put(key: string, candidates: readonly Timed[]): void;
  /** Writes what is new to the store, keeping what others have put there meanwhile. Never throws. */
  flush(): Promise<void>;
}

export interface Entry {
  /** Seconds since 1970. */
  readonly at: number;
  readonly candidates: readonly Timed[];
}

export type Entries = ReadonlyMap<string, Entry>;

/** Most characters of a store's text; the oldest measurements go. */
export const mostCharacters = 4 * 2 ** 20;

const positive = v.pipe(v.number(), v.finite(), v.minValue(0));
const schema = v.object({
  kind: v.literal("secateur tuning"),
  version: v.literal(1),
  adapter: v.string(),
  entries: v.record(
    v.string(),
    v.object({
      at: positive,
      candidates: v.array(
        v.object({
          format: v.string(),
          kernel: v.string(),
          ms: v.optional(positive),
          p10: v.optional(positive),
          p90: v.optional(positive),
          samples: v.optional(positive),
        }),
      ),
    }),
  ),
});

/** The adapter in its own words: a file whose name fits may still be another's. */
const identity = ({ vendor, architecture, device, description }: AdapterFacts): string =>
  [vendor, architecture, device, description].join(" | ");

/** Reads a store's text. What does not fit is no measurement: then there are no entries, and `problem` says why. */
export function parseTuning(
  text: string,
  adapter: AdapterFacts,
): { readonly entries: Entries; readonly problem?: string } {
  const none = (problem: string) => ({ entries: new Map<string, Entry>(), problem });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return none("it is not JSON");
  }
  const result = v.safeParse(schema, json);
  if (!result.success) {
    const issue = result.issues[0];
    return none(`${printable(issue.message)} at ${printable(v.getDotPath(issue) ?? "its top")}`);
  }
  const { adapter: made, entries } = result.output;
  if (made !== identity(adapter)) return none(`it belongs to another adapter, ${printable(made)}`);
  return { entries: new Map(Object.entries(entries)) };
}

/** Both together; of two measurements of the same the later one. */
export function mergeTuning(a: Entries, b: Entries): Map<string, Entry> {
  const merged = new Map(a);
  for (const [key, entry] of b) {
    const known = merged.get(key);
    if (!known || known.at <= entry.at) merged.set(key, entry);
  }
  return merged;
}

/** A store's text: the latest entries that fit into `most` characters, in order of their keys. */
export function formatTuning(entries: Entries, adapter: AdapterFacts, most = mostCharacters): string {
  const head = `{"kind":"secateur tuning","version":1,"adapter":${JSON.stringify(identity(adapter))},"entries":{`;
  const foot = "\n}}\n";
  let left = most - head.length - foot.length;
  const lines: string[] = [];
  const latest = [...entries].sort(([a, { at: x }], [b, { at: y }]) => y - x || (a < b ? -1 : 1));
  for (const [key, entry] of latest) {
    const line = `\n${JSON.stringify(key)}:${JSON.stringify(entry)}`;
    left -= line.length + 1;
    if (left < 0) break;
    lines.push(line);
  }
  return head + lines.sort().join(",") + foot;
}

/** Reads what a store knows of an adapter. Without a store, what is measured is known until the process ends. */
export async function openTuning(adapter: AdapterFacts, store?: TuningStore): Promise<Tuning> {
  const print = fingerprint(adapter, store?.host);
  const told = new Set<string>();
  const warn = (message: string): void => {
    if (told.has(message)) return;
    told.add(message);
    if (store?.warn) store.warn(message);
    else console.warn(message);
  };
  const read = async (): Promise<Entries> => {
    try {
      const text = await store?.read(adapter.key);
      if (text === undefined) return new Map();
      const { entries, problem } = parseTuning(text, adapter);
      if (problem)
        warn(`the tuning cache of ${adapter.key} is not used: ${problem}. It will be written anew.`);
      return entries;
    } catch (error) {
      warn(`the tuning cache of ${adapter.key} is not used: ${messageOf(error)}`);
      return new Map();
    }
  };
  let entries = new Map(await read());
  let dirty = false;
  let writing = Promise.resolve();
  const write = async (): Promise<void> => {
    if (!dirty || !store) return;
    dirty = false;
    entries = mergeTuning(await read(), entries);
    try {
      await store.write(adapter.key, formatTuning(entries, adapter));
    } catch (error) {
      warn(`the tuning cache of ${adapter.key} could not be written: ${messageOf(error)}`);
    }
  };
  return {
    get: (key) => entries.get(`${print} ${key}`)?.candidates,
    put(key, candidates) {
      entries.set(`${print} ${key}`, { at: Math.floor(Date.now() / 1000), candidates });
      dirty = true;
    },
    flush() {
      writing = writing.then(write);
      return writing;
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const stores = new WeakMap<Gpu, TuningStore>();
const opened = new WeakMap<Gpu, Map<TuningStore | undefined, Promise<Tuning>>>();

/** Where the measurements on a device are kept unless a compile says otherwise. */
export function keepTuning(gpu: Gpu, store: TuningStore): void {
  stores.set(gpu, store);
}

/** The measurements on a device, read once: sessions on it share them. */
export function tuningOf(gpu: Gpu, given?: TuningStore): Promise<Tuning> {
  const store = given ?? stores.get(gpu);
  const known = opened.get(gpu) ?? new Map<TuningStore | undefined, Promise<Tuning>>();
  opened.set(gpu, known);
  let tuning = known.get(store);
  if (!tuning) {
    tuning = openTuning(gpu.adapter, store);
    known.set(store, tuning);
  }
  return tuning;
}
