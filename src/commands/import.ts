/**
 * `weir import`: stores the lines of workers' NDJSON files, each line once, however often it runs.
 *
 * A file is identified by its content, never by its name. A copy from noon and the same file rotated at midnight are
 * one file. import/README.md explains how. The import uses a running gateway, or opens the data folder itself.
 */

import { loadConfig, takeSettings } from "../config/config.ts";
import { pairs, readArguments } from "./arguments.ts";
import { gatewayAt, type Send, urlHelp, urlOptions } from "./client.ts";
import { type Command, exitCode, type Io, UsageError } from "./command.ts";
import { type FileImportOptions, importFile, type Outcome } from "./import/import-file.ts";
import { importParquet, isParquet } from "./import/import-parquet.ts";
import { grouped, ProgressBar } from "./import/progress.ts";
import { countsText, type FileReport, fileText, Report } from "./import/report.ts";
import { findSources } from "./import/import-sources.ts";
import { LineConversion } from "../line-formats/converted-lines.ts";
import { FORMAT_HELP, type LineFormatOptions, type MappedFormat } from "../line-formats/line-format.ts";
import { withOfflineGateway } from "./import/offline-gateway.ts";
import { ImportTarget } from "./import/target.ts";
import { formatOf, formatOptions } from "./import/line-format-options.ts";

const OPTIONS = {
  ...urlOptions,
  "extra-label": { type: "string", multiple: true, default: [] as string[] },
  "no-instance": { type: "boolean", default: false },
  as: { type: "string" },
  metric: { type: "string" },
  type: { type: "string" },
  unit: { type: "string" },
  ...formatOptions,
} as const;

interface ImportOptions {
  readonly paths: readonly string[];
  readonly extraLabels: readonly string[];
  /** Whether the label `instance` comes from a file's name. */
  readonly instanceFromName: boolean;
  readonly as: string | undefined;
  /** Of the rows of Parquet files: `metric`, `type` and `unit`, if they are given. */
  readonly fields: readonly (readonly [string, string])[];
  /** The format of lines that are not events. */
  readonly format: MappedFormat | undefined;
}

export const command: Command = {
  name: "import",
  summary: "stores files of JSON events, logfmt, CSV, line protocol or Parquet, each line once",
  usage: `Usage: weir import [--url URL] [OPTIONS] FILE|FOLDER|-…
       weir import --data DIR [SETTINGS] [OPTIONS] FILE|FOLDER|-…

Reads files of JSON events, one event per line, plain, gzip or zstd: metrics_prod.json,
metrics_1.json.2024-01-15. Lines of other programs become events with --format and --map. A file is identified
by its content, not by its name. The offset up to which it was read is stored together with its lines. So you
can import the same files as often as you like, also after they have grown, were renamed or compressed, or
after an interrupted import: each line is stored once. An incomplete last line is left for the next import.

  FILE               a file or a pipe; several are read in this order
  FOLDER             its files named *.json, *.ndjson or *.jsonl, also rotated (*.json.2024-01-15) or
                     compressed (*.json.gz); files of subfolders are not read. --format changes the names:
                     *.log, *.csv, *.lp …
  -                  standard input, which is read to its end first. As with any pipe, input whose events have
                     no time is stored again at each import
${urlHelp}
  --data DIR         open the store in this folder while no gateway runs, with the settings of "weir serve"
  --extra-label NAME=VALUE
                     add this tag to each event that does not have it; repeatable
  --no-instance      do not take the tag "instance" from the names of files
  --as NAME          import FILE as the file NAME, whatever content it shares with other files. Use it for a
                     file that cannot be distinguished from another. Use the same NAME when it has grown
${FORMAT_HELP}

A Parquet file has a column "value", a time in "ts" (or "timestamp", "time"), and tags in all other columns.
It is identified by its content, and each of its rows is stored once.

  --metric NAME      the metric of all rows. Without it, the column "metric" or "name" has it
  --type TYPE, --unit UNIT
                     the type (observation, counter, gauge, cumulative) and the unit of all rows

Events without the tag "instance" get it from the file's name, from the text between "metrics" and its ending:
"prod" for metrics_prod.json, "1" for metrics_1.json.2024-01-15. --extra-label instance=NAME overrides it.

Lines older than the gateway's retention are rejected, and the report says which --retention-days keeps them.
Imported lines are visible to SQL, summaries and PromQL. They do not count in the totals of /metrics, where
an imported week would look like a burst of new samples.

The exit code is 0 if every file was read to its end, also if some of its lines were rejected (the report says
why). It is 1 if a file could not be read, none of its lines could be stored, or the gateway failed. It is 2
if the arguments are invalid.`,
  async run(argv, io) {
    const { settings, rest } = takeSettings(argv);
    const { values, positionals } = readArguments(rest, OPTIONS, true);
    const options = optionsOf(values, positionals);
    const isOffline = settings.some((each) => each === "--data" || each.startsWith("--data="));
    if (!isOffline) {
      if (settings.length > 0) {
        throw new UsageError(
          `${settings[0]} is a setting of the gateway, which is allowed only with --data.`,
        );
      }
      return await importAll(gatewayAt(values.url, io, values.ca), options, io);
    }
    if (values.url !== undefined)
      throw new UsageError("--url and --data exclude each other: --url names a running gateway.");
    const config = loadConfig(settings, io.env, io.readFile);
    return await withOfflineGateway(config, "import", (send) => importAll(send, options, io));
  },
};

function optionsOf(
  values: {
    readonly "extra-label": readonly string[];
    readonly "no-instance": boolean;
    readonly as?: string;
    readonly metric?: string;
    readonly type?: string;
    readonly unit?: string;
  } & LineFormatOptions,
  paths: readonly string[],
): ImportOptions {
  if (paths.length === 0) throw new UsageError("Give at least one FILE to import.");
  if (paths.filter((path) => path === "-").length > 1)
    throw new UsageError('"-" is standard input, which can be read only once.');
  const { as, "extra-label": extraLabels } = values;
  if (as === "") throw new UsageError("--as is empty, expected a name.");
  if (as !== undefined && paths.length > 1)
    throw new UsageError("--as names one import, so it allows only one FILE.");
  pairs("--extra-label", extraLabels);
  const fields = (["metric", "type", "unit"] as const).flatMap((name): [string, string][] => {
    const value = values[name];
    return value === undefined ? [] : [[name, value]];
  });
  const format = formatOf(values);
  return { paths, extraLabels, instanceFromName: !values["no-instance"], as, fields, format };
}

async function importAll(send: Send, options: ImportOptions, io: Io): Promise<number> {
  const { extraLabels, as } = options;
  const format = options.format && { key: options.format.key, lines: new LineConversion(options.format) };
  const target = new ImportTarget(send);
  const report = new Report();
  const bar = new ProgressBar(io.stderr);
  const { sources, notes } = await findSources(options.paths, io, options.format);
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
    const onProgress = (file: { readonly bytesRead: number }) => {
      const { stored, duplicates, rejected } = report.total;
      return bar.show(fileText(path), doneBytes + file.bytesRead, totalBytes, stored + duplicates + rejected);
    };
    const named = options.instanceFromName && givenInstance === undefined ? source.worker : "";
    const fileReport = report.file();
    const onWait: FileImportOptions["onWait"] = async (reason, waitMs) => {
      const when = `retrying in ${Math.ceil(waitMs / 1_000)} s`;
      await io.stderr.write(`weir import: ${fileText(path)}: ${reason}; ${when}\n`);
    };
    const isTable = path !== "-" && (await isParquet(path));
    if (!isTable && options.fields.length > 0)
      throw new UsageError(`--${options.fields[0]![0]} is for Parquet files, and ${fileText(path)} is none.`);
    const importing = isTable
      ? importParquet({
          path,
          target,
          report: fileReport,
          fields: options.fields,
          extraLabels,
          as,
          onProgress: (share) => onProgress({ bytesRead: share * source.bytes }),
          onWait,
        })
      : importFile({
          open: source.open,
          target,
          format,
          report: fileReport,
          worker: givenInstance?.slice("instance=".length) ?? named,
          extraLabels: named === "" ? extraLabels : [...extraLabels, `instance=${named}`],
          as,
          onProgress,
          onWait,
        });
    const outcome = await importing.finally(() => bar.clear());
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

/** Why a file that was read to its end is still a failure; undefined if it is not. */
function nothingStored({ stored, duplicates, rejected }: Outcome): string | undefined {
  return rejected > 0 && stored + duplicates === 0 ? "no line could be stored" : undefined;
}

/** `metrics_prod.json: 1,000 stored, 2 rejected`, and one line per reason, warning and note. */
function outcomeText(path: string, outcome: Outcome, report: FileReport): string {
  const { stored, duplicates, rejected, notes, failure } = outcome;
  const isNothing = stored + duplicates + rejected === 0;
  const what = isNothing ? (failure === undefined ? "nothing new" : "nothing stored") : countsText(outcome);
  const details = [...report.details(), ...notes.map((note) => `  note: ${note}`)];
  return [`${fileText(path)}: ${what}`, ...details, ""].join("\n");
}
