/** `weir completion`: prints the script by which a shell completes the command line. */
import { oneOf, readArguments } from "../arguments.ts";
import { type Command, exitCode, UsageError } from "../command.ts";
import { commandWords } from "./command-words.ts";
import { completionScript, SHELLS } from "./shell-scripts.ts";

export const command: Command = {
  name: "completion",
  summary: "prints the completion of the command line for a shell",
  usage: `Usage: weir completion bash
       weir completion zsh
       weir completion fish

Prints a script by which the shell completes commands, flags, their values, and the names of summaries. It starts
no program when a word is completed. To use it in this shell, and in later ones:

  eval "$(weir completion bash)"
  weir completion bash >/etc/bash_completion.d/weir
  weir completion zsh >/usr/local/share/zsh/site-functions/_weir
  weir completion fish >~/.config/fish/completions/weir.fish

The exit code is 0 if the script was printed, and 2 if the arguments are invalid.`,
  async run(argv, io, all) {
    const [shell, ...others] = readArguments(argv, {}, true).positionals;
    if (shell === undefined || others.length > 0)
      throw new UsageError(`expected one of ${SHELLS.join(", ")}, such as weir completion bash.`);
    await io.stdout.write(completionScript(oneOf("The shell", shell, SHELLS), commandWords(await all())));
    return exitCode.ok;
  },
};
