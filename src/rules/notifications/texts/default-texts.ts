/**
 * The title and the text of a notification if there is no template: what is wrong, since when, the annotations (where rules
 * put values), the labels, and links. Pure.
 */
import { formatDuration } from "../../../model/duration.ts";
import type { AlertData, NotificationData, Texts } from "./notification-data.ts";

export interface NotificationTexts {
  readonly title: string;
  readonly text: string;
}

/** More alerts would be more than anybody reads. The webhook has all. */
const ALERTS_SHOWN = 20;
const TITLE_CHARACTERS_MAX = 250;
/** Annotations that are shown without their names, in this order. */
const SENTENCES = ["summary", "description", "message"];
/** Annotations that are links. */
const LINKS = /^(runbook_url|runbook|dashboard|dashboard_url)$/;

/** `[FIRING:2] Hot gpu: The GPU is too hot`. */
export function defaultTitle(data: NotificationData): string {
  const { status, groupLabels, commonLabels, commonAnnotations, alerts } = data;
  const firing = alerts.filter((alert) => alert.status === "firing").length;
  const state = status === "firing" ? `FIRING:${firing}` : "RESOLVED";
  const { alertname = commonLabels.alertname, ...others } = groupLabels;
  const values = [alertname, ...Object.values(others)].filter((value) => value !== undefined);
  const name = values.length > 0 ? values.join(" ") : "alerts";
  const { summary } = commonAnnotations;
  return cut(
    `[${state}] ${name}${summary === undefined ? "" : `: ${oneLine(summary)}`}`,
    TITLE_CHARACTERS_MAX,
  );
}

/** A block per alert: firing ones first. */
export function defaultText({ alerts, externalURL }: NotificationData, nowMs: number): string {
  const sorted = [...alerts].sort((a, b) => (a.status === b.status ? 0 : a.status === "firing" ? -1 : 1));
  const blocks = sorted.slice(0, ALERTS_SHOWN).map((alert) => alertBlock(alert, nowMs));
  const more = sorted.length - ALERTS_SHOWN;
  if (more > 0) blocks.push(`… and ${more} more alerts.`);
  if (externalURL !== "") blocks.push(externalURL);
  return blocks.join("\n\n");
}

function alertBlock(alert: AlertData, nowMs: number): string {
  const { labels, annotations, generatorURL } = alert;
  const { alertname = "alert", ...others } = labels;
  const sentences = SENTENCES.flatMap((name) => annotations[name] ?? []);
  const rest = Object.entries(annotations).filter(([name]) => !SENTENCES.includes(name));
  return [
    `${alertname}: ${timeOf(alert, nowMs)}`,
    ...new Set(sentences),
    ...rest.filter(([name]) => !LINKS.test(name)).map(([name, text]) => `${name}: ${text}`),
    labelLine(others),
    ...rest.filter(([name]) => LINKS.test(name)).map(([name, text]) => `${name}: ${text}`),
    ...(generatorURL === "" ? [] : [`source: ${generatorURL}`]),
  ]
    .filter((line) => line !== "")
    .join("\n");
}

function timeOf({ status, startsAt, endsAt }: AlertData, nowMs: number): string {
  const since = shortTime(startsAt);
  if (status === "firing") return `firing since ${since} (${roughly(nowMs - startsAt)})`;
  const end = endsAt ?? nowMs;
  return `resolved at ${shortTime(end)} after ${roughly(end - startsAt)}`;
}

function labelLine(labels: Texts): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

/** A time in UTC, to the second. */
function shortTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A duration in seconds, and in minutes if it is longer than an hour. */
function roughly(ms: number): string {
  const unitMs = ms >= 3_600_000 ? 60_000 : 1_000;
  return formatDuration(Math.max(0, Math.round(ms / unitMs) * unitMs));
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** The text, or its beginning with an ellipsis. Never ends within a character. */
export function cut(text: string, charactersMax: number): string {
  const characters = [...text];
  return characters.length <= charactersMax ? text : `${characters.slice(0, charactersMax - 1).join("")}…`;
}
