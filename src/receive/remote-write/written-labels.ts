/**
 * Checks the labels of a remote_write series
 * (https://prometheus.io/docs/specs/prw/remote_write_spec/#labels): a name, each label once, valid UTF-8. Labels with
 * an empty value count as absent.
 *
 * Senders must sort labels. Unsorted labels are sorted here, as in Prometheus's own receiver: by default, vmagent
 * sends labels as they were scraped.
 */
import { quote } from "../../model/errors.ts";
import { compactMap } from "../../model/memory/compact-map.ts";
import {
  EXEMPLAR_CHARACTERS_MAX,
  exemplarCharacters,
  type Labels,
  type Rejection,
  type SeriesHead,
} from "../../model/sample.ts";
import { kindOf, type Metadata } from "../../wire/exposition-formats/family-metadata.ts";

export type LabelPairs = readonly (readonly [name: string, value: string])[];

/** Why a series is rejected, and its text. */
export type RejectedSeries = Pick<Rejection, "cause" | "reason" | "payload">;

/** The labels of a series that are read. Admission accepts 64 by default. */
export const LABELS_MAX = 1_024;

/** The rejection of a series with more labels than are read. */
export function tooManyLabels(): RejectedSeries {
  return { cause: "labels", reason: `a series has more than ${LABELS_MAX} labels`, payload: "" };
}

/** Returns the head of a series, or the reason to reject it. */
export function headOf(
  pairs: LabelPairs,
  metadataOf: (metric: string) => Metadata | undefined,
): SeriesHead | RejectedSeries {
  const reject = (reason: string, cause = "labels"): RejectedSeries => ({
    cause,
    reason: `series ${describe(pairs)} ${reason}`,
    payload: describe(pairs),
  });
  let sorted = true;
  let before = "";
  let metric: string | undefined;
  const present: (readonly [string, string])[] = [];
  for (const pair of pairs) {
    const [name, value] = pair;
    if (name === "") return reject("has a label with an empty name");
    if (name === before) return reject(`has label ${quote(name)} twice`);
    if (name < before) sorted = false;
    before = name;
    if (value === "") continue;
    if (name === "__name__") metric = value;
    else present.push(pair);
  }
  if (!sorted) {
    const names = new Set<string>();
    for (const [name] of pairs) {
      if (names.has(name)) return reject(`has label ${quote(name)} twice`);
      names.add(name);
    }
    present.sort(([a], [b]) => (a < b ? -1 : 1));
  }
  if (metric === undefined) return reject("has no __name__", "name");
  return seriesHead(metric, new Map(present), metadataOf(metric));
}

/** The rejection of a series whose labels have bytes that are not text; they are replaced in the payload. */
export function notText(pairs: LabelPairs): RejectedSeries {
  const payload = describe(pairs);
  return { cause: "labels", reason: `series ${payload} has a label that is not valid UTF-8`, payload };
}

/** A head with the known metadata of its metric. Its labels are compact, as those of its series, which shares them. */
export function seriesHead(metric: string, labels: Labels, metadata: Metadata | undefined): SeriesHead {
  const type = metadata?.type ?? "unknown";
  const unit = metadata?.unit || undefined;
  const help = metadata?.help || undefined;
  return { metric, kind: kindOf(type), type, unit, help, labels: compactMap(labels) };
}

/** The labels of an exemplar, or undefined if they are too long, or one appears twice. */
export function exemplarLabels(pairs: LabelPairs): Labels | undefined {
  const kept = pairs.filter(([, value]) => value !== "");
  const labels = new Map([...kept].sort(([a], [b]) => (a < b ? -1 : 1)));
  const isWhole = labels.size === kept.length && !labels.has("");
  return isWhole && exemplarCharacters(kept) <= EXEMPLAR_CHARACTERS_MAX ? labels : undefined;
}

/** A series as Prometheus writes it, capped: `up{job="node"}`. */
export function describe(pairs: LabelPairs): string {
  const name = pairs.find(([label]) => label === "__name__")?.[1] ?? "";
  const labels = pairs.filter(([label]) => label !== "__name__").slice(0, 20);
  const text = `${name}{${labels.map(([label, value]) => `${label}=${quote(value)}`).join(",")}}`;
  return text.length <= 300 ? text : `${text.slice(0, 300)}…`;
}
