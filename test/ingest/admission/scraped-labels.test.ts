/** The labels of samples before they were scraped, derived from Prometheus's rules for conflicting labels. */
import { expect, test } from "bun:test";
import { labelsBeforeScrape } from "../../../src/ingest/admission/scraped-labels.ts";

type Pairs = Readonly<Record<string, string>>;

const labels = (pairs: Pairs) => new Map(Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1)));
/** The labels that each scrape adds here. */
const ADDED = { job: "weir", instance: "gw:9091", cluster: "a" };
const before = (sent: Pairs, added: Pairs = ADDED) =>
  [...labelsBeforeScrape(labels(sent), labels(added))].map((each) => Object.fromEntries(each));
const made = (sent: Pairs, want: readonly Pairs[]) => expect(before(sent)).toEqual([...want]);

test("finds the labels of samples that were scraped with honor_labels", () => {
  made({ job: "w", instance: "w1", cluster: "a", op: "x" }, [
    { job: "w", instance: "w1", op: "x" },
    { job: "w", instance: "w1", op: "x", cluster: "a" },
  ]);
  // The sample had an instance and no job.
  expect(before({ job: "weir", instance: "w1", cluster: "a" })[0]).toEqual({ instance: "w1" });
  // The sample had an empty instance and no job.
  expect(before({ job: "weir", cluster: "a" })[0]).toEqual({});
  // The sample had a label that is also an external one.
  expect(before({ job: "weir", cluster: "b" })[0]).toEqual({ cluster: "b" });
});

test("finds the labels of samples that were scraped without honor_labels, from exported_ labels", () => {
  const target = { job: "weir", instance: "gw:9091", cluster: "a" };
  expect(before({ ...target, exported_job: "w", exported_instance: "w1", op: "x" })[0]).toEqual({
    job: "w",
    instance: "w1",
    op: "x",
  });
  expect(before({ ...target, exported_job: "w" })[0]).toEqual({ job: "w" });
  expect(before(target)[0]).toEqual({});
  // The sample had the external label before: it came from the same Prometheus.
  expect(before({ ...target, exported_job: "w" })[1]).toEqual({ job: "w", cluster: "a" });
});

test("finds no labels for a sample that this scrape cannot have produced", () => {
  made({}, []);
  made({ job: "weir" }, []);
  made({ instance: "gw:9091", cluster: "a" }, []);
  made({ job: "w", instance: "w1" }, []);
  // The target's instance with the sample's own job would be exported_job.
  expect(before({ job: "node", instance: "gw:9091", cluster: "a" })).not.toContainEqual({ job: "node" });
  expect(before({ job: "node", instance: "host:9100", cluster: "a" })).not.toContainEqual({});
});

test("returns labels in the order of their names", () => {
  const target = { job: "weir", instance: "gw:9091", cluster: "a" };
  const [own] = labelsBeforeScrape(labels({ ...target, exported_job: "w", k: "1", a: "2" }), labels(ADDED));
  expect([...own!.keys()]).toEqual(["a", "job", "k"]);
});
