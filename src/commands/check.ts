/**
 * `weir check`: reads the settings as `weir serve` would, says what is wrong with them, or prints what is in
 * effect and where each value came from. No setting is a secret, so all are shown.
 */
import { describeSettings, formatSetting, resolveSettings } from "../config.ts";
import { type Command, exitCode } from "./command.ts";
import { settingsHelp } from "./settings-help.ts";

export const command: Command = {
  name: "check",
  summary: "validates the settings and prints those in effect",
  usage: `Usage: weir check [SETTINGS]

Reads the settings as "weir serve" would, and prints each with the place that it came from: a flag, a
variable, the configuration file, or the default. Exit code 2 when a setting is unknown or does not fit.

${settingsHelp()}`,
  async run(argv, io) {
    const { config, origins, strangers } = resolveSettings(argv, io.env, io.readFile);
    const rows = describeSettings().map(({ key }) => [
      key,
      formatSetting(config, key) || "none",
      origins[key],
    ]);
    const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
    const lines = rows.map(
      ([key, value, origin]) => `${key.padEnd(widths[0])}  ${value.padEnd(widths[1])}  ${origin}\n`,
    );
    await io.stdout.write(lines.join(""));
    for (const stranger of strangers) {
      await io.stderr.write(`weir check: warning: the variable ${stranger} is no setting.\n`);
    }
    return exitCode.ok;
  },
};
