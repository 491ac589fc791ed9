/** Labels that a token adds: which samples of a batch conflict, as labels and as attributes. */
import { expect, test } from "bun:test";
import { BoundLabels } from "../../../src/ingest/admission/bound-labels.ts";
import { createCounters } from "../../../src/model/counters.ts";
import { PLAIN_TERMS } from "../../../src/model/protocol.ts";
import type { Batch } from "../../../src/model/sample.ts";
import { batchOf } from "../../gateway.ts";

const bound = new Map([["job", "ci"]]);
const labels = new BoundLabels(createCounters());
const apply = (batch: Batch) => labels.apply(batch, { boundLabels: bound }, PLAIN_TERMS);

test("a batch without a conflict stays the same object, and so do its labels", () => {
  const batch = batchOf([{ metric: "a" }, { metric: "a", labels: { job: "ci" } }]);
  const first = apply(batch);
  expect(first.batch).toBe(batch);
  expect(first.options.extraLabels).toEqual(bound);
  expect(apply(batch).options.extraLabels).toBe(first.options.extraLabels!);
  const asked = { boundLabels: bound, extraLabels: new Map([["team", "a"]]) };
  const merged = labels.apply(batch, asked, PLAIN_TERMS).options.extraLabels!;
  expect([...merged]).toEqual([
    ["team", "a"],
    ["job", "ci"],
  ]);
  expect(labels.apply(batch, asked, PLAIN_TERMS).options.extraLabels).toBe(merged);
});

test("samples with another value of a label are rejected, with their exemplars", () => {
  const batch = batchOf([
    { metric: "a", value: 1, labels: { job: "other" } },
    { metric: "a", value: 2 },
    { metric: "b", value: 3, labels: { job: "" } },
  ]);
  const exemplar = { timestampUs: 0, value: 1, labels: new Map() };
  const { batch: rest } = apply({ ...batch, exemplars: [0, 1].map((head) => ({ ...exemplar, head })) });
  expect([...rest.value]).toEqual([2]);
  expect(rest.heads.map(({ metric }) => metric)).toEqual(["a"]);
  expect(rest.exemplars?.map(({ head }) => head)).toEqual([0]);
  expect(rest.rejected).toEqual([
    {
      index: 0,
      cause: "token",
      reason: 'label job is "other", but the token has the label job="ci"',
      payload: expect.stringContaining("a"),
    },
    {
      index: 2,
      cause: "token",
      reason: 'label job is "", but the token has the label job="ci"',
      payload: expect.stringContaining("b"),
    },
  ]);
});

test("samples with another value of an attribute are rejected", () => {
  const batch = batchOf([{ metric: "a" }, { metric: "a" }, { metric: "a" }]);
  const text = Buffer.from("otherci");
  const job = { name: "job", offset: Uint32Array.of(0, 5, 0), length: Uint32Array.of(5, 2, 0) };
  const { batch: rest } = apply({ ...batch, attributes: [job], text });
  expect([...rest.position]).toEqual([1, 2]);
  expect(rest.rejected.map(({ index, reason }) => [index, reason])).toEqual([
    [0, 'label job is "other", but the token has the label job="ci"'],
  ]);
});
