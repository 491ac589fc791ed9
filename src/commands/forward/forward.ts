/** `weir forward`: what a running gateway has sent to its destinations, and what they lack. */
import { formatDuration } from "../../model/duration.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { oneOf, readArguments } from "../arguments.ts";
import { accepted, gatewayAt, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode } from "../command.ts";

const OPTIONS = { format: { type: "string", default: "table" }, ...urlOptions } as const;

/** A destination of GET /api/v1/forward. */
interface ListedDestination {
  readonly name: string;
  readonly type: string;
  readonly failing: boolean;
  readonly lag_samples: number;
  readonly lag_seconds: number;
  readonly sent_samples: number;
  readonly dropped_samples: number;
  readonly last_error: string | null;
}

export const command: Command = {
  name: "forward",
  summary: "prints the destinations of forwarding, and what they lack",
  usage: `Usage: weir forward [--format table|json]

Prints the destinations of a running gateway ([[forward]] in its weir.toml): the samples that each has not
received, the age of the oldest of them, what was sent and dropped since the start, and the last error.

  weir forward
  weir forward --format json

  --format FORMAT    table (default) or json
${urlHelp}

It needs the scope read, if there are tokens. The exit code is 0 if all destinations take samples. It is 1 if one
does not, or if the gateway failed, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    const format = oneOf("--format", values.format, ["table", "json"]);
    const answer = await accepted(await gatewayAt(values.url, io, values.ca)("/api/v1/forward"));
    const { destinations } = (await answer.json()) as { destinations: readonly ListedDestination[] };
    if (format === "json") await io.stdout.write(`${JSON.stringify(destinations)}\n`);
    else if (destinations.length === 0)
      await io.stderr.write(
        "The gateway sends to no destination. A table [[forward]] in its weir.toml defines one.\n",
      );
    else await io.stdout.write(alignedRows([HEAD, ...destinations.map(cellsOf)]));
    return destinations.some(({ failing }) => failing) ? exitCode.failure : exitCode.ok;
  },
};

const HEAD = ["NAME", "TYPE", "STATE", "LAG", "AGE", "SENT", "DROPPED", "LAST ERROR"];

function cellsOf(each: ListedDestination): string[] {
  return [
    ...[each.name, each.type, each.failing ? "failing" : "ok"],
    String(each.lag_samples),
    each.lag_samples === 0 ? "-" : formatDuration(Math.round(each.lag_seconds) * 1_000),
    ...[String(each.sent_samples), String(each.dropped_samples)],
    each.last_error ?? "-",
  ];
}
