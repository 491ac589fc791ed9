/**
 * The JSON of Alertmanager's API v2 (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml): alerts and
 * silences as requests have them. An error names the entry and the field. Pure.
 */
import { type AlertMatcher, checked, MatcherFault } from "../../model/alerts/alert-matcher.ts";
import { BadInput, quote } from "../../model/errors.ts";
import { rfc3339Us } from "../../model/time.ts";

/** An alert as a request has it. Times are ms since the epoch. */
export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: number;
  readonly endsAt: number;
  /** Whether the request had no end. */
  readonly isTimeout: boolean;
  readonly generatorURL: string;
}

/** A silence as a request has it. Times are ms since the epoch. */
export interface PostedSilence {
  readonly id?: string;
  readonly matchers: readonly AlertMatcher[];
  readonly startsAt: number;
  readonly endsAt: number;
  readonly createdBy: string;
  readonly comment: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Alerts of a request. Prometheus sends 64 at most. */
const ALERTS_MAX = 10_000;
/** Labels, or annotations, of an alert. */
const ENTRIES_MAX = 256;
const TEXT_CHARACTERS_MAX = 65_536;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** Go's zero time stands for no time. */
const NO_TIME = /^0001-01-01T00:00:00(?:\.0+)?Z$/;

/** The value of a body. @throws BadInput */
export function parseJsonBody(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BadInput(`The body is not JSON: ${(error as Error).message}.`);
  }
}

/**
 * The alerts of a body. Alertmanager stores the valid ones and answers 400 for the others, and so does the caller.
 *
 * @param timeoutMs how long an alert without an end is firing
 * @throws BadInput if the body is not a list of alerts at all
 */
export function readAlerts(
  body: unknown,
  nowMs: number,
  timeoutMs: number,
): { readonly alerts: readonly PostedAlert[]; readonly faults: readonly string[] } {
  if (!Array.isArray(body)) throw new BadInput(`The body is ${quote(body)}, expected a list of alerts.`);
  if (body.length > ALERTS_MAX)
    throw new BadInput(`The body has ${body.length} alerts, expected at most ${ALERTS_MAX}.`);
  const alerts: PostedAlert[] = [];
  const faults: string[] = [];
  body.forEach((each: unknown, at) => {
    try {
      alerts.push(readAlert(each, `alert ${at}`, nowMs, timeoutMs));
    } catch (error) {
      if (!(error instanceof BadInput)) throw error;
      faults.push(error.message);
    }
  });
  return { alerts, faults };
}

function readAlert(value: unknown, where: string, nowMs: number, timeoutMs: number): PostedAlert {
  const fields = tableOf(value, where);
  const labels = textsOf(fields.labels, `labels of ${where}`);
  for (const [name, text] of Object.entries(labels)) {
    if (!LABEL_NAME.test(name))
      throw new BadInput(
        `labels of ${where} has the name ${quote(name)}, expected letters, digits and _.`,
        "labels",
      );
    // As in Prometheus, an empty label is an absent one.
    if (text === "") delete labels[name];
  }
  if (Object.keys(labels).length === 0)
    throw new BadInput(`labels of ${where} is empty, expected a label.`, "labels");
  const endsAt = timeOf(fields.endsAt, `endsAt of ${where}`);
  const startsAt = timeOf(fields.startsAt, `startsAt of ${where}`) ?? endsAt ?? nowMs;
  if (endsAt !== undefined && endsAt < startsAt)
    throw new BadInput(`endsAt of ${where} is before startsAt, expected a later time.`, "endsAt");
  return {
    labels,
    annotations:
      fields.annotations === undefined ? {} : textsOf(fields.annotations, `annotations of ${where}`),
    startsAt,
    endsAt: endsAt ?? nowMs + timeoutMs,
    isTimeout: endsAt === undefined,
    generatorURL: textOf(fields.generatorURL ?? "", `generatorURL of ${where}`),
  };
}

/** The silence of a body. @throws BadInput */
export function readSilence(body: unknown, nowMs: number): PostedSilence {
  const fields = tableOf(body, "The body");
  const { matchers } = fields;
  if (!Array.isArray(matchers))
    throw new BadInput(
      `matchers is ${matchers === undefined ? "missing" : quote(matchers)}, expected a list.`,
      "matchers",
    );
  const endsAt = timeOf(fields.endsAt, "endsAt");
  if (endsAt === undefined) throw new BadInput("endsAt is missing, expected a time.", "endsAt");
  const id = fields.id === undefined || fields.id === "" ? undefined : textOf(fields.id, "id");
  return {
    ...(id === undefined ? {} : { id }),
    matchers: matchers.map((each: unknown, at) => readMatcher(each, `matchers[${at}]`)),
    startsAt: timeOf(fields.startsAt, "startsAt") ?? nowMs,
    endsAt,
    createdBy: textOf(fields.createdBy, "createdBy"),
    comment: textOf(fields.comment, "comment"),
  };
}

function readMatcher(value: unknown, where: string): AlertMatcher {
  const fields = tableOf(value, where);
  const flag = (key: "isRegex" | "isEqual", otherwise: boolean) => {
    const given = fields[key];
    if (given === undefined || given === null) return otherwise;
    if (typeof given === "boolean") return given;
    throw new BadInput(`${key} of ${where} is ${quote(given)}, expected true or false.`, "matchers");
  };
  const matcher = {
    name: textOf(fields.name, `name of ${where}`),
    value: textOf(fields.value, `value of ${where}`),
    isRegex: flag("isRegex", false),
    isEqual: flag("isEqual", true),
  };
  try {
    return checked(matcher);
  } catch (error) {
    if (error instanceof MatcherFault) throw new BadInput(`${where}: ${error.message}.`, "matchers");
    throw error;
  }
}

function tableOf(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new BadInput(`${where} is ${quote(value)}, expected an object.`);
}

function textOf(value: unknown, where: string): string {
  if (typeof value === "string" && value.length <= TEXT_CHARACTERS_MAX) return value;
  const expected = `expected a text of at most ${TEXT_CHARACTERS_MAX} characters`;
  throw new BadInput(`${where} is ${value === undefined ? "missing" : quote(value)}, ${expected}.`);
}

function textsOf(value: unknown, where: string): Record<string, string> {
  const entries = Object.entries(tableOf(value ?? {}, where));
  if (entries.length > ENTRIES_MAX)
    throw new BadInput(`${where} has ${entries.length} entries, expected at most ${ENTRIES_MAX}.`);
  return Object.fromEntries(
    entries.map(([name, text]) => [name, textOf(text, `${quote(name)} of ${where}`)]),
  );
}

/** A time in ms. Undefined if there is none. */
function timeOf(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string" && NO_TIME.test(value)) return undefined;
  const us = typeof value === "string" ? rfc3339Us(value) : undefined;
  if (us === undefined)
    throw new BadInput(`${where} is ${quote(value)}, expected a time such as 2024-10-04T12:00:00Z.`);
  return Math.floor(us / 1_000);
}
