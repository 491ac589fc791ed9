/**
 * The templates of titles and texts: Go's text/template with the data of Alertmanager's notifications
 * (https://prometheus.io/docs/alerting/latest/notifications/). What is not supported is an error when the gateway starts.
 * If an expansion fails, the notification has the default text, with the reason: a notification with another text is better
 * than none.
 */
import type { Notifier } from "../../../model/alerts/notifier.ts";
import { BUILTIN_FUNCTIONS } from "../../templates/builtin-functions.ts";
import { expandTree, QueryNeeded } from "../../templates/expand-template.ts";
import { GoTime } from "../../templates/go-time.ts";
import {
  type GoFunction,
  GoList,
  GoMap,
  type GoParameter,
  GoStruct,
  type GoValue,
  STRING,
} from "../../templates/go-values.ts";
import { parseTemplateTree } from "../../templates/parse-template.ts";
import { PROMETHEUS_FUNCTIONS } from "../../templates/prometheus-functions.ts";
import { ExpansionError, TemplateError } from "../../templates/template-errors.ts";
import { checkFields, type FieldShape } from "../../templates/template-fields.ts";
import type { TemplateTree } from "../../templates/template-tree.ts";
import { defaultText, defaultTitle, type NotificationTexts } from "./default-texts.ts";
import type { AlertData, NotificationData, Texts } from "./notification-data.ts";

/** A template of a notifier is invalid. The message names the notifier and the place. */
export class NotifierTemplateError extends Error {
  override readonly name = "NotifierTemplateError";
}

const TEXT_LIST: GoParameter = {
  name: "[]string",
  accepts: (value) => value instanceof GoList && value.items.every((item) => typeof item === "string"),
  isNilable: false,
};

const textList = (texts: readonly string[]) => new GoList("[]string", [...texts]);
const getter = (get: () => GoValue): GoFunction => ({ parameters: [], call: get });

/** What Alertmanager adds to the functions that Prometheus has too. */
const ALERTMANAGER_FUNCTIONS: Readonly<Record<string, GoFunction>> = {
  join: {
    parameters: [STRING, TEXT_LIST],
    call: ([separator, list]) => (list as GoList).items.join(separator as string),
  },
  stringSlice: { parameters: [STRING], isVariadic: true, call: (texts) => textList(texts as string[]) },
  trimSpace: { parameters: [STRING], call: ([text]) => (text as string).trim() },
};

// A notification must not wait for a query.
const { query: _, ...PROMETHEUS } = PROMETHEUS_FUNCTIONS as Readonly<Record<string, GoFunction>>;
const FUNCTIONS: ReadonlyMap<string, GoFunction> = new Map(
  Object.entries({ ...BUILTIN_FUNCTIONS, ...PROMETHEUS, ...ALERTMANAGER_FUNCTIONS }),
);
const NAMES: ReadonlySet<string> = new Set([...FUNCTIONS.keys(), "and", "or"]);

const FIELDS: Readonly<Record<string, FieldShape>> = {
  Receiver: "text",
  Status: "text",
  Alerts: "any",
  GroupLabels: "any",
  CommonLabels: "any",
  CommonAnnotations: "any",
  ExternalURL: "text",
};

interface ParsedTexts {
  readonly title?: TemplateTree;
  readonly text?: TemplateTree;
}

export class NotificationTemplates {
  readonly #parsed: ReadonlyMap<string, ParsedTexts>;

  /** @throws NotifierTemplateError */
  constructor(notifiers: readonly Notifier[]) {
    this.#parsed = new Map(
      notifiers.map(({ name, title, text }) => [
        name,
        { title: parse(name, "title", title), text: parse(name, "text", text) },
      ]),
    );
  }

  /** The title and the text of a notification. */
  textsOf({ name }: Pick<Notifier, "name">, data: NotificationData, nowMs: number): NotificationTexts {
    const { title, text } = this.#parsed.get(name) ?? {};
    const root = rootOf(data);
    const faults: string[] = [];
    const expanded = (tree: TemplateTree | undefined, part: string, otherwise: () => string) => {
      if (tree === undefined) return otherwise();
      try {
        return expand(tree, root, data, nowMs);
      } catch (error) {
        if (!(error instanceof ExpansionError || error instanceof QueryNeeded)) throw error;
        faults.push(`The template of the ${part} failed: ${error.message}`);
        return otherwise();
      }
    };
    const texts = {
      title: expanded(title, "title", () => defaultTitle(data)).trim(),
      text: expanded(text, "text", () => defaultText(data, nowMs)).trim(),
    };
    return { ...texts, text: [texts.text, ...faults].join("\n\n") };
  }
}

function parse(notifier: string, part: string, text: string | undefined): TemplateTree | undefined {
  if (text === undefined) return undefined;
  try {
    const tree = parseTemplateTree(text, { functions: NAMES, variables: [] });
    checkFields(tree, FIELDS, {});
    return tree;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const { line, column, message } = error;
    throw new NotifierTemplateError(
      `${part} of notify (${JSON.stringify(notifier)}) is not a template at line ${line}, column ${column}: ${message}.`,
    );
  }
}

function expand(
  tree: TemplateTree,
  root: GoStruct,
  { externalURL }: NotificationData,
  timeMs: number,
): string {
  return expandTree({
    ...{ tree, root, externalURL, timeMs },
    name: "notification",
    functions: FUNCTIONS,
    variables: new Map(),
    offsetBytes: 0,
    results: new Map(),
    work: { spent: 0 },
  });
}

function rootOf(data: NotificationData): GoStruct {
  return new GoStruct(
    "*template.Data",
    new Map<string, GoValue>([
      ["Receiver", data.receiver],
      ["Status", data.status],
      ["Alerts", alertList(data.alerts)],
      ["GroupLabels", keyValues(data.groupLabels)],
      ["CommonLabels", keyValues(data.commonLabels)],
      ["CommonAnnotations", keyValues(data.commonAnnotations)],
      ["ExternalURL", data.externalURL],
    ]),
  );
}

function alertList(alerts: readonly AlertData[]): GoList {
  const only = (status: AlertData["status"]) =>
    getter(() => alertList(alerts.filter((alert) => alert.status === status)));
  return new GoList("template.Alerts", alerts.map(alertStruct), {
    Firing: only("firing"),
    Resolved: only("resolved"),
  });
}

function alertStruct(alert: AlertData): GoStruct {
  return new GoStruct(
    "template.Alert",
    new Map<string, GoValue>([
      ["Status", alert.status],
      ["Labels", keyValues(alert.labels)],
      ["Annotations", keyValues(alert.annotations)],
      ["StartsAt", new GoTime(alert.startsAt)],
      ["EndsAt", new GoTime(alert.endsAt ?? ZERO_TIME_MS)],
      ["GeneratorURL", alert.generatorURL],
      ["Fingerprint", alert.fingerprint],
    ]),
  );
}

/** 0001-01-01T00:00:00Z, which stands for no time in Go. */
const ZERO_TIME_MS = -62_135_596_800_000;

/** Alertmanager's type KV: a map with methods. */
function keyValues(texts: Texts): GoMap {
  // The names are sorted already. Alertmanager puts the name of the alert first.
  const pairs = Object.entries(texts).sort(
    ([a], [b]) => Number(b === "alertname") - Number(a === "alertname"),
  );
  return new GoMap("template.KV", new Map(pairs), "", {
    SortedPairs: getter(() => pairList(pairs)),
    Names: getter(() => textList(pairs.map(([name]) => name))),
    Values: getter(() => textList(pairs.map(([, value]) => value))),
    Remove: {
      parameters: [TEXT_LIST],
      call: ([names]) => {
        const removed = new Set((names as GoList).items);
        return keyValues(Object.fromEntries(pairs.filter(([name]) => !removed.has(name))));
      },
    },
  });
}

function pairList(pairs: readonly (readonly [string, string])[]): GoList {
  const structs = pairs.map(
    ([name, value]) =>
      new GoStruct(
        "template.Pair",
        new Map([
          ["Name", name],
          ["Value", value],
        ]),
      ),
  );
  return new GoList("template.Pairs", structs, {
    Names: getter(() => textList(pairs.map(([name]) => name))),
    Values: getter(() => textList(pairs.map(([, value]) => value))),
  });
}
