/** Alerts that fire, the rules behind them, silences, and the budgets of service levels. */
import { useState } from "preact/hooks";
import { askJson, askPrometheus, askSummary } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { may, session } from "../../api/session.ts";
import { formatAgo } from "../../format/times.ts";
import { formatNumber, formatSeconds } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { AlertHistory } from "./alert-history.tsx";
import type {
  LabelsOf,
  ListedAlert,
  ListedRule,
  ListedRules,
  ListedSilence,
  ServiceLevelRow,
} from "./rules-answer.ts";
import { matchersOf, matchersText } from "./rules-answer.ts";
import { SilencesPanel } from "./silences.tsx";

const REFRESH_MS = 5_000;
const SLOW_REFRESH_MS = 30_000;

export default function Alerts() {
  const rules = useLive((signal) => askPrometheus<ListedRules>("/api/v1/rules", { signal }), REFRESH_MS);
  // A token with labels may not see silences: they are about all alerts.
  const isBound = Object.keys(session.value?.labels ?? {}).length > 0;
  const silences = useLive(
    (signal) => (isBound ? Promise.resolve([]) : askJson<ListedSilence[]>("/api/v2/silences", { signal })),
    REFRESH_MS,
  );
  const [draft, setDraft] = useState("");
  return (
    <div class="panels">
      <Panel title="Alerts" note="firing and pending" isWide>
        <Answered live={rules} what="The alerts">
          {(answer) => (
            <AlertList
              answer={answer}
              onSilence={may("admin") ? (labels) => setDraft(matchersText(matchersOf(labels))) : undefined}
            />
          )}
        </Answered>
      </Panel>
      <ServiceLevels />
      <Panel title="History" note="alerts of the last 24 hours" isWide>
        <AlertHistory />
      </Panel>
      {isBound ? null : (
        <SilencesPanel
          silences={silences}
          draft={draft}
          onDraft={setDraft}
          onChanged={() => silences.again()}
        />
      )}
      <Panel title="Rules" isWide>
        <Answered live={rules} what="The rules">
          {(answer) => <RuleList answer={answer} />}
        </Answered>
      </Panel>
    </div>
  );
}

interface AlertListProps {
  readonly answer: ListedRules;
  /** Called with the labels of an alert that is to be silenced. Undefined if that is not allowed. */
  readonly onSilence: ((labels: LabelsOf) => void) | undefined;
}

function AlertList({ answer, onSilence }: AlertListProps) {
  const alerts = answer.groups.flatMap(({ rules }) =>
    rules.flatMap((rule) => (rule.alerts ?? []).map((alert) => ({ rule, alert }))),
  );
  const order = (alert: ListedAlert) => (alert.state === "firing" ? 0 : 1);
  if (answer.groups.length === 0)
    return (
      <Empty>
        No rules run. Start the gateway with <code>--default-rules</code>, or with files of your own:{" "}
        <code>--rules 'rules/*.yml'</code>.
      </Empty>
    );
  if (alerts.length === 0) return <Empty>No alert is firing.</Empty>;
  return (
    <>
      {alerts
        .toSorted(
          (a, b) => order(a.alert) - order(b.alert) || a.alert.activeAt.localeCompare(b.alert.activeAt),
        )
        .map(({ rule, alert }) => (
          <article key={JSON.stringify(alert.labels)} class="alert-card">
            <p>
              <span class={`alert-state ${alert.state}`}>{alert.state}</span>{" "}
              <strong>{alert.labels.alertname ?? rule.name}</strong>{" "}
              <span class="note">
                since {formatAgo(Date.parse(alert.activeAt), Date.now())}, value{" "}
                {formatNumber(Number(alert.value))}
              </span>
            </p>
            {summaryFirst(alert.annotations).map(([name, text]) => (
              <p key={name}>{text}</p>
            ))}
            <LabelList labels={alert.labels} />
            <p>
              <a href={`/query?${new URLSearchParams({ [languageOf(rule)]: rule.query })}`}>Its expression</a>{" "}
              {onSilence === undefined ? null : (
                <button type="button" onClick={() => onSilence(alert.labels)}>
                  Silence …
                </button>
              )}
            </p>
          </article>
        ))}
    </>
  );
}

/** The annotations, of which `summary` says most. */
function summaryFirst(annotations: LabelsOf): [string, string][] {
  return Object.entries(annotations).sort(([a], [b]) => Number(b === "summary") - Number(a === "summary"));
}

export function LabelList({ labels }: { readonly labels: LabelsOf }) {
  return (
    <p class="labels">
      {Object.entries(labels)
        .filter(([name]) => name !== "alertname")
        .map(([name, value]) => (
          <code key={name}>
            {name}={value}
          </code>
        ))}
    </p>
  );
}

function languageOf({ query }: ListedRule): "sql" | "expr" {
  return /^\s*(?:select|with|from)\b/i.test(query) ? "sql" : "expr";
}

function RuleList({ answer }: { readonly answer: ListedRules }) {
  if (answer.groups.length === 0) return <Empty>No rules run.</Empty>;
  return (
    <>
      {answer.groups.map(({ name, file, interval, rules }) => (
        <details
          key={`${file} ${name}`}
          class="rule-group"
          open={rules.some(({ health }) => health === "err")}
        >
          <summary>
            <strong>{name}</strong>{" "}
            <span class="note">
              {rules.length} rules each {formatSeconds(interval)}, from {file}
            </span>
          </summary>
          <table>
            <thead>
              <tr>
                <th>State</th>
                <th>Rule</th>
                <th>Question</th>
                <th class="number">Took</th>
              </tr>
            </thead>
            <tbody>
              {rules.map((rule, at) => (
                <tr key={`${at} ${rule.name}`}>
                  <td>
                    <span class={`alert-state ${rule.health === "err" ? "error" : (rule.state ?? "ok")}`}>
                      {rule.health === "err" ? "failed" : (rule.state ?? "records")}
                    </span>
                  </td>
                  <td>
                    {rule.name}
                    {rule.lastError === undefined ? null : <p class="bad">{rule.lastError}</p>}
                  </td>
                  <td>
                    <a href={`/query?${new URLSearchParams({ [languageOf(rule)]: rule.query })}`}>
                      <code>{rule.query}</code>
                    </a>
                  </td>
                  <td class="number">{formatSeconds(rule.evaluationTime)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      ))}
    </>
  );
}

/** Nothing, if there are no service levels. */
function ServiceLevels() {
  const levels = useLive(
    (signal) => askSummary<ServiceLevelRow>("service_levels", {}, signal),
    SLOW_REFRESH_MS,
  );
  if ((levels.answer ?? []).length === 0) return null;
  return (
    <Panel title="Service levels" note="the last 30 days" isWide>
      <table>
        <thead>
          <tr>
            <th>Service level</th>
            <th class="number">Objective</th>
            <th class="number">Good</th>
            <th>Error budget left</th>
            <th class="number">Burn rate, last hour</th>
            <th class="number">Runs out in</th>
          </tr>
        </thead>
        <tbody>
          {levels.answer!.map((level) => (
            <tr key={level.slo}>
              <td>{level.slo}</td>
              <td class="number">{level.objective_percent} %</td>
              <td class="number">{level.good_percent === null ? "no events" : `${level.good_percent} %`}</td>
              <td>
                <Budget left={level.budget_left_percent} name={level.slo} />
              </td>
              <td class="number">{level.burn_rate === null ? "" : formatNumber(level.burn_rate)}</td>
              <td class="number">{daysText(level)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Budget({ left, name }: { readonly left: number | null; readonly name: string }) {
  if (left === null) return null;
  return (
    <label>
      <meter
        class={left > 0 ? "budget" : "budget spent"}
        aria-label={`Error budget of ${name}`}
        min={0}
        max={100}
        low={10}
        value={Math.max(0, left)}
      />
      {formatNumber(left)} %
    </label>
  );
}

function daysText({ days_left: days, burn_rate: burnRate }: ServiceLevelRow): string {
  if (days === 0) return "spent";
  if (days !== null) return formatSeconds(days * 86_400);
  return burnRate === null ? "" : "never at this rate";
}
