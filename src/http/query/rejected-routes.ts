/**
 * `GET /api/v1/rejected` lists rejected samples. `POST /api/v1/rejected/replay` pushes them again, and
 * `POST /api/v1/rejected/clear` deletes them. All three select by the same parameters, in the query string or in a form.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { prometheusName } from "../../model/names.ts";
import { parseTime } from "../../model/time.ts";
import type {
  NamedSample,
  RejectedFilter,
  RejectedPage,
  RejectedSamples,
} from "../../ingest/rejected-samples.ts";
import { METRIC_NAME } from "../../query/promql/labels.ts";
import type { Matcher } from "../../query/promql/matchers.ts";
import type { SelectorUse } from "../../query/promql/worker/selector-reader.ts";
import type { BodyLimits } from "../body.ts";
import { jsonResponse } from "../error-answers.ts";
import { readCount, readFlag, rejectUnknown, wrongParameter } from "../parameters.ts";
import { asParameter, readParameters } from "../prometheus/prometheus-api-parameters.ts";
import { Routes } from "../routes.ts";

interface RejectedDependencies {
  readonly rejected: Pick<RejectedSamples, "list" | "replay" | "replayAs" | "clear">;
  readonly selectors: SelectorUse;
  readonly limits: BodyLimits;
  readonly now: () => number;
}

const TEXTS = ["metric", "cause", "protocol", "instance", "reason"] as const;
const SELECTING = [...TEXTS, "match[]", "from", "to", "id", "limit", "before"];
const LIMIT = 100;
/** An event that replaces a sample. What was kept of one has at most 4,000 bytes. */
const EVENT_CHARACTERS_MAX = 65_536;
/** An answer has at most some megabytes, and a replay that many samples in one push. */
const LIMIT_MAX = 1_000;

export const rejectedRoutes = ({ rejected, selectors, limits, now }: RejectedDependencies) => {
  /** Calls `action` with the samples that the parameters of a request select. */
  const route =
    (
      known: readonly string[],
      limit: number,
      action: (filter: RejectedFilter, page: RejectedPage, isDry: boolean) => Promise<unknown>,
    ) =>
    async (parameters: URLSearchParams, request: Request) => {
      rejectUnknown(parameters, known);
      const isDry = readFlag(parameters, "dry_run") ?? false;
      const filter = readFilter(parameters, now());
      const page = readPage(parameters, limit);
      const texts = parameters.getAll("match[]");
      const answer =
        texts.length === 0
          ? action(filter, page, isDry)
          : asParameter("match[]", () =>
              selectors.use({ texts, mayFindAll: true }, request.signal, (found) =>
                action({ ...filter, select: selectBy(found) }, page, isDry),
              ),
            );
      return jsonResponse(200, await answer);
    };
  const acting = [...SELECTING, "dry_run"];
  const replaySelected = route(acting, LIMIT_MAX, (filter, page, isDry) =>
    rejected.replay(filter, page, isDry),
  );
  const replay = async (request: Request) => {
    const parameters = await readParameters(request, limits);
    const event = parameters.get("event");
    if (event === null) return await replaySelected(parameters, request);
    return jsonResponse(200, await rejected.replayAs(...readReplacement(parameters, event)));
  };
  const reading = (answer: ReturnType<typeof route>) => async (request: Request) =>
    await answer(await readParameters(request, limits), request);
  return new Routes()
    .on(
      "GET",
      "/api/v1/rejected",
      "read",
      "lists rejected samples, the newest first",
      reading(route(SELECTING, LIMIT, (filter, page) => rejected.list(filter, page))),
    )
    .on("POST", "/api/v1/rejected/replay", "admin", "pushes rejected samples again", replay)
    .on(
      "POST",
      "/api/v1/rejected/clear",
      "admin",
      "deletes rejected samples",
      reading(route(acting, LIMIT_MAX, (filter, page, isDry) => rejected.clear(filter, page, isDry))),
    );
};

/** The id of the one sample that an event replaces, and the event. */
function readReplacement(parameters: URLSearchParams, event: string): [id: number, event: string] {
  rejectUnknown(parameters, ["id", "event"]);
  const [id, ...others] = parameters.getAll("id");
  if (id === undefined || others.length > 0)
    throw new BadInput("event replaces one sample; expected one id with it.", "id");
  if (event.length > EVENT_CHARACTERS_MAX)
    throw new BadInput(
      `event has ${event.length} characters; expected at most ${EVENT_CHARACTERS_MAX}.`,
      "event",
    );
  return [readId("id", id), event];
}

function readFilter(parameters: URLSearchParams, nowMs: number): RejectedFilter {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, parameters.get(name) ?? undefined]));
  const time = (name: string, ofDate: (ms: number) => number) => {
    const text = parameters.get(name) ?? "";
    return text === "" ? undefined : ofDate(parseTime(text, nowMs, name) * 1000);
  };
  const [fromUs, toUs] = [time("from", Math.ceil), time("to", Math.floor)];
  if (fromUs !== undefined && toUs !== undefined && fromUs > toUs)
    throw new BadInput(
      `from=${quote(parameters.get("from"))} is after to=${quote(parameters.get("to"))}.`,
      "from",
    );
  const ids = parameters.getAll("id").map((text) => readId("id", text));
  return {
    ...texts,
    fromUs,
    toUs,
    ids: ids.length === 0 ? undefined : new Set(ids),
  };
}

function readPage(parameters: URLSearchParams, limit: number): RejectedPage {
  const asked = readCount(parameters.get("limit"), "limit") ?? limit;
  if (asked > LIMIT_MAX) throw wrongParameter("limit", String(asked), `at most ${LIMIT_MAX}`);
  const before = parameters.get("before");
  return { limit: asked, before: before === null ? undefined : readId("before", before) };
}

function readId(name: string, text: string): number {
  if (/^[0-9]{1,15}$|^[0-8][0-9]{15}$/.test(text)) return Number(text);
  throw wrongParameter(name, text, "the id of a rejected sample");
}

/** Decides about samples at once, since another thread evaluates regular expressions. */
const selectBy =
  (selectors: readonly (readonly Matcher[])[]): RejectedFilter["select"] =>
  async (samples) => {
    const deferred = selectors.flat().flatMap((matcher) => matcher.deferred ?? []);
    if (deferred.length > 0) {
      for (const each of deferred) each.collect();
      for (const sample of samples) selects(selectors, sample);
      for (const each of deferred) await each.settle();
    }
    return samples.map((sample) => selects(selectors, sample));
  };

/** Whether a selector selects a sample. Its metric may be spelled as it was pushed, or as in Prometheus. */
function selects(selectors: readonly (readonly Matcher[])[], { metric, labels }: NamedSample): boolean {
  return selectors.some((matchers) =>
    matchers.every((matcher) => {
      if (matcher.name !== METRIC_NAME) return matcher.matches(labels.get(matcher.name) ?? "");
      const spellings = [matcher.matches(metric), matcher.matches(prometheusName(metric))];
      return matcher.operator.startsWith("!") ? spellings.every(Boolean) : spellings.some(Boolean);
    }),
  );
}
