/** `weir slo`: how much of each error budget is left, and the rules that record it. */
import { loadConfig } from "../../config/config.ts";
import { type Command, exitCode } from "../command.ts";
import { command as summary } from "../summary.ts";

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
    if (action !== "rules")
      return await summary.run(["service_levels", ...(action === undefined ? [] : [action, ...rest])], io);
    const { generatedRuleFile } = await import("../../open-rules.ts");
    await io.stdout.write(generatedRuleFile(loadConfig(rest, io.env, io.readFile)));
    return exitCode.ok;
  },
};
