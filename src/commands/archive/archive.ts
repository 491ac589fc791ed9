/** `weir archive`: which days of a gateway are archived, what an archive has, and whether its files are whole. */
import { archivedDaysOf, faultsOf, manifestOf } from "../../archive/archive-contents.ts";
import { ArchiveFault, filesOf } from "../../archive/manifest.ts";
import { openTarget } from "../../archive/targets/open-target.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { oneOf, readArguments } from "../arguments.ts";
import { accepted, gatewayAt, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";
import { dayArgument } from "./day-argument.ts";

const OPTIONS = {
  format: { type: "string", default: "table" },
  from: { type: "string" },
  day: { type: "string" },
  verify: { type: "boolean", default: false },
  ...urlOptions,
} as const;

/** The answer of GET /api/v1/archive. */
export interface ArchiveAnswer {
  readonly to: string | null;
  readonly gateway: string;
  readonly days: readonly ListedArchiveDay[];
}

interface ListedArchiveDay {
  readonly date: string;
  readonly rows: number;
  readonly state: string;
  readonly archived_rows: number;
  readonly files: number;
  readonly bytes: number;
  readonly last_error: string | null;
}

/** A day of an archive itself. */
interface StoredArchiveDay {
  readonly date: string;
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  readonly gateway: string;
  readonly state: "complete" | "verified" | "damaged" | "unreadable";
  readonly faults: readonly string[];
}

export const command: Command = {
  name: "archive",
  summary: "prints which days are archived, and checks their files",
  usage: `Usage: weir archive [--format table|json]
       weir archive --from FOLDER|s3://BUCKET/PREFIX [--day DATE] [--verify] [--format table|json]
       weir archive --verify [--day DATE] [--format table|json]

Without --from and --verify, prints the days of a running gateway, with their samples, and what its archive
(archiveTo) has of each:

  open       the day is not over
  waiting    it is over, and is archived when no sample of it arrives any more
  writing    its files are being written
  archived   the archive has all of its samples
  late       samples have arrived since, and are archived soon
  changed    samples were deleted since, and its files are written again
  restored   its samples came from an archive, so it is not archived again

With --from, prints the days that an archive has, also those that were dropped here. With --verify, also
reads all files of each day, and compares their sizes and hashes with the manifest. Without --from, these are the
days of the gateway's archive. This machine must reach it: the variables S3_ENDPOINT, S3_REGION, S3_ACCESS_KEY_ID,
S3_SECRET_ACCESS_KEY and S3_SESSION_TOKEN, or the same with AWS_, say how.

  weir archive
  weir archive --verify --day 2026-11-25

  --day DATE         one day (UTC), such as 2026-11-25
  --format FORMAT    table (default) or json
${urlHelp}

It needs the scope read, if there are tokens. The exit code is 0 if no day has an error or a damaged file. It is 1 if
one has, or if the gateway or the archive failed, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    const format = oneOf("--format", values.format, ["table", "json"]);
    const day = values.day === undefined ? undefined : dayArgument(values.day);
    if (values.from === undefined && !values.verify) {
      if (day !== undefined) throw new UsageError("--day needs --from or --verify.");
      return await printGateway(await ask(values, io), format, io);
    }
    const from = values.from ?? (await ask(values, io)).to;
    if (from === null) throw new ArchiveFault("the gateway has no archive (archiveTo)");
    const target = openTarget(from);
    const listed: StoredArchiveDay[] = [];
    for (const each of day === undefined ? await archivedDaysOf(target) : [day])
      listed.push(await describe(target, each, values.verify));
    if (format === "json") await io.stdout.write(`${JSON.stringify(listed)}\n`);
    else if (listed.length === 0) await io.stderr.write(`${from} has no archived day.\n`);
    else await io.stdout.write(alignedRows([STORED_HEAD, ...listed.map(storedCells)]));
    for (const fault of listed.flatMap(({ faults }) => faults)) await io.stderr.write(`${fault}\n`);
    return listed.some(({ faults }) => faults.length > 0) ? exitCode.failure : exitCode.ok;
  },
};

async function ask(values: { readonly url?: string; readonly ca?: string }, io: Io): Promise<ArchiveAnswer> {
  const answer = await accepted(await gatewayAt(values.url, io, values.ca)("/api/v1/archive"));
  return (await answer.json()) as ArchiveAnswer;
}

async function printGateway(answer: ArchiveAnswer, format: string, io: Io): Promise<number> {
  const { to, days } = answer;
  if (format === "json") await io.stdout.write(`${JSON.stringify(answer)}\n`);
  else if (to === null)
    await io.stderr.write(
      "The gateway has no archive. The setting archiveTo, or [archive] to in its weir.toml, defines one.\n",
    );
  else await io.stdout.write(alignedRows([HEAD, ...days.map(cellsOf)]));
  return days.some(({ last_error }) => last_error !== null) ? exitCode.failure : exitCode.ok;
}

const HEAD = ["DAY", "STATE", "SAMPLES", "ARCHIVED", "FILES", "BYTES", "LAST ERROR"];

function cellsOf(day: ListedArchiveDay): string[] {
  const { date, state, rows, archived_rows, files, bytes, last_error } = day;
  return [date, state, ...[rows, archived_rows, files, bytes].map(String), last_error ?? "-"];
}

async function describe(
  target: ReturnType<typeof openTarget>,
  day: number,
  isVerified: boolean,
): Promise<StoredArchiveDay> {
  const date = new Date(day * 86_400_000).toISOString().slice(0, 10);
  const none = { date, rows: 0, files: 0, bytes: 0, gateway: "" };
  try {
    const manifest = await manifestOf(target, day);
    if (manifest === undefined)
      return { ...none, state: "unreadable", faults: [`the archive does not have ${date}`] };
    const faults = isVerified ? await faultsOf(target, day, manifest) : [];
    return {
      date,
      rows: manifest.rows,
      files: filesOf(manifest).length,
      bytes: manifest.bytes,
      gateway: manifest.gateway.id,
      state: faults.length > 0 ? "damaged" : isVerified ? "verified" : "complete",
      faults,
    };
  } catch (error) {
    if (!(error instanceof ArchiveFault)) throw error;
    return { ...none, state: "unreadable", faults: [error.message] };
  }
}

const STORED_HEAD = ["DAY", "STATE", "SAMPLES", "FILES", "BYTES", "GATEWAY"];

function storedCells({ date, state, rows, files, bytes, gateway }: StoredArchiveDay): string[] {
  return [date, state, String(rows), String(files), String(bytes), gateway];
}
