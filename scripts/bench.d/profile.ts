/** Reads a CPU profile in V8's format and lists the functions by their own time. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Hot {
  readonly where: string;
  readonly milliseconds: number;
  readonly share: number;
}

/** The hottest functions of the newest profile in a folder. */
export function hottest(folder: string, top: number): Hot[] {
  const file = readdirSync(folder)
    .filter((name) => name.endsWith(".cpuprofile"))
    .sort()
    .at(-1);
  if (!file) throw new Error(`No CPU profile was written to ${folder}.`);
  const profile = JSON.parse(readFileSync(join(folder, file), "utf8")) as Profile;
  const where = new Map(
    profile.nodes.map(({ id, callFrame }) => [
      id,
      `${callFrame.functionName || "(anonymous)"} ${basename(callFrame.url)}:${callFrame.lineNumber + 1}`,
    ]),
  );
  const spent = new Map<string, number>();
  let total = 0;
  profile.samples.forEach((id, index) => {
    const microseconds = Math.max(0, profile.timeDeltas[index] ?? 0);
    const name = where.get(id) ?? "?";
    spent.set(name, (spent.get(name) ?? 0) + microseconds);
    total += microseconds;
  });
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .slice(0, top)
    .map(([name, microseconds]) => ({
      where: name,
      milliseconds: microseconds / 1000,
      share: microseconds / total,
    }));
}
