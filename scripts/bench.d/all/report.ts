/** The report: all runs, their medians, and the ratio of each server to this gateway. It is kept as JSON. */
import { FIGURES, type Figure, figuresOf, isRate, median, type Run } from "./figures.ts";
import type { Case, Competitor, Results } from "./measure.ts";

/** The machine and the programs that the figures are of. */
export interface About {
  readonly date: string;
  readonly commit: string;
  /** The earlier commit of this gateway that took part. */
  readonly before?: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly loadBefore: number;
  readonly rounds: number;
  readonly curveRounds: number;
  readonly versions: Readonly<Record<string, string>>;
}

export interface ServerReport {
  readonly name: string;
  readonly note?: string;
  /** Why it did not take part. */
  readonly absent?: string;
  readonly failures: readonly string[];
  readonly runs: readonly Run[];
  readonly medians: Run;
  /** How far the gateway is ahead: 2 is twice as good. */
  readonly ratios?: Run;
}

export interface CaseReport {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly size?: { readonly of: string; readonly value: number };
  readonly servers: readonly ServerReport[];
}

export interface Report {
  readonly about: About;
  readonly cases: readonly CaseReport[];
}

export const OWN = "weir";
/** What other people call the servers. */
const NAMES: Readonly<Record<string, string>> = {
  weir: "Weir",
  influxd: "InfluxDB",
  prometheus: "Prometheus",
  "victoria-metrics": "VictoriaMetrics",
  "prometheus-pushgateway": "Pushgateway",
};
/** The name of an earlier gateway has its commit: `weir 1234abcd`. */
const EARLIER = /^weir (\S+)$/;
export const isEarlier = (server: string): boolean => EARLIER.test(server);
export const nameOf = (server: string): string => NAMES[server] ?? server.replace(EARLIER, "Weir, $1");

/** The report of a case, with all its runs. */
export function reportOf(each: Case, competitors: readonly Competitor[], results: Results): CaseReport {
  const { id, title, unit, size } = each;
  const own = mediansOf(results.get(OWN)?.runs ?? []);
  const servers = competitors.map(({ contender: { name, absent }, note }): ServerReport => {
    const { runs, failures } = results.get(name) ?? { runs: [], failures: [] };
    const medians = mediansOf(runs);
    const ratios = name === OWN ? undefined : ratiosOf(own, medians);
    return { name, note, absent, failures, runs, medians, ratios };
  });
  return { id, title, unit, size, servers };
}

function mediansOf(runs: readonly Run[]): Run {
  return Object.fromEntries(figuresOf(runs).map((figure) => [figure, median(runs, figure)])) as Run;
}

function ratiosOf(own: Run, theirs: Run): Run {
  const figures = (Object.keys(FIGURES) as Figure[]).filter((figure) => own[figure] && theirs[figure]);
  return Object.fromEntries(
    figures.map((figure) => {
      const ratio = isRate(figure) ? own[figure]! / theirs[figure]! : theirs[figure]! / own[figure]!;
      return [figure, Number(ratio.toPrecision(5))];
    }),
  ) as Run;
}
