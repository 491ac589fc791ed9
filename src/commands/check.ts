/**
 * `weir check`: reads the settings as `weir serve` would, says what is wrong with them, or prints what is in
 * effect and where each value came from. No setting is a secret, so all are shown.
 *
 * With `--rules` it checks rule files instead (check/rules.ts).
 */
import { describeSettings, formatSetting, resolveSettings } from "../config/config.ts";
import { readArguments } from "./arguments.ts";
import { checkRules } from "./check/rules.ts";
import { gatewayAt, urlHelp } from "./client.ts";
import { type Command, exitCode, type Io } from "./command.ts";
import { settingsHelp } from "./settings-help.ts";

const RULES_OPTIONS = {
  rules: { type: "string", multiple: true, default: [] as string[] },
  url: { type: "string" },
} as const;

export const command: Command = {
  name: "check",
  summary: "validates the settings, or rule files, and prints what is in effect or absent",
  usage: `Usage: weir check [SETTINGS]
       weir check --rules FILE… [--url URL]

Reads the settings as "weir serve" would, and prints each with the place that it came from: a flag, a
variable, the configuration file, or the default. Exit code 2 when a setting is unknown or does not fit.

With --rules it reads rule files of Prometheus instead and asks a running gateway which of the metrics that
their expressions select have no series. A rule that selects such a metric never fires; each is printed on
a line of its own. Metrics that a recording rule of the same files makes are not asked for.

  weir check --rules scripts/deploy/prometheus/rules/weir.rules.yml
  weir check --rules '/etc/prometheus/rules/*.yml' --url http://gateway:9091

  --rules FILE…      the files, or patterns such as 'rules/*.yml'
${urlHelp}
                     A Prometheus that evaluates the rules can be asked too

A selector that matches no series, though its metric has series, is only warned of: a status that has not
occurred yet has none. Exit code 0 when every metric has series, 1 when a metric has none, a file is no rule
file, an expression is no PromQL, or the gateway failed, 2 when the arguments make no sense.

${settingsHelp()}`,
  async run(argv, io) {
    if (argv.some((argument) => /^--rules(=|$)/.test(argument))) {
      const { values, positionals } = readArguments(argv, RULES_OPTIONS, true);
      return await checkRules([...values.rules, ...positionals], gatewayAt(values.url, io), io);
    }
    return await checkSettings(argv, io);
  },
};

async function checkSettings(argv: readonly string[], io: Io): Promise<number> {
  const { config, origins, unknownVariables } = resolveSettings(argv, io.env, io.readFile);
  const rows = describeSettings().map(({ key }) => [key, formatSetting(config, key) || "none", origins[key]]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map(
    ([key, value, origin]) => `${key.padEnd(widths[0])}  ${value.padEnd(widths[1])}  ${origin}\n`,
  );
  await io.stdout.write(lines.join(""));
  for (const variable of unknownVariables) {
    await io.stderr.write(`weir check: warning: the variable ${variable} is not a setting.\n`);
  }
  return exitCode.ok;
}
