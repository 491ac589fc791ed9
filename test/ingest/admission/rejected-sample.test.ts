/** The text of a rejected sample has everything that its decoder knew. */
import { expect, test } from "bun:test";
import type { Batch, Labels } from "../../../src/model/sample.ts";
import { rejectedSampleText, replayBatches } from "../../../src/ingest/admission/rejected-sample.ts";
import { BatchBuilder } from "../../../src/wire/batch-builder.ts";

const NO_LABELS: Labels = new Map();
const CONTEXT = { extra: NO_LABELS, historical: false };

function textsOf(batch: Batch): { id: number; text: string }[] {
  return Array.from({ length: batch.length }, (_, index) => ({
    id: 100 + index,
    text: rejectedSampleText(batch, index, CONTEXT),
  }));
}

/** Values that JSON cannot represent, a stale marker, times of single microseconds, and attributes of some samples. */
function batch(): Batch {
  const builder = new BatchBuilder("remote_write");
  const level = builder.addHead({
    metric: "level",
    kind: "gauge",
    labels: new Map([["a", "ü\n"]]),
    help: "h",
  });
  const spans = builder.addHead({
    metric: "spans",
    kind: "observation",
    labels: NO_LABELS,
    unit: "ms",
    exposed: false,
    keepsBoundText: true,
  });
  const us = 1_727_179_200_000_001;
  for (const value of [-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1 + 0.2])
    builder.add(level, us, value, builder.length);
  builder.add(level, us, Number.NaN, builder.length);
  builder.markStale();
  const task = Buffer.from("täsk");
  builder.setAttribute(builder.attribute("task_id"), task, 0, task.length);
  builder.add(spans, us + 1, 5e-324, builder.length);
  return builder.take();
}

test("a batch of texts equals the batch that they were made of", () => {
  const sent = batch();
  const [made, ...others] = replayBatches("remote_write", textsOf(sent));
  expect(others).toEqual([]);
  expect(made!.ids).toEqual([100, 101, 102, 103, 104, 105, 106]);
  expect(made!.context).toEqual(CONTEXT);
  expect(made!.batch.heads).toEqual([...sent.heads]);
  for (const column of ["head", "timestampUs", "value", "stale", "position"] as const)
    expect([...made!.batch[column]!]).toEqual([...sent[column]!]);
  expect(textsOf(made!.batch)).toEqual(textsOf(sent));
});

test("samples of pushes with other labels are another batch", () => {
  const sent = batch();
  const extra = new Map([["job", "a"]]);
  const texts = [
    { id: 1, text: rejectedSampleText(sent, 0, { extra, historical: false }) },
    { id: 2, text: rejectedSampleText(sent, 1, { extra: NO_LABELS, historical: true }) },
    { id: 3, text: rejectedSampleText(sent, 2, { extra, historical: false }) },
  ];
  expect(replayBatches("p", texts).map(({ ids, context }) => [ids, context])).toEqual([
    [[1, 3], { extra, historical: false }],
    [[2], { extra: NO_LABELS, historical: true }],
  ]);
});

test("a sample with a text that is too long has none", () => {
  const builder = new BatchBuilder("p");
  builder.addHead({ metric: "m", kind: "gauge", labels: new Map([["a", "x".repeat(8_000)]]) });
  builder.add(0, 0, 1, 0);
  expect(textsOf(builder.take())).toEqual([{ id: 100, text: "" }]);
});
