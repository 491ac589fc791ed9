/** The completion of shells: what the scripts offer, asked in the shells themselves. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SCOPES } from "../../../src/access/access-token.ts";
import { COMMANDS } from "../../../src/commands/all-commands.ts";
import { commandWords } from "../../../src/commands/help/command-words.ts";
import { flagsOf, readUsage, subcommandsOf } from "../../../src/commands/help/usage-text.ts";
import { describeSettings } from "../../../src/config/config.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { hasTerminal, typed } from "../terminal.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();

async function scriptOf(shell: string): Promise<string> {
  const { code, out, err } = await weir(["completion", shell]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const path = join(folder, `weir.${shell}`);
  writeFileSync(path, out);
  return path;
}

/** Runs a script of a shell. Undefined if the shell is not installed. */
function run(shell: string, ...argv: string[]): { code: number; out: string; err: string } | undefined {
  const path = Bun.which(shell);
  if (path === null) return undefined;
  const child = Bun.spawnSync([path, ...argv], { cwd: folder });
  return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

const allCommands = () => Promise.all(Object.values(COMMANDS).map(async (load) => (await load()).command));

const hasShell = (shell: string) => Bun.which(shell) !== null;

describe("the text of a usage", () => {
  const usage = `Usage: weir thing add NAME [OPTIONS]
       weir thing [list]

Does something.
It has two lines:

  weir thing add x

  NAME               a name
  --format FORMAT    table (default), json or csv
  --from, --to TIME  the range
  --long-option VALUE
                     on a line of its own,
                       with a table
  --dry-run          changes nothing

The exit code is 0.`;

  test("is read as usage lines, paragraphs, examples and lists", () => {
    const { synopsis, blocks } = readUsage(usage);
    expect(synopsis).toEqual(["weir thing add NAME [OPTIONS]", "weir thing [list]"]);
    expect(blocks.map(({ is }) => is)).toEqual(["paragraph", "example", "list", "paragraph"]);
    expect(blocks[0]).toEqual({ is: "paragraph", text: "Does something. It has two lines:" });
    expect(blocks[1]).toEqual({ is: "example", lines: ["weir thing add x"] });
    expect(blocks[2]).toMatchObject({
      items: [
        { term: "NAME", lines: ["a name"] },
        { term: "--format FORMAT" },
        { term: "--from, --to TIME" },
        { term: "--long-option VALUE", lines: ["on a line of its own,", "  with a table"] },
        { term: "--dry-run", lines: ["changes nothing"] },
      ],
    });
  });

  test("has flags with their values and choices, and subcommands", () => {
    expect(flagsOf(readUsage(usage)).map(({ flag, value, choices }) => [flag, value, choices])).toEqual([
      ["--format", "FORMAT", ["table", "json", "csv"]],
      ["--from", "TIME", []],
      ["--to", "TIME", []],
      ["--long-option", "VALUE", []],
      ["--dry-run", undefined, []],
    ]);
    expect(subcommandsOf(readUsage(usage))).toEqual(["add", "list"]);
  });
});

test("the words of each command are those of its usage and of the settings", async () => {
  const commands = new Map(commandWords(await allCommands()).map((each) => [each.name, each]));
  const flags = (name: string) => commands.get(name)?.flags.map(({ flag }) => flag);
  expect(flags("promql")?.toSorted()).toEqual(
    ["--at", "--ca", "--end", "--format", "--help", "--output", "--start", "--step", "--url"].toSorted(),
  );
  expect(commands.get("token")?.words).toEqual(["create", "list", "revoke"]);
  expect(commands.get("rejected")?.words).toEqual(["list", "replay", "clear"]);
  expect(commands.get("summary")?.words).toContain("slow_tasks");
  const serve = flags("serve") ?? [];
  for (const { flag, isSwitch, defaultText } of describeSettings())
    expect(serve).toContain(isSwitch && defaultText === "true" ? `--no-${flag.slice(2)}` : flag);
  expect(serve).toContain("--config");
  const choices = commands.get("serve")?.flags.find(({ flag }) => flag === "--log-level")?.value;
  expect(choices).toEqual(["error", "warn", "info", "debug"]);
  for (const { name, flags: all } of commands.values())
    expect({ name, flags: all.map(({ flag }) => flag) }).toEqual({
      name,
      flags: [...new Set(all.map(({ flag }) => flag))],
    });
});

test("bash completes commands, subcommands, flags, values and files", async () => {
  const path = await scriptOf("bash");
  writeFileSync(join(folder, "events.json"), "");
  const complete = (...words: string[]) => {
    const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, out, err } = run("bash", "-uc", script, "bash", path, "weir", ...words)!;
    expect({ code, err }).toEqual({ code: 0, err: "" });
    return out.split("\n").filter(Boolean);
  };
  expect(complete("se")).toEqual(["serve"]);
  expect(complete("token", "")).toEqual(["create", "list", "revoke"]);
  expect(complete("promql", "--st")).toEqual(["--start", "--step"]);
  expect(complete("sql", "--format", "")).toEqual(["table", "json", "ndjson", "csv", "lines", "parquet"]);
  expect(complete("promql", "--format", "")).toEqual(["table", "json"]);
  expect(complete("token", "create", "--scope", "")).toEqual([...SCOPES]);
  expect(complete("init", "--service", "")).toEqual(["none", "systemd"]);
  expect(complete("serve", "--log-format", "")).toEqual(["logfmt", "json"]);
  expect(complete("summary", "slow_t")).toEqual(["slow_tasks"]);
  expect(complete("import", "eve")).toEqual(["events.json"]);
  expect(complete("help", "compl")).toEqual(["completion"]);
  expect(complete("no-such-command", "--x")).toEqual([]);
});

test.skipIf(!hasShell("fish"))("fish completes commands, subcommands, flags and values", async () => {
  const path = await scriptOf("fish");
  const complete = (line: string) => {
    const script = `source ${path}; complete -C '${line}'`;
    const { code, out, err } = run("fish", "--no-config", "-c", script)!;
    expect({ code, err }).toEqual({ code: 0, err: "" });
    return out
      .split("\n")
      .filter(Boolean)
      .map((each) => each.split("\t")[0]);
  };
  expect(complete("weir se")).toEqual(["serve"]);
  expect(complete("weir token ")).toEqual(["create", "list", "revoke"]);
  expect(complete("weir promql --st").toSorted()).toEqual(["--start", "--step"]);
  expect(complete("weir sql --format ").toSorted()).toEqual(
    ["table", "json", "ndjson", "csv", "lines", "parquet"].toSorted(),
  );
});

test.skipIf(!hasShell("zsh") || !hasTerminal)("zsh completes words at the Tab key", async () => {
  const path = await scriptOf("zsh");
  const home = temporaryFolder();
  const settings = `autoload -Uz compinit && compinit -D -u && source ${path} && PS1='ready> '\n`;
  writeFileSync(join(home, ".zshrc"), settings);
  const { screen } = await typed(
    ["zsh", "-i"],
    [
      ["ready> ", "weir se\t"],
      ["rve", "--no-\t"],
      ["machine", "\x15weir serve --log-format \t"],
      ["logfmt", "\x15weir token \t"],
      ["revoke", "create --scope \t"],
      ["scrape", "\x15weir summary slow_t\t"],
      ["asks", "\x15exit\n"],
    ],
    { ZDOTDIR: home },
  );
  expect(screen).toContain("without: Samples the metrics of this machine");
  for (const scope of SCOPES) expect(screen).toContain(scope);
});

test("a description beside a word is short, and whole", async () => {
  const { out } = await weir(["completion", "fish"]);
  expect(out).toContain(
    "-l ca -r -F -d 'with https: trusts the certificates of this file in PEM (variable WEIR_CA)'",
  );
  expect(out).not.toMatch(/\([^)']*'$/m);
});

test.skipIf(!hasShell("zsh"))("zsh accepts the script, and uses it for weir", async () => {
  const path = await scriptOf("zsh");
  const script = "autoload -Uz compinit && compinit -D -u && source $1 && print $_comps[weir]";
  expect(run("zsh", "-f", "-c", script, "zsh", path)).toEqual({ code: 0, out: "_weir\n", err: "" });
});

test("an unknown shell is rejected with the names of those that are supported", async () => {
  expect(await weir(["completion", "tcsh"])).toMatchObject({
    code: 2,
    err: 'weir completion: The shell is "tcsh", expected one of bash, zsh, fish.\nRun "weir completion --help" for its usage.\n',
  });
});
