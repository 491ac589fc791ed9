/** `weir delete`: deletes samples of selected series on a running gateway, or counts what it would delete. */
import { microsecondsText, parseTime } from "../../model/time.ts";
import { BadInput } from "../../model/errors.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { readArguments } from "../arguments.ts";
import { accepted, gatewayAt, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode, UsageError } from "../command.ts";
import { counted } from "./counted.ts";

const OPTIONS = {
  match: { type: "string", multiple: true, default: [] as string[] },
  from: { type: "string" },
  to: { type: "string" },
  "dry-run": { type: "boolean", default: false },
  ...urlOptions,
} as const;

/** The parameters of the API, as the arguments that they come from. */
const FLAGS = { "match[]": "--match", start: "--from", end: "--to" };

const PATH = "/api/v1/admin/tsdb/delete_series";

export const command: Command = {
  name: "delete",
  summary: "deletes the samples of selected series",
  usage: `Usage: weir delete --match SELECTOR… [--from TIME] [--to TIME] [--dry-run] [--url URL]

Deletes the samples of the series that a PromQL selector selects, and their exemplars. The gateway must run with
--enable-admin-api. It cannot be undone: see with --dry-run what would be deleted, or make a backup first.

  weir delete --match 'queue_depth{queue="test"}' --dry-run
  weir delete --match http_request_duration_ms --from 2024-01-15T08:00Z --to 2024-01-15T09:00Z

  --match SELECTOR   the series, by name and labels; repeatable
  --from TIME        the start of the range; default: the oldest sample
  --to TIME          the end of the range, which is not included; default: after the newest sample
  --dry-run          deletes nothing, and prints how many series and samples of each metric would be deleted
${urlHelp}

A TIME is now, -24h, 2024-01-15, 2024-01-15T08:30:00Z (UTC if it has no zone), or milliseconds since 1970. An event's
metric is deleted by its own name, together with its histogram. The totals on /metrics keep what was deleted, because
they never decrease. If no sample of a metric is left, it is forgotten with its kind and its totals: another kind can be
pushed under its name.

The exit code is 0 if the samples were deleted or counted, 1 if the gateway failed or rejected the selector, and 2 if
the arguments are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    if (values.match.length === 0)
      throw new UsageError("Give --match SELECTOR, such as --match 'queue_depth{queue=\"test\"}'.");
    const now = Date.now();
    const fromMs = timeOf("--from", values.from, now);
    const toMs = timeOf("--to", values.to, now);
    if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
      throw new UsageError(`--from is ${JSON.stringify(values.from)}, expected a time before --to.`);
    const query: [string, string][] = values.match.map((selector) => ["match[]", selector]);
    if (fromMs !== undefined) query.push(["start", microsecondsText(Math.round(fromMs * 1000))]);
    // The API includes the whole millisecond of the end.
    if (toMs !== undefined) query.push(["end", microsecondsText((Math.ceil(toMs) - 1) * 1000)]);
    const send = gatewayAt(values.url, io, values.ca);
    if (values["dry-run"]) {
      const response = await accepted(
        await send(PATH, { method: "POST", query: [...query, ["dry_run", "true"]] }),
        FLAGS,
      );
      const { metrics } = ((await response.json()) as { data: { metrics: readonly Counted[] } }).data;
      await io.stdout.write(countedText(metrics));
      return exitCode.ok;
    }
    const response = await accepted(await send(PATH, { method: "POST", query }), FLAGS);
    await io.stdout.write(
      `Deleted ${counted(Number(response.headers.get("weir-deleted-samples")), "sample")}.\n`,
    );
    return exitCode.ok;
  },
};

interface Counted {
  readonly metric: string;
  readonly series: number;
  readonly samples: number;
}

function countedText(metrics: readonly Counted[]): string {
  const total = metrics.reduce((sum, each) => sum + each.samples, 0);
  if (total === 0) return "Nothing would be deleted: no sample matches.\n";
  const rows = metrics.map((each) => [each.metric, String(each.series), String(each.samples)]);
  return `${alignedRows([["metric", "series", "samples"], ...rows])}Would delete ${counted(total, "sample")}.\n`;
}

function timeOf(flag: string, text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  try {
    return parseTime(text, nowMs, flag);
  } catch (error) {
    if (error instanceof BadInput) throw new UsageError(error.message);
    throw error;
  }
}
