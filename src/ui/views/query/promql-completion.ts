/**
 * What the editor of PromQL completes, from the gateway: metrics with type and help, labels, values. With many names it asks
 * for those that begin as the typed text, and never loads all of them.
 */
import type { PrometheusClient } from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus";
import { askPrometheus } from "../../api/gateway-api.ts";

const NAMES_MAX = 5_000;
const DAY_MS = 86_400_000;

type Metadata = Record<string, { readonly type: string; readonly help: string }[]>;

/** Series are those of the last day: older ones are rarely asked for. */
const lastDay = () => ({ start: String((Date.now() - DAY_MS) / 1_000), limit: NAMES_MAX });

export function promqlClient(): PrometheusClient {
  let metadata: Promise<Metadata> | undefined;
  let names: Promise<string[]> | undefined;
  const values = (label: string, metric: string | undefined) =>
    askPrometheus<string[]>(`/api/v1/label/${encodeURIComponent(label)}/values`, {
      parameters: {
        ...lastDay(),
        "match[]":
          metric === undefined || metric === "" ? undefined : [`{__name__=${JSON.stringify(metric)}}`],
      },
    }).catch(() => []);
  return {
    labelNames: (metric) =>
      askPrometheus<string[]>("/api/v1/labels", {
        parameters: {
          ...lastDay(),
          "match[]":
            metric === undefined || metric === "" ? undefined : [`{__name__=${JSON.stringify(metric)}}`],
        },
      }).catch(() => []),
    labelValues: values,
    metricMetadata: () => {
      metadata ??= askPrometheus<Metadata>("/api/v1/metadata", { parameters: { limit: NAMES_MAX } }).catch(
        () => ({}),
      );
      return metadata;
    },
    series: async () => [],
    metricNames: () => {
      names ??= values("__name__", undefined);
      return names;
    },
    flags: async () => ({}),
  };
}
