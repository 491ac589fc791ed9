/** `weir slo`: how much of each error budget is left, and the rules that record it. */
import { loadConfig } from "../../config/config.ts";
import { accepted, type Send } from "../client.ts";
import { type Command, exitCode } from "../command.ts";
import { type UnstoredMetric, absentMetrics, runSummary } from "../summary.ts";

export const command: Command = {
  name: "slo",
  summary: "prints service levels and what is left of their error budgets",
  usage: `Usage: weir slo [--from TIME] [--to TIME] [OPTIONS]
       weir slo rules [SETTINGS]

Prints the service levels of a running gateway ([[slo]] in its weir.toml): the events of the range, the part
that was good, the part of the error budget that is left, how fast the last hour used it, and when it runs
out. The default is the last 30 days. A month is a report:

  weir slo
  weir slo --from 2026-11-01 --to 2026-12-01 --format csv

It is the summary service_levels: "weir summary --help" describes the options.

"weir slo rules" prints the rules that the gateway generates from [[slo]] and [[expect]], as a rule file. It
needs no gateway. Prometheus can use the file, too, if no question is in SQL.

  weir slo rules --config weir.toml >slo.rules.yml`,
  async run([action, ...rest], io) {
    if (action !== "rules") {
      const argv = ["service_levels", ...(action === undefined ? [] : [action, ...rest])];
      return await runSummary(argv, io, notesOf);
    }
    const { generatedRuleFile } = await import("../../open-rules.ts");
    await io.stdout.write(generatedRuleFile(loadConfig(rest, io.env, io.readFile)));
    return exitCode.ok;
  },
};

/** The group of rules that counts the events of service levels, as Prometheus's API has it. */
interface CountsGroup {
  readonly name: string;
  readonly rules: readonly { readonly lastError?: string }[];
}

/** Why nothing is recorded yet. A metric of another name, which an option gave, is absent as in other summaries. */
async function notesOf(absent: readonly UnstoredMetric[], send: Send): Promise<readonly string[]> {
  if (!absent.every(({ metric }) => metric.startsWith("slo:"))) return absentMetrics(absent);
  const query: [string, string][] = [["exclude_alerts", "true"]];
  const answer = await accepted(await send("/api/v1/rules", { query }));
  const { data } = (await answer.json()) as { data: { groups: readonly CountsGroup[] } };
  const groups = data.groups.filter(({ name }) => /^slo .* counts$/s.test(name));
  if (groups.length === 0)
    return ["The gateway has no service level. A table [[slo]] in its weir.toml defines one."];
  const errors = groups.flatMap(({ name, rules }) =>
    rules.flatMap(({ lastError }) =>
      lastError ? [`The rules of the group ${name} fail: ${lastError}`] : [],
    ),
  );
  return errors.length > 0
    ? [...new Set(errors)]
    : [
        `${groups.length === 1 ? "The service level has" : "The service levels have"} no counts yet. Events are ` +
          "counted every five minutes, for the first time up to five minutes after a start.",
      ];
}
