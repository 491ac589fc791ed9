/**
 * `weir serve`. The engine takes longest to open the store, and does so on a thread of its own. So it begins as soon as the settings
 * are known, before the modules of the gateway are loaded (serve.ts).
 */
import { beginOpening } from "./begin-opening.ts";
import { givenLogFormat, type Resolved, resolveSettings, SettingError } from "../../config/config.ts";
import { type Command, exitCode, type Io } from "../command.ts";
import { settingsHelp } from "../settings-help.ts";

/** At least as long as a random text that no one can guess, and without characters that a header would need to escape. */
const ADMIN_TOKEN = /^[A-Za-z0-9._~+/=-]{20,}$/;

/** The token of the environment, for a first start. An error does not quote it. */
function adminTokenOf(env: Io["env"]): string | undefined {
  const text = env.WEIR_ADMIN_TOKEN || undefined;
  if (text === undefined || ADMIN_TOKEN.test(text)) return text;
  throw new SettingError(
    'WEIR_ADMIN_TOKEN is not a token, expected at least 20 letters, digits or characters of "._~+/=-".',
  );
}

/** What the arguments, the environment and the file say. */
interface Given {
  readonly settings: Resolved;
  readonly adminToken: string | undefined;
}

/** If something is invalid and a format of the log is given, a program gets the reason in it: undefined. */
async function readGiven(argv: readonly string[], io: Io): Promise<Given | undefined> {
  try {
    return {
      settings: resolveSettings(argv, io.env, io.readFile),
      adminToken: adminTokenOf(io.env),
    };
  } catch (error) {
    const format = givenLogFormat(argv, io.env);
    if (format === undefined || !(error instanceof SettingError)) throw error;
    const [{ createLog }, { standardError }] = await Promise.all([
      import("../../log/log.ts"),
      import("../../log/standard-error.ts"),
    ]);
    const log = createLog("error", standardError(io.env.JOURNAL_STREAM), { format });
    log("start_failed", { error: error.message });
    return undefined;
  }
}

export const command: Command = {
  name: "serve",
  summary: "starts the gateway",
  // Made when someone asks for it: a start needs no help.
  get usage() {
    return `Usage: weir serve [SETTINGS]

Starts the gateway. It accepts pushes, answers queries and can be scraped, all over HTTP. On SIGTERM, SIGINT
or SIGHUP (ignored under nohup) it stores everything that it has accepted and stops.

As soon as a token exists ("weir token"), every request needs one, except those about health. The variable
WEIR_ADMIN_TOKEN is a token with all scopes, for a first start.

${settingsHelp()}`;
  },
  async run(argv, io) {
    const given = await readGiven(argv, io);
    if (given === undefined) return exitCode.usage;
    const { settings, adminToken } = given;
    const opening = beginOpening(settings.config);
    const { serve } = await import("./serve.ts");
    return await serve(argv, io, settings, { adminToken, opening });
  },
};
