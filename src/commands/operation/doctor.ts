/**
 * `weir doctor`: checks a data folder, its surroundings and the gateway that runs on it, one line per check. The exit
 * code says which check failed first. `--repair` stores what can be read of a damaged store (doctor-repair.ts).
 */
import { type Config, loadConfig, takeSettings } from "../../config/config.ts";
import { formatListen } from "../../config/values.ts";
import { isClosedFolder } from "../../data-folder.ts";
import { type Inspection, inspectStore, NoStore, STORE_FILE } from "../../store/inspection.ts";
import { SchemaMismatch, StoreLocked } from "../../store/store.ts";
import { shownCertificate } from "../../web-config/live-web-config.ts";
import { WebConfigError } from "../../web-config/web-config.ts";
import { readArguments } from "../arguments.ts";
import { gatewayAt, type Send, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode } from "../command.ts";
import {
  checkCertificate,
  checkClock,
  checkFolder,
  checkPorts,
  checkSpace,
  type Finding,
  type Stock,
} from "./doctor-checks.ts";
import { counted } from "./counted.ts";
import { repair } from "./doctor-repair.ts";
import { checkReady, checkRoundTrip, stockOfGateway } from "./doctor-gateway.ts";

const OPTIONS = { ...urlOptions, repair: { type: "boolean", default: false } } as const;

/** The checks in their order, with the exit code if the check is the first that fails. */
const CHECKS = {
  permissions: 10,
  store: 11,
  schema: 12,
  space: 13,
  clock: 14,
  ports: 15,
  "round trip": 16,
  certificate: 17,
} as const;

export const command: Command = {
  name: "doctor",
  summary: "checks the data folder and the gateway, and salvages a damaged store",
  usage: `Usage: weir doctor [SETTINGS] [--url URL] [--repair]

Checks the data folder and the gateway, and prints one line per check. It reads the settings as "weir serve" does, and
works while a gateway runs and while none does. The exit code is that of the first check that fails:

  10  permissions    this user can read and write the data folder, and other users cannot read its files
  11  store          the database, its log and its journal can be read, or the gateway that has them open is ready
  12  schema         this version of Weir supports the schema of the database, if no gateway runs
  13  space          the disk has more room than diskReserveBytes, also for the days that will be stored
  14  clock          the newest sample is not ahead of the clock, and the gateway's clock is this machine's
  15  ports          the addresses to listen on are free, if no gateway runs
  16  round trip     the gateway stores a sample of weir_doctor_check and returns it, if one runs
  17  certificate    if there is one: the certificate, its key and web.yml can be used, and it is not expired

The exit code is 0 if all checks pass, 1 if the command itself fails, and 2 if the arguments are invalid. Without
--repair, the command changes nothing except that one sample.

  --repair           reads all of the store. If the database or its log is damaged: stores what can be read of them in
                     a new folder repaired-TIME in the data folder, and changes nothing else. If only the journal is
                     damaged: stores what can be read of it, and keeps the damaged file as
                     ${STORE_FILE}.journal.damaged-TIME. Prints what is lost and what to do next. Stop the gateway
                     first
${urlHelp}.
                     By default, the first address of --listen

"weir serve --help" lists the settings.`,
  async run(argv, io) {
    const { settings, rest } = takeSettings(argv);
    const config = loadConfig(settings, io.env, io.readFile);
    const { values } = readArguments(rest, OPTIONS, false);
    const own = certificateOf(config);
    const url = values.url ?? (io.env.WEIR_URL || urlOf(config, own !== undefined));
    const send = gatewayAt(url, io, values.ca, own);
    if (values.repair) await repair(config, io);
    let code: number = exitCode.ok;
    for await (const { check, state, text } of findings(config, send)) {
      await io.stdout.write(`${state.padEnd(5)} ${check.padEnd(12)} ${text}\n`);
      if (state === "FAIL" && code === exitCode.ok) code = CHECKS[check];
    }
    return code;
  },
};

/** The address of a gateway on this machine with these settings. */
function urlOf(config: Config, isTls: boolean): string {
  const [first] = config.listen;
  const text = first === undefined ? "" : formatListen(first);
  return text.startsWith("unix:")
    ? text
    : `http${isTls ? "s" : ""}://${text.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, "127.0.0.1")}`;
}

/** The certificate that the gateway shows. Undefined without TLS, and if it cannot be read. */
function certificateOf(config: Config): string | undefined {
  try {
    return shownCertificate(config);
  } catch (error) {
    if (error instanceof WebConfigError) return undefined;
    throw error;
  }
}

type Named = Finding & { readonly check: keyof typeof CHECKS };

async function* findings(config: Config, send: Send): AsyncGenerator<Named> {
  const as = (check: Named["check"], finding: Finding): Named => ({ check, ...finding });
  yield as("permissions", checkFolder(config.data));
  const { isRunning, stock, store, schema } = await lookAtStore(config.data, send);
  yield as("store", store);
  if (schema !== undefined) yield as("schema", schema);
  yield as("space", checkSpace(config, stock));
  yield as("clock", checkClock(config.futureMs, stock));
  if (!isRunning) yield as("ports", await checkPorts(config));
  else if (store.state !== "FAIL") yield as("round trip", await checkRoundTrip(send));
  if (config.tlsCert !== "" || config.webConfigFile !== "") yield as("certificate", checkCertificate(config));
}

interface Look {
  readonly isRunning: boolean;
  readonly stock: Stock | undefined;
  readonly store: Finding;
  readonly schema?: Finding;
}

async function lookAtStore(data: string, send: Send): Promise<Look> {
  // It would seem to have no store.
  if (isClosedFolder(data))
    return { isRunning: false, stock: undefined, store: { state: "FAIL", text: `${data} cannot be read` } };
  try {
    return await inspectStore(data, async (found) => ({
      isRunning: false,
      stock: found,
      store: { state: "ok", text: stoppedText(found) },
      schema: {
        state: "ok",
        text:
          found.schema === found.newestSchema
            ? `schema ${found.schema} is the newest`
            : `the next start changes schema ${found.schema} to ${found.newestSchema}; make a backup first`,
      },
    }));
  } catch (error) {
    const common = { isRunning: false, stock: undefined };
    if (error instanceof NoStore)
      return {
        ...common,
        store: { state: "ok", text: `there is no ${STORE_FILE} yet; "weir serve" creates it` },
      };
    if (error instanceof StoreLocked) {
      const store = await checkReady(send);
      const stock = store.state === "FAIL" ? undefined : await stockOfGateway(send, data);
      return { isRunning: true, stock, store };
    }
    const failed: Finding = { state: "FAIL", text: error instanceof Error ? error.message : String(error) };
    if (error instanceof SchemaMismatch)
      return { ...common, store: { state: "ok", text: "the database opens" }, schema: failed };
    return { ...common, store: failed };
  }
}

function stoppedText({ rows, days, journalRecords }: Inspection): string {
  const journal =
    journalRecords === 0
      ? ""
      : `; the next start moves ${counted(journalRecords, "change")} from the journal`;
  return `no gateway runs; the database opens, with ${counted(rows, "sample")} of ${counted(days, "day")}${journal}`;
}
