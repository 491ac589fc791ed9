/** `weir rejected`: lists the rejected samples of a running gateway, pushes them again, or deletes them. */
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { countOf, oneOf, readArguments } from "../arguments.ts";
import { accepted, gatewayAt, type Send, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";
import { counted } from "./counted.ts";

const TEXTS = ["metric", "cause", "protocol", "instance", "reason", "from", "to"] as const;
const OPTIONS = {
  match: { type: "string", multiple: true, default: [] as string[] },
  id: { type: "string", multiple: true, default: [] as string[] },
  metric: { type: "string" },
  cause: { type: "string" },
  protocol: { type: "string" },
  instance: { type: "string" },
  reason: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  limit: { type: "string" },
  format: { type: "string", default: "table" },
  "dry-run": { type: "boolean", default: false },
  all: { type: "boolean", default: false },
  ...urlOptions,
} as const;

/** The parameters of the API, as the arguments that they come from. */
const FLAGS = { "match[]": "--match", from: "--from", to: "--to", id: "--id" };

const PATH = "/api/v1/rejected";
/** The most samples that the gateway lists or pushes at once. */
const PAGE_MAX = 1_000;
const LISTED = 20;
/** Of a column of the table. The JSON has everything. */
const CELL_CHARACTERS_MAX = 100;

export const command: Command = {
  name: "rejected",
  summary: "lists rejected samples, and pushes them again",
  usage: `Usage: weir rejected [list] [SELECTION] [--limit N] [--format table|json]
       weir rejected replay [SELECTION] [--dry-run] [--format table|json]
       weir rejected clear (SELECTION|--all) [--dry-run] [--format table|json]

Lists the samples that the gateway has rejected, the newest first, with the reason. "replay" pushes them again, for
example after a limit was raised: those that are accepted leave the table, and the others stay there. It is safe to run
it again, also after it was interrupted: no sample is stored twice. "clear" deletes them.

  weir rejected --reason retention
  weir rejected replay --metric disk.free --from -1h
  weir rejected clear --cause syntax

  --match SELECTOR   samples of the series that a PromQL selector selects; repeatable
  --metric NAME      samples of this metric, as it was pushed
  --reason TEXT      samples whose reason contains the text
  --cause WORD       samples with this cause, such as timestamp, value or labels
  --protocol NAME    samples of this protocol, such as events
  --instance NAME    samples of pushes of this instance
  --from, --to TIME  samples that were rejected in this range, such as -1h
  --id ID            this sample; repeatable
  --limit N          how many are listed (default ${LISTED})
  --all              with "clear": all rejected samples
  --dry-run          only counts what would be pushed or deleted
${urlHelp}

"replay" and "clear" need a token with the scope admin, if there are tokens. The exit code is 0, or 1 if the gateway
failed or a sample was rejected again, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    const [action = "list", surplus] = positionals;
    if (surplus !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(surplus)}.`);
    const format = oneOf("--format", values.format, ["table", "json"]);
    const query: [string, string][] = [
      ...values.match.map((text): [string, string] => ["match[]", text]),
      ...values.id.map((text): [string, string] => ["id", text]),
    ];
    for (const name of TEXTS) if (values[name] !== undefined) query.push([name, values[name]]);
    const send = gatewayAt(values.url, io, values.ca);
    if (action !== "list" && values.limit !== undefined)
      throw new UsageError(`--limit is for the list: "${action}" works on all selected samples.`);
    if (action === "list") {
      if (values["dry-run"]) throw new UsageError('--dry-run is for "replay" and "clear".');
      const limit = values.limit === undefined ? LISTED : countOf("--limit", values.limit);
      return await list(send, query, limit, format, io);
    }
    const isDry = values["dry-run"];
    if (action === "replay") return await replay(send, query, isDry, format, io);
    if (action !== "clear")
      throw new UsageError(`The action is ${JSON.stringify(action)}, expected list, replay or clear.`);
    if (query.length === 0 && !values.all)
      throw new UsageError("Give a selection, or --all to delete all rejected samples.");
    return await clear(send, query, isDry, format, io);
  },
};

type Query = readonly [string, string][];

interface Listed {
  readonly id: number;
  readonly receivedAt: string;
  readonly protocol: string;
  readonly cause: string;
  readonly reason: string;
  readonly metric?: string;
  readonly payload: string;
}

async function list(send: Send, query: Query, limit: number, format: string, io: Io): Promise<number> {
  const found: Listed[] = [];
  let next: number | undefined;
  do {
    const page: [string, string][] = [["limit", String(Math.min(limit - found.length, PAGE_MAX))]];
    if (next !== undefined) page.push(["before", String(next)]);
    const response = await accepted(await send(PATH, { query: [...query, ...page] }), FLAGS);
    const answer = (await response.json()) as { rejected: readonly Listed[]; next?: number };
    found.push(...answer.rejected);
    next = answer.next;
  } while (next !== undefined && found.length < limit);
  if (format === "json") {
    await io.stdout.write(`${JSON.stringify({ rejected: found, next })}\n`);
    return exitCode.ok;
  }
  if (found.length === 0) {
    await io.stdout.write("No rejected sample is selected.\n");
    return exitCode.ok;
  }
  const rows = found.map(({ id, receivedAt, protocol, cause, metric = "", reason, payload }) => [
    String(id),
    receivedAt,
    protocol,
    cause,
    cell(metric === "" ? payload : metric),
    cell(reason),
  ]);
  await io.stdout.write(alignedRows([["id", "received", "protocol", "cause", "metric", "reason"], ...rows]));
  if (next !== undefined)
    await io.stdout.write(`There are more; give --limit, or --to ${found.at(-1)!.receivedAt}.\n`);
  return exitCode.ok;
}

function cell(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= CELL_CHARACTERS_MAX ? line : `${line.slice(0, CELL_CHARACTERS_MAX)}…`;
}

interface Replayed {
  readonly selected: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly notReplayable: number;
  readonly samples: readonly { readonly id: number; readonly result: string; readonly reason?: string }[];
}

/** Pushes all selected samples, a page at a time. */
async function replay(send: Send, query: Query, isDry: boolean, format: string, io: Io): Promise<number> {
  const total = { selected: 0, accepted: 0, duplicates: 0, rejected: 0, notReplayable: 0 };
  const samples: Replayed["samples"][number][] = [];
  for await (const answer of pages<Replayed>(send, "replay", query, isDry)) {
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += answer[name];
    samples.push(...answer.samples.filter(({ result }) => result !== "stored"));
  }
  if (format === "json") {
    await io.stdout.write(`${JSON.stringify({ ...total, samples })}\n`);
  } else if (isDry) {
    const replayable = total.selected - samples.filter(({ result }) => result === "not_replayable").length;
    await io.stdout.write(`Would push ${counted(replayable, "sample")} of ${total.selected} again.\n`);
  } else {
    const rows = Map.groupBy(samples, ({ reason = "" }) => reason);
    for (const [reason, each] of rows) await io.stdout.write(`${each.length} not stored: ${cell(reason)}\n`);
    await io.stdout.write(
      `Stored ${counted(total.accepted, "sample")} of ${total.selected}; ${total.duplicates} were stored before, ` +
        `${total.rejected} were rejected again, ${total.notReplayable} cannot be pushed again.\n`,
    );
  }
  return !isDry && total.rejected > 0 ? exitCode.failure : exitCode.ok;
}

async function clear(send: Send, query: Query, isDry: boolean, format: string, io: Io): Promise<number> {
  const total = { selected: 0, deleted: 0 };
  for await (const { selected, deleted } of pages<typeof total>(send, "clear", query, isDry)) {
    total.selected += selected;
    total.deleted += deleted;
  }
  const done = isDry
    ? `Would delete ${counted(total.selected, "sample")}.`
    : `Deleted ${counted(total.deleted, "sample")}.`;
  await io.stdout.write(format === "json" ? `${JSON.stringify(total)}\n` : `${done}\n`);
  return exitCode.ok;
}

/** The answers about all selected samples. Each request goes on before the last sample of the answer to the previous one. */
async function* pages<Answer extends object>(
  send: Send,
  action: string,
  query: Query,
  isDry: boolean,
): AsyncGenerator<Answer> {
  for (let before: number | undefined; ; ) {
    const page: [string, string][] = [["limit", String(PAGE_MAX)]];
    if (isDry) page.push(["dry_run", "true"]);
    if (before !== undefined) page.push(["before", String(before)]);
    const response = await accepted(
      await send(`${PATH}/${action}`, { method: "POST", query: [...query, ...page] }),
      FLAGS,
    );
    const answer = (await response.json()) as Answer & { next?: number };
    yield answer as Awaited<Answer>;
    if (answer.next === undefined) return;
    before = answer.next;
  }
}
