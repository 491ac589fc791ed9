/**
 * The table of receivers: every protocol by which samples are pushed. A new protocol is a new folder here and a row.
 */
import { datadog } from "./datadog/datadog-receiver.ts";
import { events } from "./events/events-receiver.ts";
import { graphite } from "./graphite/graphite-receiver.ts";
import { influx } from "./influx/influx-receiver.ts";
import { otlp } from "./otlp/otlp-receiver.ts";
import { pushgateway } from "./pushgateway/pushgateway-receiver.ts";
import { remoteWrite } from "./remote-write/remote-write-receiver.ts";
import { scrape } from "./scrape/scrape-receiver.ts";
import { statsd } from "./statsd/statsd-receiver.ts";
import { victoriaMetrics } from "./victoria-metrics/victoria-metrics-receiver.ts";

export const RECEIVERS = [
  events,
  remoteWrite,
  pushgateway,
  otlp,
  influx,
  statsd,
  graphite,
  victoriaMetrics,
  scrape,
  datadog,
] as const;
