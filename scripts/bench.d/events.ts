/**
 * The events of the benchmark, with the names and tags that workers write: tasks of four requests, one upload and one
 * task event each, with a task_id of their own; 20 domains, 100 urls. The same seed gives the same events, so that two
 * runs can be compared.
 */

export const EVENTS_PER_TASK = 6;
const DOMAINS = 20;
const URLS = 100;
const METHODS = ["GET", "POST", "PUT", "DELETE"];
const SERVER = "server.example.com";

/** mulberry32: a small generator of pseudorandom numbers in [0, 1), determined by a seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Target {
  readonly url: string;
  readonly domain: string;
  readonly method: string;
}

const targets: Target[] = Array.from({ length: URLS }, (_, index) => {
  const domain = `app${index % DOMAINS}.example.com`;
  const method = METHODS[index % METHODS.length]!;
  return { url: `https://${domain}/api/items/${Math.floor(index / DOMAINS)}`, domain, method };
});

/** The requests of a task, in their order; the second goes to the target. */
const OPERATIONS = [
  ["get_task", "GET", "get-task"],
  ["target_request", "", ""],
  ["upload_file", "POST", "upload-file"],
  ["upload_result", "POST", "put-result"],
] as const;

/** Which type of error a failed upload of a result has. */
const ERROR_TYPES: Readonly<Record<string, string>> = {
  "404": "client_error",
  "429": "rate_limit",
  "500": "server_error",
  "503": "server_error",
};

export interface Span {
  /** Timestamp of the first event. */
  readonly fromMs: number;
  /** Timestamp of the last; equal to `fromMs` when all are to be of one moment. */
  readonly toMs: number;
}

/** Bodies of JSON arrays of `batch` events each (the last may be shorter), `events` in all, in time order. */
export function* bodies(
  events: number,
  batch: number,
  span: Span,
  seed: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const next = random(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(next() * items.length)]!;
  const encoder = new TextEncoder();
  const stepMs = (span.toMs - span.fromMs) / Math.max(1, events - 1);
  let task = "";
  let target = targets[0]!;
  let targetStatus = "200";
  let lines: string[] = [];
  for (let index = 0; index < events; index++) {
    const part = index % EVENTS_PER_TASK;
    const timestampMs = Math.round(span.fromMs + index * stepMs);
    const add = (metric: string, value: number, tags: string) =>
      lines.push(
        `{"@timestamp":${timestampMs},"metric_name":"${metric}","value":${value},"tags":{"task_id":"${task}",${tags}}}`,
      );
    if (part === 0) {
      task = `${Math.floor(timestampMs / 1000)}_${Math.floor(next() * 2 ** 48)
        .toString(36)
        .padStart(10, "0")}`;
      target = pick(targets);
    }
    if (part < 4) {
      const [operation, method, path] = OPERATIONS[part]!;
      // A task was received, so its poll succeeded.
      const status = part === 0 || next() < 0.95 ? "200" : pick(["404", "429", "500", "503"]);
      const duration = Math.round(20_000 / (0.4 + 50 * next())) / 10;
      const to =
        operation === "target_request"
          ? target
          : { url: `https://${SERVER}/api/${path}`, domain: SERVER, method };
      if (operation === "target_request") targetStatus = status;
      const success = operation === "get_task" ? '"has_task":"true"' : `"success":"${status === "200"}"`;
      const error =
        operation === "upload_result" && status !== "200" ? `,"error_type":"${ERROR_TYPES[status]}"` : "";
      add(
        "http.request.duration_ms",
        duration,
        `"operation":"${operation}","url":"${to.url}","domain":"${to.domain}","method":"${to.method}","status_code":"${status}",${success}${error}`,
      );
    } else if (part === 4) {
      add("upload.size_bytes", Math.floor(2 ** (10 + 12 * next())), '"upload_type":"direct"');
    } else {
      add(
        "task.processing_duration_ms",
        Math.round(300 + 9_000 * next() ** 4),
        `"method":"${target.method}","domain":"${target.domain}","http_status":"${targetStatus}"`,
      );
    }
    if (lines.length === batch || index === events - 1) {
      yield encoder.encode(`[${lines.join(",")}]`);
      lines = [];
    }
  }
}
