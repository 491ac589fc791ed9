/** A dashboard. Its address has the range, the time zone, the refresh and the values of the variables. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { parseSpan, rangeOf, rangeQuery, spanText, type TimeRange } from "../../format/times.ts";
import { Answered, Empty, Loading } from "../../parts/states.tsx";
import { TimeRangeControls } from "../../parts/time-range.tsx";
import { go, place, setQuery } from "../../router.ts";
import { useTitle } from "../../view-title.ts";
import { DashboardGrid } from "./dashboard-grid.tsx";
import type { DashboardsAnswer } from "./dashboard-list.tsx";
import type { PanelContext } from "./dashboard-panel.tsx";
import { chosenValues, useVariables, withChosen } from "./dashboard-variables.ts";
import { type DashboardLink, readDashboard } from "./grafana/dashboard-model.ts";
import { rangeOfTexts } from "./grafana/dashboard-times.ts";
import { type ResolvedVariable, variableNotes } from "./grafana/variables.ts";
import { isSafe } from "./panels/text-panel.tsx";
import { VariableBar } from "./variable-bar.tsx";

export default function DashboardView() {
  const name = decoded(place.value.path.split("/")[2] ?? "");
  const live = useLive(
    (signal) => askJson<unknown>(`/api/v1/dashboards/${encodeURIComponent(name)}`, { signal }),
    0,
    name,
  );
  return (
    <Answered live={live} what={`The dashboard ${name}`}>
      {(json) => <Dashboard key={name} json={json} />}
    </Answered>
  );
}

/** A part of a path that is not encoded well stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const LAST_HOUR = { lastMs: 3_600_000 };

/** The range of an address: our own, or with the texts of Grafana's links (`from=now-6h&to=now`). */
function chosenRange(query: URLSearchParams, otherwise: TimeRange): TimeRange {
  const [from, to] = [query.get("from") ?? "", query.get("to") ?? "now"];
  const ofTexts = /^now|[T:-]/.test(from) ? rangeOfTexts(from, to, Date.now()) : undefined;
  return ofTexts ?? rangeOf(query, otherwise);
}

function Dashboard({ json }: { readonly json: unknown }) {
  const model = useMemo(() => readDashboard(json, Date.now()), [json]);
  useTitle(model.title);
  const { query } = place.value;
  const range = useMemo(() => chosenRange(query, model.range ?? LAST_HOUR), [query, model]);
  const zone = (query.get("zone") ?? (model.isUtc ? "utc" : "local")) === "utc" ? "utc" : "local";
  const refreshMs = parseSpan(query.get("refresh") ?? "") ?? model.refreshMs;
  const [{ tick, nowMs }, setNow] = useState({ tick: 0, nowMs: Date.now() });
  const askAgain = () => setNow((before) => ({ tick: before.tick + 1, nowMs: Date.now() }));
  useEffect(() => {
    if (refreshMs === 0) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) askAgain();
    }, refreshMs);
    return () => clearInterval(timer);
  }, [refreshMs]);
  const variables = useVariables(model.variables, query, range);
  const values = useMemo(
    () => new Map((variables ?? []).map(({ model: { name }, value }) => [name, value])),
    [variables],
  );
  const context: PanelContext = {
    ...{ values, range, nowMs, tick, zone },
    onRange: (fromMs, toMs) => setQuery(rangeQuery({ fromMs, toMs }), { replace: false }),
  };
  const notes = [...model.notes, ...variableNotes(model.variables)];
  return (
    <div class="dashboard">
      {model.description === "" ? null : <p class="note">{model.description}</p>}
      <div class="bar">
        {variables === undefined ? null : (
          <VariableBar
            variables={withAddress(variables, query)}
            onChange={(name, chosen) =>
              go(`${place.value.path}?${withChosen(query, name, chosen)}`, { replace: true })
            }
          />
        )}
        <TimeRangeControls
          key={JSON.stringify(range)}
          range={range}
          zone={zone}
          refreshMs={refreshMs}
          onChange={(changes) =>
            setQuery({
              ...(changes.range === undefined ? {} : rangeQuery(changes.range)),
              ...(changes.zone === undefined ? {} : { zone: changes.zone }),
              ...(changes.refreshMs === undefined ? {} : { refresh: spanText(changes.refreshMs) }),
            })
          }
        />
        <button type="button" onClick={askAgain}>
          Refresh
        </button>
        <Links links={model.links} range={range} />
      </div>
      {notes.map((note) => (
        <p key={note} class="warning note">
          {note}
        </p>
      ))}
      {model.sections.length === 0 ? <Empty>This dashboard has no panels.</Empty> : null}
      {variables === undefined ? (
        <Loading what="the variables" />
      ) : (
        <DashboardGrid sections={model.sections} context={context} />
      )}
    </div>
  );
}

/** The variables with what the address chooses, also while their values are still asked for. */
function withAddress(
  variables: readonly ResolvedVariable[],
  query: URLSearchParams,
): readonly ResolvedVariable[] {
  const chosen = chosenValues(query);
  return variables.map((variable) => ({
    ...variable,
    chosen: chosen.get(variable.model.name) ?? variable.chosen,
  }));
}

/** Links to other dashboards and elsewhere. */
function Links({ links, range }: { readonly links: readonly DashboardLink[]; readonly range: TimeRange }) {
  const isListed = links.some(({ url }) => url === undefined);
  const live = useLive(
    async (signal) =>
      isListed
        ? await askJson<DashboardsAnswer>("/api/v1/dashboards", { signal })
        : { dashboards: [], errors: [] },
    0,
    String(isListed),
  );
  const own = place.value.path.split("/")[2];
  const stateOf = ({ keepsTime, includesVariables }: DashboardLink) => {
    const state = new URLSearchParams();
    if (keepsTime)
      for (const [name, value] of Object.entries(rangeQuery(range))) if (value) state.set(name, value);
    if (includesVariables)
      for (const [name, value] of place.value.query) if (name.startsWith("var-")) state.append(name, value);
    return state.size === 0 ? "" : `?${state}`;
  };
  const shown = links.flatMap((link) => {
    if (link.url !== undefined)
      return isSafe(link.url)
        ? [{ title: link.title, href: link.url + (link.url.includes("?") ? "" : stateOf(link)) }]
        : [];
    return (live.answer?.dashboards ?? [])
      .filter(({ name, tags }) => name !== own && link.tags.every((tag) => tags.includes(tag)))
      .map(({ name, title }) => ({ title, href: `/d/${encodeURIComponent(name)}${stateOf(link)}` }));
  });
  if (shown.length === 0) return null;
  return (
    <details class="choice">
      <summary>Other dashboards</summary>
      <ul class="choices">
        {shown.map(({ title, href }) => (
          <li key={href}>
            <a href={href}>{title}</a>
          </li>
        ))}
      </ul>
    </details>
  );
}
