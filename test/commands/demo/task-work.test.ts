/** The work of simulated workers: it repeats with its seed, and its steps are those of a real worker. */
import { expect, test } from "bun:test";
import { SeededRandom } from "../../../src/commands/demo/seeded-random.ts";
import { type WorkStep, workFrom } from "../../../src/commands/demo/task-work.ts";

const FROM = 1_700_000_000_000;

function workOf(seed: number, count: number, isLimited?: (atMs: number) => boolean): WorkStep[] {
  return workFrom(new SeededRandom(seed), FROM, isLimited).take(count).toArray();
}

test("a seed repeats its work, and another seed has other work", () => {
  expect(workOf(5, 500)).toEqual(workOf(5, 500));
  expect(workOf(6, 500)).not.toEqual(workOf(5, 500));
});

test("steps are in order of time, and a request begins after the step before it", () => {
  const steps = workOf(2, 5_000);
  for (const [at, step] of steps.entries()) {
    const beforeMs = steps[at - 1]?.atMs ?? FROM;
    expect(step.atMs).toBeGreaterThanOrEqual(beforeMs);
    if (step.kind === "request") expect(step.atMs - step.durationMs).toBeGreaterThan(beforeMs - 0.01);
  }
});

test("a task has the steps of a worker, and lasts from its request to its last upload", () => {
  const tasks = Map.groupBy(workOf(3, 20_000), ({ taskId = "none" }) => taskId);
  // The last one is not complete.
  const complete = [...tasks].filter(([id]) => id !== "none").slice(0, -1);
  expect(complete.length).toBeGreaterThan(2_000);
  for (const [id, steps] of complete) {
    expect(id).toMatch(/^\d{10}_[0-9a-z]{6}$/);
    const kinds = steps.map((step) => (step.kind === "request" ? step.operation : step.kind)).join(" ");
    expect(kinds).toMatch(/^get_task target_request (upload_file )?upload( upload_result)+ task$/);
    const upload = steps.find((step) => step.kind === "upload")!;
    expect(kinds.includes("upload_file")).toBe(upload.bytes > 512);
    const task = steps.at(-1)!;
    const [poll, target] = steps;
    if (task.kind !== "task" || target!.kind !== "request") throw new Error(`unexpected steps ${kinds}`);
    expect(task.status).toBe(target!.status);
    expect(task.durationMs).toBeCloseTo(task.atMs - poll!.atMs, 1);
  }
});

test("errors are as frequent as they are meant to be, and more frequent while a target limits the rate", () => {
  const share = (
    steps: readonly WorkStep[],
    is: (step: WorkStep) => boolean,
    of: (step: WorkStep) => boolean,
  ) => steps.filter((step) => of(step) && is(step)).length / steps.filter(of).length;
  const isResult = (step: WorkStep) => step.kind === "request" && step.operation === "upload_result";
  const isGit = (step: WorkStep) => step.kind === "task" && step.url.includes("//git.");
  const isLimited = (step: WorkStep) => step.kind !== "upload" && step.status === 429;
  const usual = workOf(4, 50_000);
  expect(share(usual, isLimited, isResult)).toBeCloseTo(0.02, 2);
  expect(share(usual, isLimited, isGit)).toBeCloseTo(0.03, 1);
  expect(
    share(
      workOf(4, 50_000, () => true),
      isLimited,
      isGit,
    ),
  ).toBeCloseTo(0.5, 1);
});
