/** `weir health`: asks a gateway whether it runs, or whether it is ready, for the health check of a container. */
import { readArguments } from "../arguments.ts";
import { gatewayAt, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode } from "../command.ts";

const OPTIONS = { ...urlOptions, ready: { type: "boolean", default: false } } as const;

/** Shorter than the time that container engines wait by default. */
const TIMEOUT_MS = 2_500;

export const command: Command = {
  name: "health",
  summary: "says whether a gateway runs, for health checks of containers",
  usage: `Usage: weir health [--ready] [--url URL]

Asks a gateway whether it runs (/-/healthy), and prints its answer. It needs no token. A supervisor may restart a gateway
for which this fails.

  --ready            asks whether it can commit and be scraped (/-/ready). A full disk makes a gateway unready, and a
                     restart does not help
${urlHelp}

The exit code is 0 for an answer with the status 200, 1 for another answer or none within ${TIMEOUT_MS} ms, and 2 if the arguments
are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    const send = gatewayAt(values.url, io, values.ca);
    const response = await send(values.ready ? "/-/ready" : "/-/healthy", { timeoutMs: TIMEOUT_MS });
    const text = (await response.text()).trimEnd();
    await (response.ok ? io.stdout : io.stderr).write(`${text}\n`);
    return response.ok ? exitCode.ok : exitCode.failure;
  },
};
