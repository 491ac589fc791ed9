/**
 * `weir import`: brings workers' NDJSON files into the store, each line once, however often it is run.
 *
 * A file is known by its content, never by its name: noon's copy and the same file rotated at midnight are one file.
 * import/README.md explains how. Goes through a running gateway, or opens its data folder.
 */

import { loadConfig, takeSettings } from "../config/config.ts";
import { pairs, readArguments } from "./arguments.ts";
import { gatewayAt, type Send, urlHelp } from "./client.ts";
import { type Command, exitCode, type Io, UsageError } from "./command.ts";
import { type FileImportOptions, importFile, type Outcome } from "./import/import-file.ts";
import { grouped, ProgressBar } from "./import/progress.ts";
import { countsText, type FileReport, fileText, Report } from "./import/report.ts";
import { findSources } from "./import/import-sources.ts";
import { ImportTarget } from "./import/target.ts";

const OPTIONS = {
  url: { type: "string" },
  "extra-label": { type: "string", multiple: true, default: [] as string[] },
  "no-instance": { type: "boolean", default: false },
  as: { type: "string" },
} as const;

interface ImportOptions {
  readonly paths: readonly string[];
  readonly extraLabels: readonly string[];
  /** Whether a file's name tells the label `instance`. */
  readonly namesTellInstance: boolean;
  readonly as: string | undefined;
}

export const command: Command = {
  name: "import",
  summary: "brings files of JSON events into the store, each line once",
  usage: `Usage: weir import [--url URL] [OPTIONS] FILE|FOLDER|-…
       weir import --data DIR [SETTINGS] [OPTIONS] FILE|FOLDER|-…

Reads files of JSON events, one a line, plain, gzip or zstd: metrics_prod.json, metrics_1.json.2024-01-15.
A file is known by its content, not by its name, and how far it was read is stored together with its lines:
give the same files as often as you like, grown, renamed, packed or after an import that was cut off, and
each line is stored once. A last line that is cut is left for the next time.

  FILE               a file or a pipe; several are read in this order
  FOLDER             its files that are named *.json, *.ndjson or *.jsonl, rotated (*.json.2024-01-15) or
                     packed (*.json.gz); not those of folders in it
  -                  standard input, which is read to its end first; as from any pipe, events of which none
                     has a time are stored each time
${urlHelp}
  --data DIR         no gateway runs: open the store in this folder, with the settings of "weir serve"
  --extra-label NAME=VALUE
                     a tag for each event that has no such tag of its own; repeatable
  --no-instance      do not take the tag "instance" from the names of files
  --as NAME          import FILE as the file NAME, whatever it has in common with others: the way in for one
                     that cannot be told from another. Use the same NAME when it has grown

The tag "instance" of events without one is what stands between "metrics" and ".json" in the file's name:
"prod" for metrics_prod.json, "1" for metrics_1.json.2024-01-15. --extra-label instance=NAME overrides it.

Lines older than the gateway's retention are rejected; the report says which --retention-days keeps them.
Imported lines are seen by SQL, summaries and PromQL. They do not count in the totals of /metrics, where a
week imported now would look like a burst now.

Exit code 0 when every file was read to its end, also where some of its lines were rejected (the report
says why); 1 when a file could not be read, nothing of it could be stored, or the gateway failed; 2 when the
arguments make no sense.`,
  async run(argv, io) {
    const { settings, rest } = takeSettings(argv);
    const { values, positionals } = readArguments(rest, OPTIONS, true);
    const options = optionsOf(values, positionals);
    const isOffline = settings.some((each) => each === "--data" || each.startsWith("--data="));
    if (!isOffline) {
      if (settings.length > 0) {
        throw new UsageError(`${settings[0]} is a setting of the gateway, and goes with --data only.`);
      }
      return await importAll(gatewayAt(values.url, io), options, io);
    }
    if (values.url !== undefined)
      throw new UsageError("--url and --data exclude each other: one names a gateway that runs.");
    // Loaded here: an import over HTTP does not wait for the store's modules.
    const { openGateway } = await import("../gateway.ts");
    const { StoreLocked } = await import("../store/store.ts");
    const gateway = await openGateway(loadConfig(settings, io.env, io.readFile)).catch((error: unknown) => {
      if (!(error instanceof StoreLocked)) throw error;
      throw new StoreLocked(`${error.message}, or import through it with --url`);
    });
    try {
      return await importAll(within(gateway.app), options, io);
    } finally {
      await gateway.close();
    }
  },
};

function optionsOf(
  values: {
    readonly "extra-label": readonly string[];
    readonly "no-instance": boolean;
    readonly as?: string;
  },
  paths: readonly string[],
): ImportOptions {
  if (paths.length === 0) throw new UsageError("Give at least one FILE to import.");
  if (paths.filter((path) => path === "-").length > 1)
    throw new UsageError('"-" is standard input, which can be read only once.');
  const { as, "extra-label": extraLabels } = values;
  if (as === "") throw new UsageError("--as is empty, expected a name.");
  if (as !== undefined && paths.length > 1)
    throw new UsageError("--as names one import, and goes with one FILE only.");
  pairs("--extra-label", extraLabels);
  return { paths, extraLabels, namesTellInstance: !values["no-instance"], as };
}

async function importAll(send: Send, options: ImportOptions, io: Io): Promise<number> {
  const { extraLabels, as } = options;
  const target = new ImportTarget(send);
  const report = new Report();
  const bar = new ProgressBar(io.stderr);
  const { sources, notes } = await findSources(options.paths, io);
  for (const note of notes) await io.stdout.write(`${note}\n`);
  if (as !== undefined && sources.length > 1)
    throw new UsageError(
      `--as names one import, and ${fileText(options.paths[0]!)} has ${sources.length} files.`,
    );
  const givenInstance = extraLabels.find((each) => each.startsWith("instance="));
  const totalBytes = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  let doneBytes = 0;
  let failures = sources.length === 0 ? 1 : 0;
  for (const source of sources) {
    const { path } = source;
    const onProgress: FileImportOptions["onProgress"] = (file) => {
      const { stored, duplicates, rejected } = report.total;
      return bar.show(fileText(path), doneBytes + file.bytesRead, totalBytes, stored + duplicates + rejected);
    };
    const named = options.namesTellInstance && givenInstance === undefined ? source.worker : "";
    const fileReport = report.file();
    const outcome = await importFile({
      open: source.open,
      target,
      report: fileReport,
      worker: givenInstance?.slice("instance=".length) ?? named,
      extraLabels: named === "" ? extraLabels : [...extraLabels, `instance=${named}`],
      as,
      onProgress,
      onWait: async (reason, waitMs) => {
        const when = `trying again in ${Math.ceil(waitMs / 1_000)} s`;
        await io.stderr.write(`weir import: ${fileText(path)}: ${reason}; ${when}\n`);
      },
    }).finally(() => bar.clear());
    doneBytes += source.bytes;
    await io.stdout.write(outcomeText(path, outcome, fileReport));
    const failure = outcome.failure ?? nothingStored(outcome);
    if (failure === undefined) continue;
    failures += 1;
    await io.stderr.write(`weir import: ${fileText(path)}: ${failure}\n`);
  }
  const total =
    sources.length > 1 ? `In ${grouped(sources.length)} files: ${countsText(report.total)}.` : undefined;
  const lines = [total, report.retentionHint(Date.now())].filter((line) => line !== undefined);
  if (lines.length > 0) await io.stdout.write(`${lines.join("\n")}\n`);
  return failures > 0 ? exitCode.failure : exitCode.ok;
}

/** Why a file that was read whole is a failure all the same. */
function nothingStored({ stored, duplicates, rejected }: Outcome): string | undefined {
  return rejected > 0 && stored + duplicates === 0 ? "no line could be stored" : undefined;
}

/** `metrics_prod.json: 1,000 stored, 2 rejected` and a line for each reason, warning and note. */
function outcomeText(path: string, outcome: Outcome, report: FileReport): string {
  const { stored, duplicates, rejected, notes, failure } = outcome;
  const isNothing = stored + duplicates + rejected === 0;
  const what = isNothing ? (failure === undefined ? "nothing new" : "nothing stored") : countsText(outcome);
  const details = [...report.details(), ...notes.map((note) => `  note: ${note}`)];
  return [`${fileText(path)}: ${what}`, ...details, ""].join("\n");
}

/** Sends requests to an application of this process. */
function within(app: { fetch(request: Request): Promise<Response> }): Send {
  return async (path, { method = "GET", query = [], headers, body } = {}) => {
    const parameters = new URLSearchParams(query as [string, string][]);
    return await app.fetch(new Request(`http://localhost${path}?${parameters}`, { method, headers, body }));
  };
}
