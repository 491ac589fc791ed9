/**
 * The unit of systemd for a gateway, made of scripts/deploy/systemd/weir.service: only the lines that depend on the installation
 * differ. The shipped unit gives the service a user that exists while it runs. A package has a user of its own instead, so that
 * people can run commands as that user.
 */
import { readFileSync } from "node:fs";
import { programPath } from "../../program/program-files.ts";

export interface ServiceUnit {
  /** The words of ExecStart, up to `serve`. */
  readonly program: readonly string[];
  /** The file of settings. */
  readonly config: string;
  /** The data folder. */
  readonly data: string;
  /** The user that runs the service, with its own group, whatever its name is. Without it, systemd makes one. */
  readonly user?: string | undefined;
  /** A document to read on. Without it, the manual page. */
  readonly readme?: string | undefined;
}

const SHIPPED = "scripts/deploy/systemd/weir.service";
/** systemd makes the folder of the service below this one. */
const STATE_FOLDER = "/var/lib/";

/** Whether systemd makes a data folder for the user of the service. */
export function isStateFolder(data: string): boolean {
  return data.startsWith(STATE_FOLDER) && !data.slice(STATE_FOLDER.length).includes("..");
}

export function serviceUnit({ program, config, data, user, readme }: ServiceUnit): string {
  const lines = readFileSync(programPath(SHIPPED), "utf8").split("\n");
  const isState = isStateFolder(data);
  const changed: Readonly<Record<string, readonly string[]>> = {
    "# The gateway as a service": ['# The gateway as a service, as "weir init" made it.'],
    "Documentation=": [
      // An address ends at a space.
      `Documentation=${readme === undefined ? "man:weir(1)" : word(`file:${encodeURI(readme)}`)}`,
    ],
    "Environment=WEIR_DATA=": [`Environment=${word(`WEIR_DATA=${data}`)}`],
    "ExecStart=": [`ExecStart=${[...program, "--config", config].map(word).join(" ")}`],
    "WorkingDirectory=": [`WorkingDirectory=${word(data)}`],
    "DynamicUser=": user === undefined ? ["DynamicUser=yes"] : [`User=${user}`],
    "StateDirectory=": isState
      ? [`StateDirectory=${data.slice(STATE_FOLDER.length)}`]
      : [`ReadWritePaths=${word(data)}`],
    "StateDirectoryMode=": isState ? ["StateDirectoryMode=0700"] : [],
  };
  const made = lines.flatMap((line) => {
    const key = Object.keys(changed).find((each) => line.startsWith(each));
    return key === undefined ? [line] : changed[key]!;
  });
  // The comment is about the line below it.
  const text = made.join("\n");
  return user === undefined
    ? text
    : text.replace(
        /# A user that exists while the service runs\..*\n/,
        "# It owns the folder, which is kept.\n",
      );
}

/** A word as systemd reads it: in quotation marks if it has a space, with `%` and `$` doubled. */
function word(text: string): string {
  const escaped = text.replaceAll("%", "%%").replaceAll("$", () => "$$");
  return /[\s"'\\]/.test(escaped) ? `"${escaped.replaceAll(/["\\]/g, "\\$&")}"` : escaped;
}
