/**
 * Asks the gateways of a fleet one question at once, and joins their answers. A gateway that is slow, away, or answers an error is
 * left out, and named in `warnings`: the answer never waits longer than its time limit. One that does not answer several times in a
 * row is not asked for a while.
 */
import { BadInput, Busy, Unavailable } from "../../model/errors.ts";
import type { PeerGateway } from "../../model/forwarding/peer.ts";
import { Counter, type MetricsRegistry } from "../../model/metrics-library.ts";
import { ApiServer, type ApiFailure } from "../upstream/api-server.ts";
import type { ApiRequest } from "../upstream/sample-requests.ts";
import {
  type FleetSeries,
  failuresOf,
  joinRows,
  joinSeries,
  type PeerAnswer,
  type PeerReport,
  type PromqlAnswerJson,
  reportsOf,
  type SqlAnswerJson,
} from "./fleet-answers.ts";

export interface FleetOptions {
  readonly peers: readonly PeerGateway[];
  readonly metrics: MetricsRegistry;
  readonly now: () => number;
}

/** The label of series, and the column of rows, that name the gateway. */
const LABEL = "gateway";
/** An answer is parsed on the thread that accepts pushes: 20 ms. */
const ANSWER_BYTES_MAX = 2 * 1_048_576;
/** All answers to a question together. */
const TOTAL_BYTES_MAX = 32 * 1_048_576;
/** Each has up to all of its answers in memory. */
const QUESTIONS_MAX = 4;

/** Rows of all gateways, as `/api/v1/sql` answers them. */
export interface FleetRowsAnswer extends SqlAnswerJson {
  readonly warnings?: readonly string[];
  readonly peers: readonly PeerReport[];
}

/** How long the answers are waited for. Each gateway has its own time limit too. */
interface Waiting {
  /** Of the client. */
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

interface Peer {
  readonly name: string;
  readonly url: string;
  readonly server: ApiServer;
}

export class Fleet {
  readonly #peers: readonly Peer[];
  #inProgress = 0;

  constructor({ peers, metrics, now }: FleetOptions) {
    const requests = new Counter({
      name: "weir_fleet_requests_total",
      help: "Requests to gateways of the fleet, by outcome: ok, refused (4xx), timeout, error, or skipped because it has failed.",
      labelNames: ["peer", "outcome"],
      registers: peers.length > 0 ? [metrics] : [],
    });
    this.#peers = peers.map((settings) => ({
      name: settings.name,
      url: "file" in settings.url ? settings.url.file : (URL.parse(settings.url.text)?.origin ?? ""),
      server: new ApiServer({
        ...{ settings, now, who: "the gateway" },
        onOutcome: (outcome) => requests.inc({ peer: settings.name, outcome }),
      }),
    }));
  }

  /** The names of the gateways. */
  get names(): readonly string[] {
    return this.#peers.map(({ name }) => name);
  }

  /** The series of all gateways, each with the label `gateway`. */
  async series(request: ApiRequest, isRange: boolean, waiting: Waiting): Promise<FleetSeries> {
    return joinSeries(await this.#ask(request, waiting, isPromqlAnswer), LABEL, isRange);
  }

  /** The rows of all gateways, with the column `gateway` before the others. */
  async rows(request: ApiRequest, waiting: Waiting): Promise<FleetRowsAnswer> {
    const answers = await this.#ask(request, waiting, isSqlAnswer);
    const { columns, rows, truncated } = joinRows(answers, LABEL);
    const warnings = failuresOf(answers);
    return {
      columns,
      rows: rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]!]))),
      truncated,
      ...(warnings.length > 0 ? { warnings } : {}),
      peers: reportsOf(answers),
    };
  }

  async #ask<Answer>(
    request: ApiRequest,
    { signal, timeoutMs }: Waiting,
    isAnswer: (value: unknown) => value is Answer,
  ): Promise<readonly PeerAnswer<Answer>[]> {
    if (this.#inProgress === QUESTIONS_MAX)
      throw new Busy(`${QUESTIONS_MAX} questions to the fleet are in progress, which is the limit`);
    this.#inProgress++;
    let bytesLeft = TOTAL_BYTES_MAX;
    const end = timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const ask = async ({ server }: Peer): Promise<{ answer: Answer } | ApiFailure> => {
      const found = await server.json(request, end, ANSWER_BYTES_MAX);
      if ("failure" in found) return found;
      bytesLeft -= found.bytes;
      if (bytesLeft < 0)
        return {
          failure: `the answers of all gateways have more than ${TOTAL_BYTES_MAX} bytes: select less`,
        };
      return isAnswer(found.value)
        ? { answer: found.value }
        : { failure: "the gateway sent an answer of another form" };
    };
    try {
      const found = await Promise.all(this.#peers.map(ask));
      signal.throwIfAborted();
      const failures = found.filter((each) => "failure" in each);
      if (failures.length === found.length) throw this.#allFailed(failures);
      return found.map((each, at) => {
        const { name, url } = this.#peers[at]!;
        return "failure" in each
          ? { peer: { name, url }, error: each.failure }
          : { peer: { name, url }, answer: each.answer };
      });
    } finally {
      this.#inProgress--;
    }
  }

  /** A question that all gateways refuse is wrong. */
  #allFailed(failures: readonly ApiFailure[]): Error {
    const said = failures.map(({ failure }, at) => `${this.#peers[at]!.name}: ${failure}`);
    const text = `no gateway of the fleet has an answer: ${said.slice(0, 10).join("; ")}`;
    return failures.every(({ isRefusal }) => isRefusal) ? new BadInput(text) : new Unavailable(text);
  }
}

function isPromqlAnswer(value: unknown): value is PromqlAnswerJson {
  const { data } = (value ?? {}) as { data?: { resultType?: unknown; result?: unknown } };
  if (!Array.isArray(data?.result)) return false;
  if (data.resultType === "scalar" || data.resultType === "string") return true;
  return (
    (data.resultType === "vector" || data.resultType === "matrix") &&
    data.result.every((each) => typeof each?.metric === "object" && each.metric !== null)
  );
}

function isSqlAnswer(value: unknown): value is SqlAnswerJson {
  const { columns, rows, truncated } = (value ?? {}) as Partial<Record<string, unknown>>;
  return (
    typeof truncated === "boolean" &&
    [columns, rows].every(
      (list) => Array.isArray(list) && list.every((each) => typeof each === "object" && each !== null),
    )
  );
}
