/**
 * The manual page, made of the texts of `--help` and of the table of settings, in the language of man(7). Commands that list the
 * settings have no list of their own there.
 */
import { describeSettings } from "../../config/config.ts";
import type { Command } from "../command.ts";
import { readUsage, type UsageBlock } from "./usage-text.ts";

export interface ManualVersion {
  readonly version: string;
  /** The day of the release, such as `2026-11-27`, or an empty text. */
  readonly date: string;
}

export function manualPage(commands: readonly Command[], { version, date }: ManualVersion): string {
  return `${[
    `.TH WEIR 1 ${inQuotes(date)} ${inQuotes(`weir ${version}`)} "User Commands"`,
    ".SH NAME",
    "weir \\- push gateway for metrics with its own time\\-series store",
    ".SH SYNOPSIS",
    ".B weir\n.I COMMAND\n[ARGUMENTS]",
    ".SH DESCRIPTION",
    line(
      "Weir receives metrics that workers, scripts, OpenTelemetry, Telegraf and Prometheus push, stores every sample, answers " +
        "queries in SQL and PromQL, and exposes the current values to Prometheus. It is one process with one database file.",
    ),
    ".SH COMMANDS",
    ...commands.map(({ name, summary }) => `.TP\n.B ${escaped(name)}\n${line(summary)}`),
    ...commands.flatMap(({ name, usage }) => commandSection(name, usage)),
    ".SH SETTINGS",
    line(
      "Each setting is a flag, a variable, and a key of weir.toml. Flags override the environment, and the environment overrides " +
        "the file. Durations and sizes have a suffix: 15s, 1h, 32MiB.",
    ),
    ...describeSettings().map(({ key, flag, variable, defaultText, what, why }) =>
      [
        ".TP",
        `.BR ${escaped(flag)} " (${escaped(variable)}, ${escaped(key)})"`,
        line(`${what} ${why} Default: ${defaultText === "" ? "none" : defaultText}.`),
      ].join("\n"),
    ),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.map(([name, what]) => `.TP\n.B ${name}\n${line(what)}`),
    ".SH FILES",
    ...FILES.map(([name, what]) => `.TP\n.I ${escaped(name)}\n${line(what)}`),
    ".SH EXIT STATUS",
    line("0 for success, 1 if the work failed, and 2 if the arguments are invalid. weir doctor has others."),
  ].join("\n")}\n`;
}

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ["WEIR_URL", "the gateway that commands ask, instead of http://127.0.0.1:9091"],
  ["WEIR_TOKEN", "the token of the requests of commands"],
  ["WEIR_CA", "with https: a file of certificates in PEM that commands trust"],
  ["WEIR_ADMIN_TOKEN", "for weir serve: a token with all scopes, for a first start"],
];

const FILES: readonly (readonly [string, string])[] = [
  ["weir.toml", "the settings, in the working directory or where --config says"],
  ["/etc/weir/weir.toml", "the settings of the service of the Debian package"],
  ["/var/lib/weir", "the data of the service of the Debian package"],
];

function commandSection(name: string, usage: string): string[] {
  const { synopsis, blocks } = readUsage(usage);
  const lines = synopsis.map((line) => `.B ${escaped(line)}`);
  return [
    `.SH ${inQuotes(`weir ${name}`.toUpperCase())}`,
    ".nf",
    ...lines,
    ".fi",
    ...blocks.flatMap((block, at) =>
      // The blocks on settings follow each other, and SETTINGS has them.
      isAboutSettings(block) || isAboutSettings(blocks[at - 1]) ? [] : blockText(block),
    ),
    ...(blocks.some(isAboutSettings) ? [".PP", "The settings are listed in SETTINGS."] : []),
  ];
}

function isAboutSettings(block: UsageBlock | undefined): boolean {
  return block?.is === "paragraph" && block.text.startsWith("Settings, with their defaults.");
}

function blockText(block: UsageBlock): string[] {
  switch (block.is) {
    case "paragraph":
      return [".PP", line(block.text)];
    case "example":
      return [".PP", ".RS 4", ".nf", ...block.lines.map(line), ".fi", ".RE"];
    case "list":
      return block.items.map(({ term, lines }) => {
        // Lines that are indented more are a table.
        const isPlain = lines.every((each) => !each.startsWith(" "));
        const body = isPlain ? line(lines.join(" ")) : [".nf", ...lines.map(line), ".fi"].join("\n");
        return `.TP\n.B ${escaped(term)}\n${body}`;
      });
  }
}

/** A line of a text. If it began with a dot, it would be a request. */
function line(content: string): string {
  return escaped(content).replace(/^(?=\.)/, "\\&");
}

/** Characters that troff would read or draw as others. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

function escaped(content: string): string {
  return content.replaceAll(
    /[\\'`^~-]|[^\0-\x7f]/gu,
    (char) => ESCAPES[char] ?? `\\[u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
  );
}

function inQuotes(content: string): string {
  return `"${escaped(content).replaceAll('"', "")}"`;
}
