/**
 * Exemplars of an archive, as `weir restore --from` sends them: NDJSON of events as exports write them, each with its labels in a
 * field `exemplar`. The event says which series, time and value the exemplar has, and is not stored itself.
 *
 * A line that is invalid is reported by its index, and the others are stored. One that is stored already (same series and time) stays
 * as it is.
 */
import { BadInput, quote, TooLarge } from "../../model/errors.ts";
import {
  type Batch,
  type Exemplar,
  EXEMPLAR_CHARACTERS_MAX,
  exemplarCharacters,
  type Labels,
  type SeriesHead,
} from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import { InexactNumber, parseExactJson } from "../../wire/json/exact-number.ts";
import type { Decoding } from "../body-decoder.ts";
import { checkEvent, WORDS } from "./event.ts";
import { EVENTS } from "./events-protocol.ts";

/** An exemplar that is not stored. */
interface WrongExemplar {
  /** The index of its line among those that are not blank. */
  readonly index: number;
  readonly reason: string;
  readonly cause: string;
}

export interface DecodedExemplars {
  /** It has no samples. */
  readonly batch: Batch;
  readonly wrong: readonly WrongExemplar[];
}

interface ExemplarLineOptions extends NameLimits {
  readonly isAttribute: (metric: string, tag: string) => boolean;
  /** The most exemplars of a body. */
  readonly eventsMax: number;
}

/** Lines that are read without a pause: some 200 µs. */
const LINES_AT_ONCE = 32;

/**
 * Decodes a body.
 *
 * @throws BadInput if the body is not UTF-8, TooLarge if it has too many exemplars
 */
export function* exemplarLines(body: Uint8Array, options: ExemplarLineOptions): Decoding<DecodedExemplars> {
  const heads: SeriesHead[] = [];
  const headOf = new Map<string, number>();
  const exemplars: Exemplar[] = [];
  const wrong: WrongExemplar[] = [];
  let index = 0;
  for (const line of textOf(body).split("\n")) {
    if (line.trim() === "") continue;
    if (index >= options.eventsMax)
      throw new TooLarge(`The body has more than ${options.eventsMax} exemplars (eventsMax).`);
    const read = readLine(line, options);
    if ("reason" in read) wrong.push({ index, ...read });
    else {
      const { head, ...exemplar } = read;
      const { metric, kind, type, exposed, keepsBoundText, labels } = head;
      const key = JSON.stringify([metric, kind, type, exposed, keepsBoundText, ...labels]);
      exemplars.push({ ...exemplar, head: headOf.getOrInsertComputed(key, () => heads.push(head) - 1) });
    }
    if (++index % LINES_AT_ONCE === 0) yield;
  }
  const none = { length: 0, attributes: [], rejected: [] };
  const columns = { head: new Uint32Array(0), position: new Uint32Array(0), text: new Uint8Array(0) };
  const numbers = { timestampUs: new Float64Array(0), value: new Float64Array(0) };
  return { batch: { protocol: EVENTS.name, ...none, ...columns, ...numbers, heads, exemplars }, wrong };
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new BadInput("The body is not UTF-8; expected exemplars as NDJSON.");
  }
}

type Wrong = Omit<WrongExemplar, "index">;

function readLine(
  line: string,
  options: ExemplarLineOptions,
): (Omit<Exemplar, "head"> & { readonly head: SeriesHead }) | Wrong {
  const event = objectOf(line);
  if (event === undefined)
    return { cause: "syntax", reason: `expected an exemplar as a JSON object, got ${quote(line)}` };
  // Any number is the value of an exemplar. Those of events have limits by their kind.
  const sent = event.value instanceof InexactNumber ? event.value.value : event.value;
  const value = typeof sent === "number" ? sent : WORDS.get(sent);
  if (value === undefined)
    return { cause: "value", reason: `value is ${quote(event.value)}, expected a number` };
  const labels = labelsOf(event.exemplar);
  if ("reason" in labels) return labels;
  const checked = checkEvent({ ...event, value: 0 }, options, options.isAttribute);
  if ("reason" in checked) return checked;
  const { head, timestampUs } = checked;
  if (Number.isNaN(timestampUs))
    return { cause: "timestamp", reason: "@timestamp is missing, expected the time of the exemplar" };
  return { head, timestampUs, value, labels };
}

function objectOf(line: string): Record<string, unknown> | undefined {
  try {
    const json = parseExactJson(line);
    const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
    return isObject ? (json as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The labels of an exemplar, in the order of their names. */
function labelsOf(exemplar: unknown): Labels | Wrong {
  const isObject = typeof exemplar === "object" && exemplar !== null && !Array.isArray(exemplar);
  const pairs = isObject ? Object.entries(exemplar as Record<string, unknown>) : [];
  const isText = pairs.every(([name, value]) => typeof value === "string" && (name + value).isWellFormed());
  if (!isObject || !isText)
    return {
      cause: "labels",
      reason: `exemplar is ${quote(exemplar)}, expected an object of labels with texts`,
    };
  const labels = new Map((pairs as [string, string][]).sort(([a], [b]) => (a < b ? -1 : 1)));
  const characters = exemplarCharacters(labels);
  return characters <= EXEMPLAR_CHARACTERS_MAX
    ? labels
    : {
        cause: "labels",
        reason: `the labels of the exemplar have ${characters} characters, at most ${EXEMPLAR_CHARACTERS_MAX} are accepted`,
      };
}
