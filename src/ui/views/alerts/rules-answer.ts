/** What the gateway answers about rules, alerts, silences and service levels. */

export type LabelsOf = Readonly<Record<string, string>>;

export interface ListedAlert {
  readonly labels: LabelsOf;
  readonly annotations: LabelsOf;
  readonly state: "pending" | "firing";
  readonly activeAt: string;
  readonly value: string;
}

export interface ListedRule {
  readonly type: "alerting" | "recording";
  readonly name: string;
  readonly query: string;
  readonly labels?: LabelsOf;
  readonly annotations?: LabelsOf;
  readonly state?: "inactive" | "pending" | "firing";
  readonly alerts?: readonly ListedAlert[] | null;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
  readonly evaluationTime: number;
  readonly lastEvaluation: string;
}

export interface ListedRules {
  readonly groups: readonly {
    readonly name: string;
    readonly file: string;
    readonly interval: number;
    readonly rules: readonly ListedRule[];
  }[];
}

/** A silence, as Alertmanager lists it. */
export interface ListedSilence {
  readonly id: string;
  readonly matchers: readonly {
    readonly name: string;
    readonly value: string;
    readonly isRegex: boolean;
    readonly isEqual?: boolean;
  }[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly status: { readonly state: "active" | "pending" | "expired" };
}

/** A row of the summary service_levels. */
export interface ServiceLevelRow {
  readonly slo: string;
  readonly objective_percent: number;
  readonly window_days: number;
  readonly events: number;
  readonly good_percent: number | null;
  readonly budget_left_percent: number | null;
  readonly burn_rate: number | null;
  readonly days_left: number | null;
}

/** The matchers of a silence as people write them: `alertname="X", instance=~"gpu-.*"`. */
export function matchersText(matchers: ListedSilence["matchers"]): string {
  return matchers
    .map(({ name, value, isRegex, isEqual = true }) => {
      const operator = isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=";
      return `${name}${operator}${JSON.stringify(value)}`;
    })
    .join(", ");
}

/** Matchers from such a text, with or without quotation marks. Undefined if it is none. */
export function parseMatchers(text: string): ListedSilence["matchers"] | undefined {
  const pattern = /\s*([a-zA-Z_][\w.]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,"=\s]*)\s*(?:,|$)/y;
  const matchers: ListedSilence["matchers"][number][] = [];
  while (pattern.lastIndex < text.length) {
    const found = pattern.exec(text);
    if (found === null) return undefined;
    const [, name = "", operator = "", written = ""] = found;
    const value = written.startsWith('"') ? (JSON.parse(written) as string) : written;
    matchers.push({ name, value, isRegex: operator.endsWith("~"), isEqual: !operator.startsWith("!") });
  }
  return matchers.length === 0 ? undefined : matchers;
}

/** The matchers that select exactly one alert. */
export function matchersOf(labels: LabelsOf): ListedSilence["matchers"] {
  return Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
}
