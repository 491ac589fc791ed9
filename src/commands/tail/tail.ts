/**
 * `weir tail`: follows files of JSON events, and pushes their lines to a gateway, each once.
 *
 * src/tail/README.md says what it does when files are rotated and when the gateway is away. This module reads the
 * arguments, logs as the gateway does, and pushes the follower's own metrics.
 */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { LOG_FORMATS } from "../../log/line.ts";
import { createLog } from "../../log/log.ts";
import { LEVELS } from "../../log/logged-events.ts";
import { standardError } from "../../log/standard-error.ts";
import { Follower, type TailMetrics } from "../../tail/follower.ts";
import { checkStatePath } from "../../tail/tail-state.ts";
import { oneOf, pairs, readArguments } from "../arguments.ts";
import { gatewayAt, type Send, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";
import { ImportTarget } from "../import/target.ts";
import { formatOf, formatOptions } from "../import/line-format-options.ts";
import { FORMAT_HELP } from "../../line-formats/line-format.ts";
import { nextSignal } from "../stop-signals.ts";
import { PatientStore } from "./patient-store.ts";

const OPTIONS = {
  ...urlOptions,
  "token-file": { type: "string" },
  "from-start": { type: "boolean", default: false },
  state: { type: "string", default: "weir-tail.json" },
  label: { type: "string", multiple: true, default: [] as string[] },
  "no-instance": { type: "boolean", default: false },
  "log-format": { type: "string", default: "logfmt" },
  "log-level": { type: "string", default: "info" },
  ...formatOptions,
} as const;

/** An answer takes milliseconds. After this time the connection counts as broken. */
const ANSWER_TIMEOUT_MS = 30_000;
/** How long lines that were written before a signal are still pushed. */
const DRAIN_MS = 5_000;
/** Time from a signal to the exit in every case. Container engines kill after 10 s. */
const STOP_MS = 9_000;
/** Interval of pushes of its own metrics: a gauge is exposed for five minutes. */
const METRICS_INTERVAL_MS = 15_000;

export const command: Command = {
  name: "tail",
  summary: "follows files of JSON events, and pushes new lines",
  usage: `Usage: weir tail [--url URL] [OPTIONS] FILE|FOLDER|GLOB…

Follows files of JSON events, one event per line, or of other lines (--format, --map), and pushes each line once:
weir tail '/var/log/worker/metrics*.json'. Quote a glob, so that weir also finds files that appear later.

It continues after rotation (renamed, or copied and truncated), also where that happened while it was not running.
Rotated files (metrics_1.json.2024-01-15, metrics_1.json.1.gz) belong to the file that they were. Files that appear
later are read from their beginning. While the gateway is away, it waits, and no lines are lost. The gateway stores
the offset of each file with its lines, also for "weir import", so both can read the same files.

  FILE               a file, which need not exist yet
  FOLDER             its files named *.json, *.ndjson or *.jsonl; with --format *.log, *.csv, *.lp …
  GLOB               with *, **, ?, [abc] and {a,b}
${urlHelp}
  --token-file FILE  the file with the token, which is read for each request; instead of WEIR_TOKEN
  --from-start       at the first start, also push the lines that the files have already, those of rotated files
                     first. Without it, they are skipped
  --state FILE       where it remembers its files (default weir-tail.json)
  --label NAME=VALUE
                     add this tag to each event that does not have it; repeatable
  --no-instance      do not take the tag "instance" from the names of files
${FORMAT_HELP}
  --log-format FORMAT  ${LOG_FORMATS.join(" or ")} (default logfmt)
  --log-level LEVEL  ${LEVELS.join(", ")} (default info)

Events without the tag "instance" get it from the file's name, from the text between "metrics" and its ending:
"prod" for metrics_prod.json, "1" for metrics_1.json.2024-01-15. --label instance=NAME overrides it.

It logs to standard error, as "weir serve" does. Each rejected line is logged with its file and number, and is not
sent again. On SIGTERM, SIGINT or SIGHUP it pushes what was written and ends after the last acknowledgement. The
exit code is 0 then. It is 1 if the gateway does not allow the first request, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    if (positionals.length === 0) throw new UsageError("Give at least one FILE, FOLDER or GLOB to follow.");
    if ((positionals as readonly string[]).includes("-"))
      throw new UsageError('"-" cannot be followed, expected a file; "weir import -" reads standard input.');
    pairs("--label", values.label);
    const lines = formatOf(values);
    const level = oneOf("--log-level", values["log-level"], LEVELS);
    const format = oneOf("--log-format", values["log-format"], LOG_FORMATS);
    const statePath = resolve(values.state);
    await checkStatePath(statePath);
    const send = gatewayAt(values.url, io, values.ca, undefined, tokenReader(values["token-file"], io));
    const log = createLog(level, standardError(io.env.JOURNAL_STREAM), { format });
    const metrics = new PushedMetrics(values.label);
    const follower = new Follower({
      patterns: positionals.map((each) => resolve(each)),
      fromStart: values["from-start"],
      statePath,
      labels: values.label,
      instanceFromName: !values["no-instance"],
      store: new PatientStore(new ImportTarget(send, ANSWER_TIMEOUT_MS)),
      format: lines,
      log,
      metrics,
    });
    const signalled = nextSignal();
    const running = follower.run(DRAIN_MS);
    const pushing = setInterval(() => void metrics.push(send), METRICS_INTERVAL_MS);
    try {
      const signal = await Promise.race([signalled, running]);
      if (signal !== undefined) log("tail_stopping", { signal });
      const late = new Promise<void>((done) => void setTimeout(done, STOP_MS).unref());
      await Promise.race([follower.stop(), late]);
      clearInterval(pushing);
      await Promise.race([metrics.push(send), late]);
      log("tail_stopped", { lagBytes: metrics.lagBytes });
      return exitCode.ok;
    } finally {
      clearInterval(pushing);
    }
  },
};

/** Reads the token of the next request, so that a token can be renewed. Its file must have one at the start. */
function tokenReader(path: string | undefined, io: Io): (() => string | undefined) | undefined {
  if (path === undefined) return undefined;
  let token = "";
  const read = () => {
    let text: string | undefined;
    try {
      text = io.readFile(path);
    } catch (error) {
      throw new UsageError(
        `--token-file is ${JSON.stringify(path)}, which cannot be read: ${String(error)}.`,
      );
    }
    if (text === undefined)
      throw new UsageError(`--token-file is ${JSON.stringify(path)}, which does not exist.`);
    const found = text.trim();
    if (!/^[\x21-\x7e]+$/.test(found))
      throw new UsageError(`--token-file is ${JSON.stringify(path)}, expected a file with one token.`);
    token = found;
  };
  read();
  return () => {
    try {
      read();
    } catch {
      // It may be replaced at the moment. The last token is used until then.
    }
    return token;
  };
}

/** Metrics that a follower pushes about itself: totals, so that a push that fails loses nothing. */
class PushedMetrics implements TailMetrics {
  lagBytes = 0;
  #files = 0;
  #lines = 0;
  #rejected = 0;
  readonly #tags: Readonly<Record<string, string>>;

  constructor(labels: readonly string[]) {
    this.#tags = { instance: hostname(), ...Object.fromEntries(pairs("--label", labels)) };
  }

  addLines(count: number): void {
    this.#lines += count;
  }

  addRejected(count: number): void {
    this.#rejected += count;
  }

  set(lagBytes: number, files: number): void {
    this.lagBytes = lagBytes;
    this.#files = files;
  }

  async push(send: Send): Promise<void> {
    const event = (name: string, type: string, value: number) =>
      JSON.stringify({ metric_name: name, type, value, tags: this.#tags });
    const body = [
      event("weir_tail_lag_bytes", "gauge", this.lagBytes),
      event("weir_tail_files", "gauge", this.#files),
      event("weir_tail_lines_total", "cumulative", this.#lines),
      event("weir_tail_lines_rejected_total", "cumulative", this.#rejected),
    ].join("\n");
    try {
      await send("/api/v1/push", {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body,
        timeoutMs: ANSWER_TIMEOUT_MS,
      });
    } catch {
      // The next push has the same totals.
    }
  }
}
