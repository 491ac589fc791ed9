/** `weir man`: prints the manual page. */
import manifest from "../../../package.json" with { type: "json" };
import { readArguments } from "../arguments.ts";
import { type Command, exitCode } from "../command.ts";
import { manualPage } from "./man-page.ts";

export const command: Command = {
  name: "man",
  summary: "prints the manual page",
  usage: `Usage: weir man

Prints the manual page of all commands and settings, in the language of man:

  weir man | man -l -
  weir man >/usr/local/share/man/man1/weir.1

The exit code is 0 if it was printed, and 2 if the arguments are invalid.`,
  async run(argv, io, all) {
    readArguments(argv, {}, false);
    await io.stdout.write(manualPage(await all(), { version: manifest.version, date: "" }));
    return exitCode.ok;
  },
};
