/** What a shell can complete: the commands with their flags and words, from the texts of `--help` and the table of settings. */
import { describeSettings } from "../../config/config.ts";
import { loadSummaries } from "../../query/summaries/summaries.ts";
import type { Command } from "../command.ts";
import { flagsOf, readUsage, subcommandsOf } from "./usage-text.ts";

export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  /** Words that may be the first argument: subcommands, or names of summaries. */
  readonly words: readonly string[];
  readonly flags: readonly FlagWords[];
  /** Whether other arguments are files. */
  readonly takesFiles: boolean;
}

export interface FlagWords {
  readonly flag: string;
  /** One line. */
  readonly text: string;
  readonly value: "none" | "any" | "file" | "folder" | readonly string[];
}

/** Placeholders of usages that stand for paths. */
const FILES = /^(FILE|SOURCE|PATH)/;
const FOLDERS = /^(DIR|FOLDER|DEST)/;

/** Settings whose values are paths, by their flags. */
const FOLDER_SETTINGS = /^--(data|dashboards)$/;
const FILE_SETTINGS = /^--(rules|tail|.*-(file|cert|key|ca))$/;

/** All commands, in the order of the overview, and `help`. */
export function commandWords(commands: readonly Command[]): CommandWords[] {
  const found = commands.map(({ name, summary, usage }) => {
    const text = readUsage(usage);
    const own = flagsOf(text).map(({ flag, value, text: about, choices }) => ({
      flag,
      text: about,
      value: kindOfValue(value, choices),
    }));
    const takesSettings = text.synopsis.some((line) => line.includes("[SETTINGS]"));
    const settings = takesSettings ? settingFlags() : [];
    // The table of settings says more of them than the list in a usage.
    const names = new Set(takesSettings ? describeSettings().map(({ flag }) => flag) : []);
    const flags = [...own.filter(({ flag }) => !names.has(flag)), ...settings, HELP];
    return {
      name,
      summary,
      words: name === "summary" ? loadSummaries().map((each) => each.name) : subcommandsOf(text),
      flags,
      takesFiles: text.synopsis.some((line) =>
        /(?<!<) (FILE|FOLDER|SOURCE|DEST)\b/.test(line.replaceAll(/--[\w-]+ \w+/g, "")),
      ),
    };
  });
  const names = found.map(({ name }) => name);
  const help = {
    name: "help",
    summary: "prints the usage of a command",
    words: names,
    flags: [],
    takesFiles: false,
  };
  return [...found, help];
}

const HELP: FlagWords = { flag: "--help", text: "prints the usage", value: "none" };

function kindOfValue(value: string | undefined, choices: readonly string[]): FlagWords["value"] {
  if (value === undefined) return "none";
  if (choices.length > 1) return choices;
  if (FILES.test(value)) return "file";
  return FOLDERS.test(value) ? "folder" : choices.length === 1 ? choices : "any";
}

function settingFlags(): FlagWords[] {
  return describeSettings().map(({ flag, what: text, choices, isSwitch, defaultText }) => {
    if (isSwitch && defaultText === "true")
      return { flag: `--no-${flag.slice(2)}`, text: `without: ${text}`, value: "none" };
    if (isSwitch) return { flag, text, value: "none" };
    if (choices.length > 0) return { flag, text, value: choices };
    const value = FOLDER_SETTINGS.test(flag) ? "folder" : FILE_SETTINGS.test(flag) ? "file" : "any";
    return { flag, text, value };
  });
}
