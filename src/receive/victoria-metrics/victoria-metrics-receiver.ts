/** VictoriaMetrics' import API (https://docs.victoriametrics.com/#how-to-import-time-series-data). */
import type { Receiver } from "../receiver.ts";
import { importRoutes } from "./import-routes.ts";
import { VICTORIA_METRICS } from "./victoria-metrics-protocol.ts";

export const victoriaMetrics: Receiver = {
  protocol: VICTORIA_METRICS,
  open({ ingest, limits, series, counters }) {
    const seriesCount = () => series.seriesCount;
    return { routes: [importRoutes({ ingest, limits, counters, seriesCount })] };
  },
};
