/** The completion of weir as scripts of bash, zsh and fish. They contain all words, and start no program. */
import type { CommandWords, FlagWords } from "./command-words.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script of a shell, for its file of completions or for `eval`. */
export function completionScript(shell: Shell, commands: readonly CommandWords[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](commands);
}

/** A text between apostrophes, as the shells of Unix read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The first part of a description that says enough, which fits beside the words of a menu. */
function short(text: string): string {
  const end = /^.{16,}?[.;:](?= |$)/.exec(text)?.[0].slice(0, -1) ?? text;
  const sentence = end.length > 90 ? `${end.slice(0, 89).trimEnd()}…` : end;
  // Not a note whose end is missing.
  return sentence.replace(/ \([^)]*$/, "");
}

function bashScript(commands: readonly CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const perCommand = commands.map(({ name, words, flags, takesFiles }) => {
    const values = flags
      .filter(({ value }) => value !== "none")
      .map((flag) => `        ${flag.flag}) ${bashValue(flag)} ;;`);
    return `    ${name})
      case $before in
${values.join("\n")}${values.length > 0 ? "\n" : ""}      esac
      words=${quoted(words.join(" "))}
      flags=${quoted(flags.map(({ flag }) => flag).join(" "))}
      ${takesFiles ? "files=1" : "files="}
      ;;`;
  });
  return `# Completion of weir for bash: put this into a file of /etc/bash_completion.d, or run
# eval "$(weir completion bash)".
_weir() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  local words='' flags='' files='' line
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W ${quoted(`${names} --version --help`)} -- "$word")
    return
  fi
  case $command in
${perCommand.join("\n")}
    *) return ;;
  esac
  case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word") ;;
    *)
      ((COMP_CWORD > 2)) || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
      [[ -z $files ]] || while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
      ;;
  esac
}
complete -o filenames -o bashdefault -F _weir weir
`;
}

function bashValue({ value }: FlagWords): string {
  if (value === "file") return `mapfile -t COMPREPLY < <(compgen -f -- "$word"); return`;
  if (value === "folder") return `mapfile -t COMPREPLY < <(compgen -d -- "$word"); return`;
  if (typeof value === "string") return "return";
  return `mapfile -t COMPREPLY < <(compgen -W ${quoted(value.join(" "))} -- "$word"); return`;
}

function zshScript(commands: readonly CommandWords[]): string {
  const list = commands.map(
    ({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(":", "\\:")}`)}`,
  );
  const perCommand = commands.map(({ name, words, flags, takesFiles }) => {
    const specs = flags.map(
      ({ flag, text, value }) => `*${flag}[${short(text).replaceAll(/[[\]:\\]/g, "\\$&")}]${zshValue(value)}`,
    );
    if (words.length > 0) specs.push(`1:word:(${words.join(" ")})`);
    if (takesFiles) specs.push("*:file:_files");
    return `    ${name})\n      _arguments -S \\\n${specs.map((spec) => `        ${quoted(spec)}`).join(" \\\n")}\n      ;;`;
  });
  return `#compdef weir
# Completion of weir for zsh: put this into a file _weir of a folder of $fpath, or run
# eval "$(weir completion zsh)" after compinit.
_weir() {
  local -a commands=(
${list.join("\n")}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${perCommand.join("\n")}
  esac
}
if [[ $funcstack[1] == _weir ]]; then
  _weir "$@"
else
  compdef _weir weir
fi
`;
}

function zshValue(value: FlagWords["value"]): string {
  if (value === "none") return "";
  if (value === "file") return ":file:_files";
  if (value === "folder") return ":folder:_files -/";
  return value === "any" ? ":value: " : `:value:(${value.join(" ")})`;
}

function fishScript(commands: readonly CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const lines = [
    "# Completion of weir for fish: put this into ~/.config/fish/completions/weir.fish, or run",
    "# weir completion fish | source.",
    "complete -c weir -f",
    `complete -c weir -n '__fish_use_subcommand ${names}' -l version -d 'prints the version'`,
  ];
  for (const { name, summary, words, flags, takesFiles } of commands) {
    const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
    lines.push(`complete -c weir -n '__fish_is_first_token' -a ${name} -d ${quote(summary)}`);
    const inside = `-n '__fish_seen_subcommand_from ${name}'`;
    if (words.length > 0) lines.push(`complete -c weir ${inside} -a ${quote(words.join(" "))}`);
    if (takesFiles) lines.push(`complete -c weir ${inside} -F`);
    for (const { flag, text, value } of flags)
      lines.push(
        `complete -c weir ${inside} -l ${flag.slice(2)}${fishValue(value)} -d ${quote(short(text))}`,
      );
  }
  return `${lines.join("\n")}\n`;
}

function fishValue(value: FlagWords["value"]): string {
  if (value === "none") return "";
  if (value === "file") return " -r -F";
  if (value === "folder") return " -x -a '(__fish_complete_directories)'";
  return value === "any" ? " -x" : ` -x -a '${value.join(" ")}'`;
}
