/** The settings `slo` and `expect`: what is read from tables, and what is said of wrong ones. */
import { describe, expect, test } from "bun:test";
import { formatSetting, loadConfig } from "../../src/config/config.ts";

const load = (toml: string) => loadConfig(["--config=/weir.toml"], {}, () => toml);
const SLO = 'name = "tasks"\nobjective = 99.5\ngood = "a"\ntotal = "b"\n';
const DAY_MS = 86_400_000;

test("a service level has a window of 30 days by default", () => {
  const { slo } = load(
    `[[slo]]\n${SLO}\n[[slo]]\n${SLO.replace("tasks", "b")}window = "7d"\nlabels = {team = "x"}`,
  );
  expect(slo).toEqual([
    { name: "tasks", objectivePercent: 99.5, windowMs: 30 * DAY_MS, good: "a", total: "b", labels: {} },
    { name: "b", objectivePercent: 99.5, windowMs: 7 * DAY_MS, good: "a", total: "b", labels: { team: "x" } },
  ]);
  expect(formatSetting(load(`[[slo]]\n${SLO}`), "slo")).toBe("tasks=99.5%/30d");
});

test("an expectation has a job, or learns", () => {
  const config = load('[[expect]]\njob = "backup"\nevery = "24h"\n[[expect]]\nevery = "10m"\nlearn = true');
  expect(config.expect).toEqual([
    { job: "backup", instance: undefined, everyMs: DAY_MS, learn: false, labels: {} },
    { job: undefined, instance: undefined, everyMs: 600_000, learn: true, labels: {} },
  ]);
  expect(formatSetting(config, "expect")).toBe("backup=1d *=10m");
});

describe("says what is wrong:", () => {
  const wrong = (toml: string, message: string) =>
    test(message, () => expect(() => load(toml)).toThrow(message));
  wrong('[[slo]]\nobjective = 99\ngood = "a"\ntotal = "b"', "(number 1) is missing");
  wrong(`[[slo]]\n${SLO.replace("99.5", "100")}`, "objective of");
  wrong(`[[slo]]\n${SLO.replace("99.5", '"99.5%"')}`, 'is "99.5%", expected a number');
  wrong(`[[slo]]\n${SLO}windw = "7d"`, "did you mean window?");
  wrong(`[[slo]]\n${SLO}window = "1m"`, "expected a duration from 1h to 366d");
  wrong(`[[slo]]\n${SLO}[[slo]]\n${SLO}`, 'has two tables with the name "tasks", expected one.');
  wrong(`[[slo]]\n${SLO}labels = {"a-b" = "c"}`, 'has "a-b", expected the name of a label');
  wrong('[[expect]]\njob = "a"', "is missing, expected a duration such as 24h");
  wrong(
    '[[expect]]\nevery = "1h"',
    "is missing, expected a job, or learn = true for each job that has pushed",
  );
  wrong("slo = 1", "is 1, expected tables [[slo]] in weir.toml.");
});
