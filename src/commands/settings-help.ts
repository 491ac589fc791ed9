/**
 * The settings as text for `--help`: each flag with its default and its description, wrapped for a terminal.
 */
import { describeSettings } from "../config/config.ts";

const WIDTH = 100;
const INDENT = 6;

/** Every setting, with the rule for its variable and its key in weir.toml. Ends without a newline. */
export function settingsHelp(): string {
  const entries = describeSettings().map(({ flag, defaultText, what, why }) => {
    const shown = defaultText === "" ? "none" : defaultText;
    return `  ${flag} (${shown})\n${wrap(`${what} ${why}`)}`;
  });
  return [
    "Settings, with their defaults. Each is also read from the environment (WEIR_RETENTION_DAYS for",
    "--retention-days) and from a TOML file (retentionDays = 7). Flags override the environment, and",
    "the environment overrides the file. Durations and sizes have a suffix: 15s, 1h, 32MiB.",
    "",
    "  --config FILE (weir.toml in the working directory, if it exists)",
    wrap("The TOML file."),
    ...entries,
  ].join("\n");
}

function wrap(text: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && INDENT + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((each) => " ".repeat(INDENT) + each).join("\n");
}
