/** The runs of a benchmark in a file of lines, one per run, so that what was measured is kept when the rest fails. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Run } from "./figures.ts";

export interface KeptRuns {
  get(case_: string, server: string, round: number): Run | undefined;
  put(case_: string, server: string, round: number, run: Run): void;
}

/**
 * Opens the file.
 *
 * @param about what the runs are of, as text: runs of something else cannot be continued
 * @param resume if false, earlier runs are dropped
 * @throws Error if the file has runs of something else
 */
export function openKeptRuns(path: string, about: string, resume: boolean): KeptRuns {
  const known = new Map<string, Run>();
  const keyOf = (...parts: readonly (string | number)[]) => JSON.stringify(parts);
  if (resume && existsSync(path)) {
    const [first, ...lines] = readFileSync(path, "utf8").split("\n");
    const of = (JSON.parse(first!) as { about: string }).about;
    if (of !== about)
      throw new Error(`the runs in ${path} are of ${of}, not of ${about}: run again without --resume`);
    // The last line of a benchmark that was killed may be incomplete.
    const whole = lines.filter((line) => line.endsWith("}}"));
    writeFileSync(path, [first, ...whole, ""].join("\n"));
    for (const line of whole) {
      const { case: case_, server, round, run } = JSON.parse(line) as Line;
      known.set(keyOf(case_, server, round), run);
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify({ about })}\n`);
  }
  return {
    get: (case_, server, round) => known.get(keyOf(case_, server, round)),
    put(case_, server, round, run) {
      const line: Line = { case: case_, server, round, run };
      appendFileSync(path, `${JSON.stringify(line)}\n`);
    },
  };
}

interface Line {
  readonly case: string;
  readonly server: string;
  readonly round: number;
  readonly run: Run;
}
