/** The arguments of commands that work on a data folder, or on the gateway that has it open. */
import { loadConfig } from "../../config/config.ts";
import { readArguments } from "../arguments.ts";
import { urlOptions } from "../client.ts";
import type { Io } from "../command.ts";

const OPTIONS = { data: { type: "string" }, config: { type: "string" }, ...urlOptions } as const;

/** The lines about the data folder for a command's usage. */
export const dataHelp = `  --data DIR         the data folder (variable WEIR_DATA, or data in weir.toml; default ./data)
  --config FILE      the configuration file; default: weir.toml in the working directory, if it exists`;

interface DataFolderArguments {
  readonly data: string;
  readonly url: string | undefined;
  readonly ca: string | undefined;
  readonly positionals: readonly string[];
}

/** Reads them. The data folder is found as by `weir serve`. */
export function dataFolderArguments(
  argv: readonly string[],
  io: Pick<Io, "env" | "readFile">,
): DataFolderArguments {
  const { values, positionals } = readArguments(argv, OPTIONS, true);
  const settings = (["data", "config"] as const).flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [`--${name}=${value}`];
  });
  return {
    data: loadConfig(settings, io.env, io.readFile).data,
    url: values.url,
    ca: values.ca,
    positionals,
  };
}
