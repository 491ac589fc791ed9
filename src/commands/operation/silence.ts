/** `weir silence`: adds, lists and ends silences of alerts on a running gateway. */
import { hostname } from "node:os";
import {
  type AlertMatcher,
  formatAlertMatcher,
  MatcherFault,
  parseAlertMatchers,
} from "../../model/alerts/alert-matcher.ts";
import { formatDuration, parseDurationMs } from "../../model/duration.ts";
import { parseTime } from "../../model/time.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { oneOf, readArguments } from "../arguments.ts";
import { accepted, gatewayAt, RequestRefused, type Send, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";

const OPTIONS = {
  for: { type: "string" },
  start: { type: "string" },
  end: { type: "string" },
  comment: { type: "string" },
  author: { type: "string" },
  all: { type: "boolean", default: false },
  format: { type: "string", default: "table" },
  ...urlOptions,
} as const;

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

const PATH = "/api/v2/silences";
const ACTIONS = ["add", "list", "expire"] as const;
/** A longer duration is a mistake: a silence that is forgotten hides alerts. */
const FOR_MS_MAX = 366 * 86_400_000;
const CELL_CHARACTERS_MAX = 60;

export const command: Command = {
  name: "silence",
  summary: "adds, lists and ends silences of alerts",
  usage: `Usage: weir silence add MATCHER… (--for DURATION|--end TIME) --comment TEXT [--start TIME] [--author NAME]
       weir silence list [MATCHER…] [--all] [--format table|json]
       weir silence expire ID…

A silence mutes the notifications of alerts from its start to its end. All of its matchers must match an alert:

  weir silence add alertname=HighErrorRate 'instance=~"gpu-[0-9]+"' --for 2h --comment "new driver"
  weir silence list
  weir silence expire 0d6f0f6e-3d5c-4f4e-9d0a-0c4b8a2f7f11

"add" prints the id of the silence. A matcher is NAME=VALUE, NAME!=VALUE, NAME=~EXPRESSION or NAME!~EXPRESSION, as in
Alertmanager. An expression matches a whole value.

  --for DURATION     how long it lasts, such as 90m, 2h or 1d
  --end TIME         when it ends, such as 2024-10-04T18:00Z or +2h
  --start TIME       when it begins (default: now)
  --comment TEXT     why; people see it in the list
  --author NAME      who (default: the name of the user)
  --all              with "list": also silences that have ended
${urlHelp}

"add" and "expire" need a token with the scope admin, if there are tokens, and "list" needs the scope read. amtool of
Alertmanager works with the gateway, too. The exit code is 0, or 1 if the gateway failed, and 2 if the arguments are
invalid.`,
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    const [action, ...words] = positionals;
    if (action === undefined) throw new UsageError(`expected one of ${ACTIONS.join(", ")}.`);
    const send = gatewayAt(values.url, io, values.ca);
    switch (oneOf("The action", action, ACTIONS)) {
      case "add":
        return await add(send, words, values, io);
      case "list":
        return await list(send, words, values, io);
      case "expire":
        return await expire(send, words, io);
    }
  },
};

function matchersOf(words: readonly string[]): AlertMatcher[] {
  return words.flatMap((word) => {
    try {
      return parseAlertMatchers(word);
    } catch (error) {
      if (error instanceof MatcherFault) throw new UsageError(`${error.message}.`);
      throw error;
    }
  });
}

async function add(send: Send, words: readonly string[], values: Values, io: Io): Promise<number> {
  const matchers = matchersOf(words);
  if (matchers.length === 0)
    throw new UsageError("Give at least one matcher, such as alertname=HighErrorRate.");
  const { comment } = values;
  if (comment === undefined || comment.trim() === "")
    throw new UsageError("--comment is missing: it says why the alerts are silenced.");
  const nowMs = Date.now();
  const startMs = values.start === undefined ? nowMs : timeOf("--start", values.start, nowMs);
  const endMs = endOf(values, startMs, nowMs);
  const body = JSON.stringify({
    matchers,
    startsAt: new Date(startMs).toISOString(),
    endsAt: new Date(endMs).toISOString(),
    createdBy: values.author ?? userName(io),
    comment,
  });
  const headers = { "content-type": "application/json" };
  const response = await explained(await send(PATH, { method: "POST", headers, body }));
  const { silenceID } = (await response.json()) as { silenceID: string };
  await io.stdout.write(`${silenceID}\n`);
  return exitCode.ok;
}

function endOf(values: Values, startMs: number, nowMs: number): number {
  const { for: duration, end } = values;
  if ((duration === undefined) === (end === undefined)) throw new UsageError("Give one of --for and --end.");
  if (end !== undefined) return timeOf("--end", end, nowMs);
  const ms = parseDurationMs(duration!, "decimals");
  if (ms === undefined || ms <= 0 || ms > FOR_MS_MAX)
    throw new UsageError(
      `--for is ${JSON.stringify(duration)}, expected a duration such as 2h, up to ${formatDuration(FOR_MS_MAX)}.`,
    );
  return startMs + ms;
}

function timeOf(flag: string, text: string, nowMs: number): number {
  return Math.floor(parseTime(text, nowMs, flag));
}

/** The name of the user. A service or a container can have a user without a name: then that of the machine. */
function userName({ env, readFile }: Io): string {
  // `userInfo` of Bun only reads the environment.
  const uid = process.getuid?.();
  const line = readFile("/etc/passwd")
    ?.split("\n")
    .find((each) => each.split(":")[2] === String(uid));
  return env.USER || env.LOGNAME || line?.split(":")[0] || hostname();
}

/** A silence as the gateway lists it. */
interface Listed {
  readonly id: string;
  readonly status: { readonly state: string };
  readonly matchers: readonly AlertMatcher[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
}

async function list(send: Send, words: readonly string[], values: Values, io: Io): Promise<number> {
  const query = matchersOf(words).map((each): [string, string] => ["filter", formatAlertMatcher(each)]);
  const format = oneOf("--format", values.format, ["table", "json"]);
  const response = await explained(await send(PATH, { query }));
  const silences = ((await response.json()) as readonly Listed[]).filter(
    ({ status }) => values.all || status.state !== "expired",
  );
  if (format === "json") {
    await io.stdout.write(`${JSON.stringify(silences)}\n`);
    return exitCode.ok;
  }
  if (silences.length === 0) {
    await io.stderr.write("There is no silence.\n");
    return exitCode.ok;
  }
  const rows = silences.map(({ id, status, matchers, startsAt, endsAt, createdBy, comment }) => [
    id,
    status.state,
    cell(matchers.map(formatAlertMatcher).join(" ")),
    startsAt.replace(/\.\d+Z$/, "Z"),
    endsAt.replace(/\.\d+Z$/, "Z"),
    cell(createdBy),
    cell(comment),
  ]);
  await io.stdout.write(
    alignedRows([["ID", "STATE", "MATCHERS", "START", "END", "AUTHOR", "COMMENT"], ...rows]),
  );
  return exitCode.ok;
}

async function expire(send: Send, ids: readonly string[], io: Io): Promise<number> {
  if (ids.length === 0) throw new UsageError("expected the ids of silences.");
  for (const id of ids)
    await explained(await send(`/api/v2/silence/${encodeURIComponent(id)}`, { method: "DELETE" }));
  await io.stderr.write(`${ids.length === 1 ? "The silence has" : `${ids.length} silences have`} ended.\n`);
  return exitCode.ok;
}

/** As `accepted`. In Alertmanager's API, the body of an error is its message. */
async function explained(response: Response): Promise<Response> {
  if (response.ok || !response.headers.get("content-type")?.includes("json")) return await accepted(response);
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined);
  if (typeof body !== "string") return await accepted(response);
  throw new RequestRefused(body, response.status, undefined, body);
}

/** One line for a table. */
function cell(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= CELL_CHARACTERS_MAX ? line : `${line.slice(0, CELL_CHARACTERS_MAX - 1)}…`;
}
