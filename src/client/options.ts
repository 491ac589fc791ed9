/**
 * The options of the client, with their defaults. An option that cannot be used is reported and replaced by its default:
 * a mistake in the configuration of metrics never ends the worker.
 */

/** The names and values that are attached to a sample. Numbers and booleans become text, as in the gateway. */
export type SampleTags = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** What went wrong, once per kind. */
export interface ClientProblem {
  /** A stable name, such as `invalid_value` or `gateway_away`. */
  readonly kind: string;
  /** One sentence. */
  readonly message: string;
}

/** The part of `fetch` that the client uses. */
export type ClientFetch = (url: string, init: RequestInit) => Promise<Response>;

export interface ClientOptions {
  /** The address of the gateway, such as `http://127.0.0.1:9091`. */
  readonly url: string;
  /** A token with the scope `push`. */
  readonly token?: string;
  /** Tags of every sample, such as `{ job: "scanner" }`. A sample's own tag of the same name wins. */
  readonly labels?: SampleTags;
  /**
   * The index of this worker, such as `_1`. It names the folder of this worker within the spool, and it is the label
   * `instance` unless `labels` has one.
   */
  readonly worker?: string;
  /** A folder for samples that the gateway did not acknowledge. Without one they stay in memory. */
  readonly spool?: string;
  /** The longest time that a sample waits before it is sent. */
  readonly flushIntervalMs?: number;
  /** A batch is sent when it has this many samples. */
  readonly batchSamples?: number;
  /** How many samples are kept in memory; the oldest are dropped. */
  readonly memorySamplesMax?: number;
  /** How many bytes of names and tags, and of compressed batches, are kept in memory. */
  readonly memoryBytesMax?: number;
  /** How many bytes the spool of this worker may have; the oldest batches are dropped. */
  readonly spoolBytesMax?: number;
  /** How old a batch in the spool may become. */
  readonly spoolDays?: number;
  /** How long a request may take. */
  readonly requestTimeoutMs?: number;
  /** The largest delay before the first retry. It doubles with each failure. */
  readonly backoffMs?: number;
  /** The largest delay before any retry. */
  readonly backoffMaxMs?: number;
  /** How long `flush()`, `close()`, a signal and the end of the process wait for the gateway. */
  readonly closeTimeoutMs?: number;
  /** False: the worker calls `close()` itself, and the client listens to no signal and no end of the process. */
  readonly signals?: boolean;
  /** Receives each kind of problem once. The default writes one line to standard error. */
  readonly onProblem?: (problem: ClientProblem) => void;
  /** Sends the requests. The default is the `fetch` of the moment when the client is created. */
  readonly fetch?: ClientFetch;
}

export const CLIENT_DEFAULTS = {
  flushIntervalMs: 10_000,
  batchSamples: 1_000,
  // Some 100 batches: more than a minute at 1,000 samples per second.
  memorySamplesMax: 100_000,
  memoryBytesMax: 32 * 2 ** 20,
  // Some 4 million samples: a sample takes about 15 bytes once it is compressed.
  spoolBytesMax: 64 * 2 ** 20,
  // The gateway rejects samples that are older than its retention, 7 days by default.
  spoolDays: 7,
  requestTimeoutMs: 10_000,
  backoffMs: 1_000,
  backoffMaxMs: 60_000,
  // Orchestrators usually wait 10 s or longer between SIGTERM and SIGKILL.
  closeTimeoutMs: 3_000,
} as const;

type Numbers = { readonly [Key in keyof typeof CLIENT_DEFAULTS]: number };

/** The options as the client uses them. */
export interface ClientSettings extends Numbers {
  /** Where batches are sent; undefined if `url` cannot be used. */
  readonly pushUrl: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** The folder of this worker within the spool. */
  readonly spoolFolder: string | undefined;
  readonly signals: boolean;
  readonly fetch: ClientFetch;
}

/** Reads options. Never throws: what cannot be used is passed to `report` and replaced. */
export function readClientOptions(
  options: ClientOptions,
  report: (kind: string, message: string) => void,
): ClientSettings {
  const given: Partial<ClientOptions> = typeof options === "object" && options !== null ? options : {};
  const wrong = (name: keyof ClientOptions, expected: string) =>
    report("invalid_option", `the option ${name} is ${quoted(given[name])}, expected ${expected}`);
  const number = (name: keyof Numbers): number => {
    const value = given[name];
    if (value === undefined) return CLIENT_DEFAULTS[name];
    // 2^31 ms is the longest time of a timer.
    if (typeof value === "number" && value > 0 && value < 2 ** 31) return value;
    if (name.startsWith("spool") && typeof value === "number" && value > 0 && Number.isFinite(value))
      return value;
    wrong(name, "a positive number");
    return CLIENT_DEFAULTS[name];
  };

  const worker = given.worker === undefined ? undefined : String(given.worker);
  const labels: Record<string, string> = worker === undefined ? {} : { instance: worker };
  for (const [name, value] of Object.entries(given.labels ?? {})) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      labels[name] = String(value);
    else if (value !== null && value !== undefined) wrong("labels", "names with texts");
  }
  const headers: Record<string, string> = {
    "Content-Type": "application/x-ndjson",
    "Content-Encoding": "gzip",
  };
  const { token } = given;
  // The message does not quote it: it is a secret.
  if (token !== undefined && (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)))
    report("invalid_option", "the option token is not a text of printable characters; no token is sent");
  else if (token !== undefined) headers.Authorization = `Bearer ${token}`;

  const pushUrl = pushUrlOf(given.url);
  if (pushUrl === undefined)
    wrong("url", "an address such as http://127.0.0.1:9091; samples are not sent and not stored");
  const { spool } = given;
  if (spool !== undefined && (typeof spool !== "string" || spool === "")) wrong("spool", "a folder");
  return {
    flushIntervalMs: number("flushIntervalMs"),
    batchSamples: Math.max(1, Math.floor(Math.min(number("batchSamples"), 100_000))),
    memorySamplesMax: number("memorySamplesMax"),
    memoryBytesMax: number("memoryBytesMax"),
    spoolBytesMax: number("spoolBytesMax"),
    spoolDays: number("spoolDays"),
    requestTimeoutMs: number("requestTimeoutMs"),
    backoffMs: number("backoffMs"),
    backoffMaxMs: number("backoffMaxMs"),
    closeTimeoutMs: number("closeTimeoutMs"),
    pushUrl,
    headers,
    labels,
    spoolFolder:
      typeof spool === "string" && spool !== "" ? `${spool}/${folderName(worker ?? "worker")}` : undefined,
    signals: given.signals !== false,
    // Bound to no object: browsers and Deno reject a `fetch` that is called as a method of another object.
    fetch: typeof given.fetch === "function" ? given.fetch : globalThis.fetch.bind(globalThis),
  };
}

/** The route of events. A path is kept, for a gateway behind a proxy. Credentials in an address are not supported. */
function pushUrlOf(url: unknown): string | undefined {
  try {
    const parsed = new URL(String(url));
    if (!/^https?:$/.test(parsed.protocol) || parsed.username !== "") return undefined;
    return `${parsed.origin}${parsed.pathname.replace(/\/+$/, "")}/api/v1/push`;
  } catch {
    return undefined;
  }
}

/** A worker's index as the name of one folder: `a/b` and `..` must not lead elsewhere. */
function folderName(worker: string): string {
  const safe = worker.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 100);
  return /^\.*$/.test(safe) ? `_${safe}` : safe;
}

/** A value within a message, capped. */
export function quoted(value: unknown): string {
  let text: string;
  try {
    text = typeof value === "string" ? JSON.stringify(value) : String(value);
  } catch {
    text = typeof value;
  }
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
