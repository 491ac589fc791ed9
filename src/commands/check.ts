/**
 * `weir check`: reads the settings as `weir serve` does. It reports errors, or prints each setting with its value and
 * the source of the value. Passwords and tokens of scraped targets are not printed. It also reads certificates and web.yml.
 *
 * With `--rules` it checks rule files instead (check/absent-metrics.ts).
 */
import { type Config, describeSettings, formatSetting, resolveSettings } from "../config/config.ts";
import { alignedRows } from "../query/formats/aligned-text.ts";
import { checkWebConfig } from "../web-config/live-web-config.ts";
import { WebConfigError } from "../web-config/web-config.ts";
import { readArguments } from "./arguments.ts";
import { checkRules } from "./check/absent-metrics.ts";
import { gatewayAt, urlHelp, urlOptions } from "./client.ts";
import { type Command, exitCode, type Io } from "./command.ts";
import { settingsHelp } from "./settings-help.ts";

const RULES_OPTIONS = {
  rules: { type: "string", multiple: true, default: [] as string[] },
  ...urlOptions,
} as const;

export const command: Command = {
  name: "check",
  summary: "prints the settings in effect, or checks rule files for metrics without series",
  usage: `Usage: weir check [SETTINGS]
       weir check --rules FILE… [--url URL]

Reads the settings as "weir serve" does, and prints each with its value and the source of the value: a flag,
a variable, the configuration file, or the default. The exit code is 2 if a setting is unknown or invalid.
It is 1 if the certificate, its key or the web configuration cannot be used, or if clients would reject the
certificate.

With --rules it reads rule files of Prometheus instead, and asks a running gateway which metrics of their
expressions have no series. A rule that selects such a metric never fires. Each such rule is printed on one
line. Metrics that a recording rule of the same files makes are not checked.

  weir check --rules scripts/deploy/prometheus/rules/weir.rules.yml
  weir check --rules '/etc/prometheus/rules/*.yml' --url http://gateway:9091

  --rules FILE…      rule files, or patterns such as 'rules/*.yml'
${urlHelp}.
                     You can also give the URL of a Prometheus that evaluates the rules

If a metric has series but a selector matches none of them, that is only a warning: for example, a status
that has not occurred yet has no series. The exit code is 0 if every metric has series. It is 1 if a metric
has none, a file is not a rule file, an expression is not PromQL, or the gateway failed. It is 2 if the
arguments are invalid.

${settingsHelp()}`,
  async run(argv, io) {
    if (argv.some((argument) => /^--rules(=|$)/.test(argument))) {
      const { values, positionals } = readArguments(argv, RULES_OPTIONS, true);
      return await checkRules([...values.rules, ...positionals], gatewayAt(values.url, io, values.ca), io);
    }
    return await checkSettings(argv, io);
  },
};

async function checkSettings(argv: readonly string[], io: Io): Promise<number> {
  const { config, origins, unknownVariables } = resolveSettings(argv, io.env, io.readFile);
  // Their questions are checked when rules are made of them.
  const { generatedRules } = await import("../open-rules.ts");
  generatedRules(config);
  const { tailFormatOf } = await import("../open-tail.ts");
  await tailFormatOf(config);
  const { notificationTemplates } = await import("../open-notifications.ts");
  await notificationTemplates(config);
  const rows = describeSettings().map(({ key }) => [key, formatSetting(config, key) || "none", origins[key]]);
  await io.stdout.write(alignedRows(rows));
  for (const variable of unknownVariables) {
    await io.stderr.write(`weir check: warning: the variable ${variable} is not a setting.\n`);
  }
  let code: number = exitCode.ok;
  for (const { state, text } of webFindings(config)) {
    if (state === "fault") code = exitCode.failure;
    await io.stderr.write(`weir check: ${state === "fault" ? "" : "warning: "}${text}\n`);
  }
  return code;
}

/** What is wrong with the certificate, its key and web.yml. */
function webFindings(config: Config): ReturnType<typeof checkWebConfig> {
  try {
    return checkWebConfig(config, Date.now());
  } catch (error) {
    if (!(error instanceof WebConfigError)) throw error;
    return [{ state: "fault", text: error.message }];
  }
}
