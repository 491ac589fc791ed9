/**
 * The events of the benchmark: tasks of four http requests, one task and one upload each, with a task_id of
 * their own; 20 domains, 50 urls. The same seed gives the same events, so that two runs can be compared.
 */

export const EVENTS_PER_TASK = 6;
const DOMAINS = 20;
const URLS = 50;

const OPERATIONS = [
  ["get_task", "GET", "get-task"],
  ["submit_result", "POST", "submit-result"],
  ["heartbeat", "POST", "heartbeat"],
  ["fetch_page", "GET", "page"],
  ["upload_file", "PUT", "upload"],
] as const;
const UPLOAD_TYPES = ["screenshot", "html", "har", "video"];
const TASK_TYPES = ["render", "crawl", "check"];

/** mulberry32: a small generator of numbers in [0, 1) that a seed decides. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Url {
  readonly url: string;
  readonly domain: string;
  readonly operation: string;
  readonly method: string;
}

const urls: Url[] = Array.from({ length: URLS }, (_, index) => {
  const domain = `app${index % DOMAINS}.example.com`;
  const [operation, method, path] = OPERATIONS[index % OPERATIONS.length]!;
  return { url: `https://${domain}/api/${path}/${Math.floor(index / DOMAINS)}`, domain, operation, method };
});

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
  let home = urls[0]!;
  let lines: string[] = [];
  for (let index = 0; index < events; index++) {
    const part = index % EVENTS_PER_TASK;
    const timestampMs = Math.round(span.fromMs + index * stepMs);
    if (part === 0) {
      task = `${Math.floor(timestampMs / 1000)}_${Math.floor(next() * 2 ** 48)
        .toString(36)
        .padStart(10, "0")}`;
      home = pick(urls);
    }
    if (part < 4) {
      const { url, domain, operation, method } = part === 0 ? home : pick(urls);
      const status = next() < 0.95 ? "200" : pick(["404", "429", "500", "503"]);
      const duration = Math.round(20_000 / (0.4 + 50 * next())) / 10;
      lines.push(
        `{"@timestamp":${timestampMs},"metric_name":"http.request.duration_ms","value":${duration},"tags":{"task_id":"${task}","operation":"${operation}","url":"${url}","domain":"${domain}","method":"${method}","status_code":"${status}","has_task":"${next() < 0.8}"}}`,
      );
    } else if (part === 4) {
      const failed = next() < 0.03;
      lines.push(
        `{"@timestamp":${timestampMs},"metric_name":"task.duration_ms","value":${Math.round(300 + 9_000 * next() ** 4)},"tags":{"task_id":"${task}","type":"${pick(TASK_TYPES)}","domain":"${home.domain}","status":"${failed ? "error" : "success"}"}}`,
      );
    } else {
      lines.push(
        `{"@timestamp":${timestampMs},"metric_name":"upload.bytes","value":${Math.floor(2 ** (10 + 12 * next()))},"tags":{"task_id":"${task}","type":"${pick(UPLOAD_TYPES)}","domain":"${home.domain}"}}`,
      );
    }
    if (lines.length === batch || index === events - 1) {
      yield encoder.encode(`[${lines.join(",")}]`);
      lines = [];
    }
  }
}
