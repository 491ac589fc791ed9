/**
 * Runs every script of test/promql, and those of Prometheus itself if they are beside the repository. Cases
 * that cannot pass are in exceptions.ts, each with its reason, and must fail: no exception is unnecessary.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXCEPTIONS } from "./exceptions.ts";
import { runCase } from "./runner.ts";
import { readScript } from "./script.ts";

const OWN = join(import.meta.dir, "../../promql");
const SHARED = join(import.meta.dir, "../../../../shared/promqltest");

function scriptsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".test"))
    .sort();
}

function runFolder(folder: string): void {
  for (const name of scriptsIn(folder)) {
    const exceptions = folder === SHARED ? (EXCEPTIONS[name] ?? {}) : {};
    describe(name, () => {
      for (const each of readScript(readFileSync(join(folder, name), "utf8"))) {
        const reason = exceptions[each.line];
        const title = `line ${each.line}: ${each.text.slice(0, 80)}`;
        if (reason === undefined) test(title, () => runCase(each));
        else test(`${title} (${reason})`, () => expect(runCase(each)).rejects.toThrow());
      }
    });
  }
}

describe("our own scripts", () => runFolder(OWN));

if (existsSync(SHARED)) describe("Prometheus's scripts", () => runFolder(SHARED));
else test.skip("Prometheus's scripts: ../shared/promqltest is not there, so they are not run", () => {});
