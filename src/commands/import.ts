/**
 * `weir import`: brings workers' NDJSON files into the store, each line once, however often it is run.
 *
 * A file is known by its first line and by the bytes that were read of it, never by its name: noon's copy and
 * the same file rotated at midnight are one file. Goes through a running gateway, or opens its data folder.
 */

import { stat } from "node:fs/promises";
import { loadConfig, takeSettings } from "../config.ts";
import { readArguments } from "./arguments.ts";
import { gatewayAt, type Send, urlHelp } from "./client.ts";
import { type Command, exitCode, type Io, UsageError } from "./command.ts";
import { type FileImportOptions, importFile, type Outcome } from "./import/import-file.ts";
import { grouped, ProgressBar } from "./import/progress.ts";
import { countsText, fileText, Report } from "./import/report.ts";
import { ImportTarget } from "./import/target.ts";

export const command: Command = {
  name: "import",
  summary: "brings files of JSON events into the store, each line once",
  usage: `Usage: weir import [--url URL] FILE…
       weir import --data DIR [SETTINGS] FILE…

Reads files of JSON events, one a line, plain or gzip: metrics_prod.json, metrics_1.json.2024-01-15, *.gz.
A file is known by its first line, not by its name, and what was read of it is stored together with its
lines: give the same files as often as you like, grown, renamed or after an import that was cut off, and
each line is stored once. A last line that is cut is left for the next time.

  FILE               files to read, in this order
${urlHelp}
  --data DIR         no gateway runs: open the store in this folder, with the settings of "weir serve"

Lines older than the gateway's retention are rejected; the report says which --retention-days keeps them.
Imported lines are seen by SQL, summaries and PromQL. They do not count in the totals of /metrics, where a
week imported now would look like a burst now.

Exit code 0 when every file was read to its end, also where lines of it were rejected (the report says
which); 1 when a file could not be read or the gateway failed; 2 when the arguments make no sense.`,
  async run(argv, io) {
    const { settings, rest } = takeSettings(argv);
    const { values, positionals } = readArguments(rest, { url: { type: "string" } }, true);
    if (positionals.length === 0) throw new UsageError("Give at least one FILE to import.");
    const isOffline = settings.some((each) => each === "--data" || each.startsWith("--data="));
    if (!isOffline) {
      if (settings.length > 0) {
        throw new UsageError(`${settings[0]} is a setting of the gateway, and goes with --data only.`);
      }
      return await importAll(gatewayAt(values.url, io), positionals, io);
    }
    if (values.url !== undefined)
      throw new UsageError("--url and --data exclude each other: one names a gateway that runs.");
    // Loaded here: an import over HTTP does not wait for the store's modules.
    const { openGateway } = await import("./gateway.ts");
    const { StoreLocked } = await import("../store/store.ts");
    const gateway = await openGateway(loadConfig(settings, io.env, io.readFile)).catch((error: unknown) => {
      if (!(error instanceof StoreLocked)) throw error;
      throw new StoreLocked(`${error.message}, or import through it with --url`);
    });
    try {
      return await importAll(within(gateway.app), positionals, io);
    } finally {
      await gateway.close();
    }
  },
};

async function importAll(send: Send, paths: readonly string[], io: Io): Promise<number> {
  const target = new ImportTarget(send);
  const report = new Report();
  const bar = new ProgressBar(io.stderr);
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        (each) => each.size,
        () => 0,
      ),
    ),
  );
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  let doneBytes = 0;
  let failures = 0;
  for (const [index, path] of paths.entries()) {
    const onProgress: FileImportOptions["onProgress"] = (file) => {
      const { stored, duplicates, rejected } = report.total;
      return bar.show(fileText(path), doneBytes + file.bytesRead, totalBytes, stored + duplicates + rejected);
    };
    const outcome = await importFile({ path, target, report, onProgress }).finally(() => bar.clear());
    doneBytes += sizes[index];
    await io.stdout.write(outcomeText(path, outcome));
    if (outcome.failure === undefined) continue;
    failures += 1;
    await io.stderr.write(`weir import: ${fileText(path)}: ${outcome.failure}\n`);
  }
  const total = paths.length > 1 ? [`In ${grouped(paths.length)} files: ${countsText(report.total)}.`] : [];
  const lines = [...total, ...report.rejections(Date.now())];
  if (lines.length > 0) await io.stdout.write(`${lines.join("\n")}\n`);
  return failures > 0 ? exitCode.failure : exitCode.ok;
}

/** `metrics_prod.json: 1,000 stored, 2 rejected` and a line for each note. */
function outcomeText(path: string, outcome: Outcome): string {
  const { stored, duplicates, rejected, notes, failure } = outcome;
  const isNothing = stored + duplicates + rejected === 0;
  const what = isNothing ? (failure === undefined ? "nothing new" : "nothing stored") : countsText(outcome);
  return [`${fileText(path)}: ${what}`, ...notes.map((note) => `  note: ${note}`), ""].join("\n");
}

/** Sends requests to an application of this process. */
function within(app: { fetch(request: Request): Promise<Response> }): Send {
  return async (path, { method = "GET", query = [], headers, body } = {}) => {
    const parameters = new URLSearchParams(query as [string, string][]);
    return await app.fetch(new Request(`http://localhost${path}?${parameters}`, { method, headers, body }));
  };
}
