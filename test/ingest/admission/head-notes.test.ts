/** The notes that ingest keeps about heads: whose they are, and how long. */
import { expect, test } from "bun:test";
import { HeadNotes } from "../../../src/ingest/admission/head-notes.ts";
import type { SeriesHead } from "../../../src/model/sample.ts";

const head = (metric: string): SeriesHead => ({ metric, kind: "gauge", labels: new Map([["id", metric]]) });

test("a head has one note, also if a decoder returns it in another list", () => {
  const notes = new HeadNotes();
  const [a, b, c] = [head("a"), head("b"), head("c")];
  const [ofA, ofB] = notes.of([a, b]);
  expect(ofA).not.toBe(ofB!);
  const [ofC, again] = notes.of([c, a]);
  expect(again).toBe(ofA!);
  expect(ofC).not.toBe(ofA!);
});

test("a copy of a head does not have its note", () => {
  const notes = new HeadNotes();
  const a = head("a");
  const [ofA] = notes.of([a]);
  const [ofCopy] = notes.of([{ ...a, labels: new Map([["id", "other"]]) }]);
  expect(ofCopy).not.toBe(ofA!);
});

test("a head that was pushed to another gateway of the process has another note here", () => {
  const [one, other] = [new HeadNotes(), new HeadNotes()];
  const a = head("a");
  const [here] = one.of([a]);
  const [there] = other.of([a]);
  expect(there).not.toBe(here!);
  expect(there).toMatchObject({ admission: undefined, echo: undefined });
});

test("a note adds nothing to a head that others can see", () => {
  const notes = new HeadNotes();
  const a = Object.freeze(head("a"));
  expect(notes.of([a])).toBeArrayOfSize(1);
  expect(Reflect.ownKeys(a)).toEqual(["metric", "kind", "labels"]);
});
