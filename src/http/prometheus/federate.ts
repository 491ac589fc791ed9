/**
 * `GET /federate` (https://prometheus.io/docs/prometheus/latest/federation/): the latest sample of each series that
 * `match[]` selects, in text 0.0.4 with timestamps. It serves a higher-level Prometheus that collects a part of the
 * series, including those received by remote_write.
 */
import { setImmediate } from "node:timers/promises";
import { CHUNK_CHARACTERS, TEXT_CONTENT_TYPE } from "../../exposition/text.ts";
import type { Labels } from "../../model/sample.ts";
import { escapeLabelValue, numberText } from "../../model/spelling.ts";
import type { FederatedSample } from "../../query/promql/federation.ts";
import { METRIC_NAME } from "../../query/promql/labels.ts";
import { compressibleAnswer } from "../negotiation.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { asParameter } from "./prometheus-api-parameters.ts";

interface FederateDependencies {
  readonly federation: {
    latest(
      texts: readonly string[],
      nowMs: number,
      signal: AbortSignal,
      labels: Labels | undefined,
    ): Promise<readonly FederatedSample[]>;
  };
  readonly now: () => number;
  /** Added to series without such a label, as Prometheus does. */
  readonly externalLabels: Readonly<Record<string, string>>;
}

export const federateRoutes = ({ federation, now, externalLabels }: FederateDependencies) =>
  new Routes().on(
    "GET",
    "/federate",
    { scope: "scrape", bound: "narrows" },
    "returns the latest sample of each selected series",
    async (request, _, { labels }) => {
      const texts = queryOf(request.url).getAll("match[]");
      const samples = await asParameter("match[]", () =>
        federation.latest(texts, now(), request.signal, labels),
      );
      const body = await render(samples, Object.entries(externalLabels));
      return await compressibleAnswer(request, body, new Headers({ "content-type": TEXT_CONTENT_TYPE }));
    },
  );

/** Renders samples that are sorted by name, with a pause after each chunk. */
async function render(
  samples: readonly FederatedSample[],
  external: readonly (readonly [string, string])[],
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let family = "";
  let text = "";
  for (const { labels, value, timestampMs } of samples) {
    const name = labels.get(METRIC_NAME);
    if (name !== family) {
      family = name;
      // As upstream: the family of a single sample is unknown.
      text += `# TYPE ${name} untyped\n`;
    }
    text += `${name}{${pairsOf([...external, ...labels.entries()])}} ${numberText(value)} ${timestampMs}\n`;
    if (text.length < CHUNK_CHARACTERS) continue;
    chunks.push(Buffer.from(text));
    text = "";
    await setImmediate();
  }
  chunks.push(Buffer.from(text));
  return Buffer.concat(chunks);
}

/**
 * Labels as they are written between the braces. `instance=""` for series without an instance prevents the scraper
 * from adding the gateway's address.
 */
function pairsOf(labels: Iterable<readonly [string, string]>): string {
  const pairs = new Map([["instance", ""], ...labels]);
  pairs.delete(METRIC_NAME);
  return [...pairs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${escapeLabelValue(value)}"`)
    .join(",");
}
