/**
 * The settings `notify` and `inhibit`: tables of weir.toml, `[[notify]]` and `[[inhibit]]`, with the names of
 * alertmanager.yml (src/rules/notifications/README.md).
 *
 * Secrets are never printed: neither in errors nor by `formatNotifiers`. URLs of some services are secrets as a whole, so
 * only the scheme and the host of a URL are shown.
 */
import { isAbsolute } from "node:path";
import {
  type AlertMatcher,
  formatAlertMatcher,
  MatcherFault,
  parseAlertMatchers,
} from "../model/alerts/alert-matcher.ts";
import { quote } from "../model/errors.ts";
import {
  type InhibitRule,
  NOTIFIER_TYPES,
  type Notifier,
  type NotifierServer,
  type NotifierTarget,
  type NotifierType,
} from "../model/alerts/notifier.ts";
import type { Secret } from "../model/scrape-job.ts";
import { SettingError } from "./setting-error.ts";
import { readAuthorization, readNamedTables, readTls, type SettingTable, tablesOf } from "./setting-table.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** As in Alertmanager. */
const DEFAULTS = {
  groupBy: ["alertname"],
  groupWaitMs: 30 * second,
  groupIntervalMs: 5 * minute,
  repeatIntervalMs: 4 * hour,
  timeoutMs: 10 * second,
} as const;

/** Ports of SMTP: submission with STARTTLS, and over TLS. */
const SMTP_PORT = 587;
const SMTPS_PORT = 465;

const NAME_CHARACTERS_MAX = 100;
const LABEL_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
/** An address, perhaps after a name: `Weir <weir@example.org>`. */
const MAIL_ADDRESS = /^(?:[^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/;

/**
 * Reads the notifiers.
 *
 * @param name the name of the setting in errors
 * @throws SettingError
 */
export function readNotifiers(raw: unknown, name: string): Notifier[] {
  if (typeof raw === "string") {
    if (raw.trim() === "") return [];
    // It may be an URL with a secret.
    throw new SettingError(`${name} is a text, expected tables [[notify]] in weir.toml.`);
  }
  return readNamedTables(raw, name, "[[notify]]", readNotifier);
}

/** Reads the rules of inhibition. Throws as `readNotifiers`. */
export function readInhibitRules(raw: unknown, name: string): InhibitRule[] {
  if (raw === "") return [];
  return tablesOf(raw, name, "[[inhibit]]").map((table) => {
    const rule = {
      sourceMatchers: readMatchers(table, "source_matchers"),
      targetMatchers: readMatchers(table, "target_matchers"),
      equal: readLabelNames(table, "equal", table.texts("equal")),
    };
    for (const key of ["source_matchers", "target_matchers"] as const) {
      const matchers = key === "source_matchers" ? rule.sourceMatchers : rule.targetMatchers;
      if (matchers.length === 0)
        throw table.fault(key, 'is missing, expected matchers such as "severity=critical"');
    }
    table.end();
    return rule;
  });
}

function readNotifier(table: SettingTable): Notifier {
  const name = table.text("name");
  if (name === undefined) throw table.fault("name", "is missing");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression finds control characters
  if (name.length > NAME_CHARACTERS_MAX || /[\u0000-\u001f\u007f]/.test(name))
    throw table.fault(
      "name",
      `is ${quote(name)}, expected at most ${NAME_CHARACTERS_MAX} printable characters`,
    );
  const type = table.word("type", NOTIFIER_TYPES);
  const long = { min: second, max: 365 * day };
  const notifier: Notifier = {
    name,
    matchers: readMatchers(table, "matchers"),
    continues: table.flag("continue", true),
    groupBy: readGroupBy(table),
    groupWaitMs: table.duration("group_wait", DEFAULTS.groupWaitMs, { min: 0, max: day }),
    groupIntervalMs: table.duration("group_interval", DEFAULTS.groupIntervalMs, { min: second, max: day }),
    repeatIntervalMs: table.duration("repeat_interval", DEFAULTS.repeatIntervalMs, long),
    sendResolved: table.flag("send_resolved", true),
    timeoutMs: table.duration("timeout", DEFAULTS.timeoutMs, { min: 100, max: 10 * minute }),
    // Only these types have texts. The others have data.
    ...(["slack", "ntfy", "email"].includes(type)
      ? { title: table.text("title"), text: table.text("text") }
      : {}),
    target: TARGETS[type](table),
  };
  table.end();
  return notifier;
}

/** What each type reads of its table. */
const TARGETS: { readonly [Type in NotifierType]: (table: SettingTable) => NotifierTarget } = {
  alertmanager: (table) => ({ type: "alertmanager", ...readServer(table) }),
  webhook: (table) => ({ type: "webhook", ...readServer(table), maxAlerts: table.count("max_alerts") }),
  slack: (table) => ({
    type: "slack",
    ...readServer(table),
    channel: table.text("channel"),
    username: table.text("username"),
  }),
  ntfy: (table) => {
    const priority = table.count("priority");
    if (priority > 5) throw table.fault("priority", `is ${priority}, expected a number from 1 to 5`);
    return {
      type: "ntfy",
      ...readServer(table, /^\/(?:.*\/)?[-_A-Za-z0-9]{1,64}$/, "whose path ends with a topic"),
      ...(priority === 0 ? {} : { priority }),
      tags: table.texts("tags"),
    };
  },
  email: readEmail,
  exec: (table) => {
    const [program, ...args] = table.textOrTexts("command");
    if (program === undefined) throw table.fault("command", "is missing");
    if (!isAbsolute(program))
      throw table.fault("command", `is ${quote(program)}, expected the absolute path of a program`);
    return { type: "exec", command: [program, ...args] };
  },
};

function readServer(table: SettingTable, path?: RegExp, expectedPath = ""): NotifierServer {
  const url = table.secret("url");
  if (url === undefined) throw table.fault("url", "is missing");
  if ("text" in url) {
    const parsed = URL.parse(url.text);
    if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.hash !== "")
      throw table.fault("url", "is not a URL, expected http://HOST:PORT/PATH or https://HOST/PATH");
    if (parsed.username !== "" || parsed.password !== "")
      throw table.fault("url", "has a user or a password, expected them in basic_auth");
    if (path !== undefined && !path.test(parsed.pathname))
      throw table.fault("url", `is ${quote(shownUrl(url))}…, expected a URL ${expectedPath}`);
  }
  return { url, authorization: readAuthorization(table), tls: readTls(table.table("tls_config")) };
}

function readEmail(table: SettingTable): NotifierTarget {
  const text = table.text("url");
  if (text === undefined)
    throw table.fault("url", "is missing, expected smtp://HOST:PORT or smtps://HOST:PORT");
  const url = URL.parse(text);
  if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === "" || !/^\/?$/.test(url.pathname))
    throw table.fault("url", "is not an address of SMTP, expected smtp://HOST:PORT or smtps://HOST:PORT");
  if (url.username !== "" || url.password !== "")
    throw table.fault("url", "has a user or a password, expected them in username and password_file");
  const isTls = url.protocol === "smtps:";
  const from = table.text("from");
  const to = table.textOrTexts("to");
  if (from === undefined) throw table.fault("from", "is missing");
  if (to.length === 0) throw table.fault("to", "is missing");
  for (const [key, address] of [["from", from], ...to.map((each) => ["to", each])] as [string, string][]) {
    if (!MAIL_ADDRESS.test(address))
      throw table.fault(key, `is ${quote(address)}, expected an address such as ops@example.org`);
  }
  const username = table.text("username");
  const password = table.secret("password");
  if ((username === undefined) !== (password === undefined))
    throw table.fault("username", "and password belong together, expected both");
  return {
    type: "email",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (isTls ? SMTPS_PORT : SMTP_PORT) : Number(url.port),
    isTls,
    requireTls: table.flag("require_tls", true),
    tls: readTls(table.table("tls_config")),
    from,
    to,
    username,
    password,
  };
}

function readMatchers(table: SettingTable, key: string): AlertMatcher[] {
  return table.textOrTexts(key).flatMap((text) => {
    try {
      return parseAlertMatchers(text);
    } catch (error) {
      if (error instanceof MatcherFault) throw table.fault(key, `is invalid: ${error.message}`);
      throw error;
    }
  });
}

/** `["..."]` stands for all labels, as in Alertmanager. */
function readGroupBy(table: SettingTable): Notifier["groupBy"] {
  const isGiven = table.has("group_by");
  const names = table.textOrTexts("group_by");
  if (!isGiven) return DEFAULTS.groupBy;
  if (names.includes("...")) {
    if (names.length > 1) throw table.fault("group_by", 'has "..." and other labels, expected "..." alone');
    return "all";
  }
  return readLabelNames(table, "group_by", names);
}

function readLabelNames(table: SettingTable, key: string, names: readonly string[]): readonly string[] {
  const wrong = names.find((each) => !LABEL_NAME.test(each));
  if (wrong !== undefined) throw table.fault(key, `has ${quote(wrong)}, expected names of labels`);
  return [...new Set(names)];
}

/** The scheme and the host of a URL, or the file that has it. */
function shownUrl(url: Secret): string {
  return "file" in url ? url.file : (URL.parse(url.text)?.origin ?? "");
}

/** The notifiers for people, without secrets: name, type and where it sends to. */
export function formatNotifiers(notifiers: readonly Notifier[]): string {
  return notifiers
    .map(({ name, target }) => {
      if (target.type === "exec") return `${name}=exec:${target.command[0]}`;
      if (target.type === "email")
        return `${name}=email:${target.isTls ? "smtps" : "smtp"}://${target.host}:${target.port}`;
      return `${name}=${target.type}:${shownUrl(target.url)}`;
    })
    .join(" ");
}

/** The rules of inhibition for people: the sources, and the targets that they mute. */
export function formatInhibitRules(rules: readonly InhibitRule[]): string {
  const text = (matchers: readonly AlertMatcher[]) => `{${matchers.map(formatAlertMatcher).join(",")}}`;
  return rules
    .map(({ sourceMatchers, targetMatchers }) => `${text(sourceMatchers)}>${text(targetMatchers)}`)
    .join(" ");
}
