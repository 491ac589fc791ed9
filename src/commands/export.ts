/** `weir export`: the samples of a range as JSON events, one per line, in the shape in which they were pushed. */
import { writeTo } from "./answer.ts";
import { oneOf, readArguments } from "./arguments.ts";
import { accepted, bytesOf, gatewayAt, urlHelp, urlOptions } from "./client.ts";
import { type Command, exitCode } from "./command.ts";

const OPTIONS = {
  ...urlOptions,
  from: { type: "string" },
  to: { type: "string" },
  metric: { type: "string" },
  format: { type: "string", default: "ndjson" },
  output: { type: "string", short: "o" },
} as const;

export const command: Command = {
  name: "export",
  summary: "writes the samples of a range as JSON events",
  usage: `Usage: weir export [--url URL] [--from TIME] [--to TIME] [--metric NAME] [--output FILE]

Writes samples in the order of time, as they were pushed, one JSON event per line:
{"@timestamp":1704067200000,"metric_name":"http.request.duration_ms","value":234.56,"tags":{…}}
An event has "type" if it is not an observation, and "unit" if the metric has one. The first line of each
metric has its "help", if that has at most 1,024 characters. If an import would otherwise make another series,
it has "metadata_type", "exposed", "keeps_bounds" or "columns". Values that JSON cannot express as numbers are
"NaN", "Infinity" and "-Infinity". A stale marker has the value "stale". "weir import" reads all events again.
Exemplars are not exported.

  --from TIME        the start of the range; default: the oldest sample
  --to TIME          the end of the range, which is not included; default: after the newest sample
  --metric NAME      only this metric, by its name as pushed or as Prometheus spells it
  --output FILE      write to this file, which appears when it is complete; default: standard output
  --format ndjson    the only supported format
${urlHelp}

A TIME is now, -24h, 2024-01-15, 2024-01-15T08:30:00Z (UTC if it has no zone), or milliseconds since 1970.

The exit code is 0 if the export is complete, 1 if the gateway failed or the connection broke, and 2 if the
arguments are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    oneOf("--format", values.format, ["ndjson"]);
    const send = gatewayAt(values.url, io, values.ca);
    const query = (["from", "to", "metric"] as const).flatMap((name): [string, string][] => {
      const value = values[name];
      return value === undefined ? [] : [[name, value]];
    });
    const response = await accepted(await send("/api/v1/export", { query }));
    await writeTo(values.output, bytesOf(response), io);
    return exitCode.ok;
  },
};
