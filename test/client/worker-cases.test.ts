/** The rules of workers' tags in TypeScript, from the table that both clients share. */
import { describe, expect, test } from "bun:test";
import type { SampleTags } from "../../src/client/index.ts";
import {
  createWorkerMetrics,
  type WorkerRequest,
  type WorkerTaskFacts,
  type WorkerUpload,
} from "../../src/client/worker/worker.ts";
import cases from "./worker-cases.json";

describe("the metrics of workers in TypeScript", () => {
  let tags: SampleTags = {};
  const ignore = () => undefined;
  const metrics = createWorkerMetrics({
    observe: (_name, _value, given = {}) => {
      tags = given;
    },
    increment: ignore,
    set: ignore,
  });
  const check = (
    record: (facts: Readonly<Record<string, unknown>>) => void,
    groups: Readonly<Record<string, unknown>>,
    common: Readonly<Record<string, unknown>>,
  ) => {
    for (const [title, group] of Object.entries(groups))
      test(title, () => {
        for (const [facts, want] of group as [Record<string, unknown>, Record<string, string | null>][]) {
          record({ ...common, ...facts });
          const got = Object.fromEntries(Object.keys(want).map((tag) => [tag, tags[tag] ?? null]));
          expect({ facts, ...got }).toEqual({ facts, ...want });
        }
      });
  };
  check((facts) => metrics.recordRequest(facts as unknown as WorkerRequest), cases.requests, cases.request);
  check((facts) => metrics.recordTask(facts as unknown as WorkerTaskFacts), cases.tasks, {});
  check((facts) => metrics.recordUpload(facts as unknown as WorkerUpload), cases.uploads, {});
});
