/** The settings of the limits of callers, of blocks, and of threads: parts of the table in settings.ts. */
import type { Setting } from "./settings.ts";

export const LIMIT_SETTINGS = {
  trustedProxies: {
    type: { is: "names" },
    default: [],
    what: "Addresses and networks of proxies in front, such as `10.0.0.0/8`, and `unix` for a Unix socket. Their `X-Forwarded-For` and `X-Forwarded-Host` say who the client is and which name it used. Can be given more than once.",
    why: "Any client can write these headers. Only you know which proxies set them.",
  },
  limitToken: {
    type: { is: "limits", of: ["requests", "samples", "bytes", "scrapes"] },
    default: {},
    what: "Limits of each token per second, such as `requests=100,samples=50000,bytes=10MiB,scrapes=1`. Above them, requests get 429 (src/access/README.md).",
    why: "Off. Only you know how much your senders send.",
  },
  limitAddress: {
    type: { is: "limits", of: ["requests", "samples", "bytes", "scrapes", "failures"] },
    default: {},
    what: "Limits of each client address per second, as `limitToken`, for requests with and without a token. `failures=1` also limits requests with an invalid token.",
    why: "Off. Many senders can share an address.",
  },
  queriesPerTokenMax: {
    type: { is: "count", min: 1, max: 100_000 },
    default: 20,
    what: "Queries of one token that can run or wait at the same time, in SQL and PromQL together. Further ones get 429.",
    why: "As many as can run and wait of one kind, so that one token does not take all places of both.",
  },
} as const satisfies Record<string, Setting>;

const hour = 3_600_000;

export const STORE_SETTINGS = {
  packAfterMs: {
    type: { is: "milliseconds", max: 720 * hour },
    default: 2 * hour,
    what: "Time after the end of each two hours of the clock (UTC) at which samples of gauges and cumulative series become blocks, which take a third of the space. 0 keeps them as rows.",
    why: "Senders that were cut off often send what is missing within two hours. Samples that come later take as much space as before.",
  },
  packIntervalMs: {
    type: { is: "milliseconds", min: 1, max: 24 * hour },
    default: hour / 12,
    what: "Time between two looks for samples that can become blocks.",
    why: "Two hours of samples end once in two hours. A look costs nothing if none has ended.",
  },
} as const satisfies Record<string, Setting>;

export const THREAD_SETTINGS = {
  threads: {
    type: { is: "count", min: 1, max: 256 },
    default: 2,
    what: "Threads of the database engine.",
    why: "The smallest supported machine has two cores.",
  },
  decodeWorkers: {
    type: { is: "choice", of: ["auto", "0", "1", "2", "3", "4", "5", "6", "7", "8"] },
    default: "auto",
    what: "The most threads that decode large bodies of events, columns and remote_write. `auto`: as many as the machine has cores beside two, at most 8.",
    why: "The thread that accepts requests and the threads of the store need two cores. With two cores or less, no thread decodes, because that would cost more than it saves.",
  },
} as const satisfies Record<string, Setting>;
