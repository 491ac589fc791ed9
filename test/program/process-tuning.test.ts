/** The variables of the process: each way to start the gateway sets the same. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROCESS_TUNING } from "../../src/program/process-tuning.ts";

const ROOT = join(import.meta.dir, "../..");

/** The defaults `NAME=${NAME:-VALUE}` of a script, and the names that it exports. */
function variablesOf(script: string) {
  const text = readFileSync(join(ROOT, script), "utf8");
  const values = Object.fromEntries(
    [...text.matchAll(/^ *([A-Za-z_]+)=\$\{\1:-(.*)\}$/gm)].map(([, name, value]) => [name, value]),
  );
  const exported = [...text.matchAll(/^ *export (.*)$/gm)].flatMap(([, names]) => names!.split(" "));
  return { values, exported: exported.sort() };
}

for (const script of ["scripts/bun.sh", "scripts/build.d/npm-launcher"]) {
  test(`${script} sets what the one file sets`, () => {
    expect(variablesOf(script)).toEqual({
      values: PROCESS_TUNING,
      exported: Object.keys(PROCESS_TUNING).sort(),
    });
  });
}
