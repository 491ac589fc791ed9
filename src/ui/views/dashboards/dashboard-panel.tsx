/** A panel of a dashboard: its title, its questions, and what it draws, or why it cannot. */
import type { ComponentType } from "preact/compat";
import { useEffect, useId, useMemo, useRef } from "preact/hooks";
import type { TimeRange, Zone } from "../../format/times.ts";
import { Empty, ErrorNote, Loading } from "../../parts/states.tsx";
import { overrideNotes, shownFields } from "./fields/field-settings.ts";
import { textOf } from "./grafana/loose-json.ts";
import { type AskingPanelType, panelFaults } from "./grafana/panel-faults.ts";
import type { PanelModel } from "./grafana/panel-model.ts";
import { filled, type VariableValues } from "./grafana/template-text.ts";
import { transformed, UnknownTransformation } from "./grafana/transformations.ts";
import {
  askPanel,
  builtInValues,
  type PanelAnswer,
  panelEnds,
  queryAddress,
  usePanelAnswer,
} from "./panel-answers.ts";
import { BarGaugePanel } from "./panels/bar-gauge-panel.tsx";
import { GaugePanel } from "./panels/gauge-panel.tsx";
import { HeatMapPanel } from "./panels/heat-map-panel.tsx";
import type { PanelContentProps } from "./panels/panel-content.ts";
import { StatPanel } from "./panels/stat-panel.tsx";
import { StateTimelinePanel } from "./panels/state-timeline-panel.tsx";
import { TablePanel } from "./panels/table-panel.tsx";
import { TextPanel } from "./panels/text-panel.tsx";
import { TimeSeriesPanel } from "./panels/time-series-panel.tsx";
import { type ElementSize, useIsSeen, useSize } from "./seen.ts";

/** What all panels of a dashboard share. */
export interface PanelContext {
  readonly values: VariableValues;
  readonly range: TimeRange;
  readonly nowMs: number;
  /** Changes when all panels are asked again. */
  readonly tick: number;
  readonly zone: Zone;
  readonly onRange: PanelContentProps["onRange"];
}

const CONTENTS: Readonly<Record<AskingPanelType, ComponentType<PanelContentProps>>> = {
  timeseries: TimeSeriesPanel,
  stat: StatPanel,
  gauge: GaugePanel,
  bargauge: BarGaugePanel,
  table: TablePanel,
  heatmap: HeatMapPanel,
  "state-timeline": StateTimelinePanel,
  "status-history": StateTimelinePanel,
};
/** Points of a line until the width of the panel is known. */
const POINTS = 600;

interface DashboardPanelProps {
  readonly panel: PanelModel;
  readonly context: PanelContext;
}

export function DashboardPanel({ panel, context }: DashboardPanelProps) {
  const id = useId();
  const root = useRef<HTMLElement>(null);
  const isSeen = useIsSeen(root);
  const { range, nowMs } = context;
  const values = useMemo(() => new Map([...context.values, ...panel.scope]), [context.values, panel.scope]);
  const ends = panelEnds(panel, range, nowMs);
  const texts = new Map([...values, ...builtInValues(ends)]);
  const title = filled(panel.title, texts, "text");
  const faults = panelFaults(panel);
  const canAsk = faults.length === 0 && panel.type !== "text";
  const points = () => Math.max(100, root.current?.clientWidth ?? POINTS);
  const ownTime = [
    panel.timeFrom === "" ? "" : `last ${panel.timeFrom}`,
    panel.timeShift === "" ? "" : `${panel.timeShift} earlier`,
  ];
  return (
    <section ref={root} class="dash-panel" aria-labelledby={id} style={placeStyle(panel)}>
      <header>
        <h3 id={id} class={title === "" ? "unseen" : undefined}>
          {title === "" ? "Panel" : title}
        </h3>
        {panel.description === "" ? null : (
          <span
            class="info"
            role="img"
            title={panel.description}
            aria-label={filled(panel.description, texts, "text")}
          >
            i
          </span>
        )}
        <span class="note">{ownTime.filter(Boolean).join(", ")}</span>
        {canAsk ? (
          <a
            class="panel-link"
            href={queryAddress(panel, { ...ends, values, points: POINTS })}
            title="Open in the view of queries"
            aria-label={`Open ${title === "" ? "the panel" : title} in the view of queries`}
          >
            ↗
          </a>
        ) : null}
      </header>
      {faults.length > 0 ? (
        <div class="state cannot">
          <strong>This panel cannot be drawn.</strong>
          {faults.map((fault) => (
            <p key={fault} class="cannot-why">
              {fault}
            </p>
          ))}
        </div>
      ) : panel.type === "text" ? (
        <TextPanel panel={panel} values={texts} />
      ) : (
        <Answer {...{ panel, context, values, title, isSeen, points }} />
      )}
    </section>
  );
}

/** Where a panel is, as variables of CSS, which a narrow window ignores. */
function placeStyle({ place: { x, y = 0, w, h } }: PanelModel): Record<string, string> {
  const isSmall = w <= 8 && h <= 6;
  return {
    "--columns": `${x + 1} / span ${w}`,
    "--rows": `${y + 1} / span ${h}`,
    "--height": String(h),
    "--narrow": isSmall ? "span 1" : "1 / -1",
    "--narrow-unit": isSmall ? "28px" : "38px",
  };
}

interface AnswerProps extends DashboardPanelProps {
  readonly values: VariableValues;
  readonly title: string;
  readonly isSeen: boolean;
  readonly points: () => number;
}

function Answer({ panel, context, values, title, isSeen, points }: AnswerProps) {
  const { range, tick, zone, onRange } = context;
  const body = useRef<HTMLDivElement>(null);
  const size = useSize(body);
  const key = useMemo(() => JSON.stringify([...values]), [values]) + JSON.stringify(range);
  const { answer, error, isAsking } = usePanelAnswer(
    (signal) => {
      // The time of the answer is that of the question, also if the panel is seen later.
      const ends = panelEnds(panel, range, Date.now());
      return askPanel(panel, { ...ends, values, points: points(), signal });
    },
    key,
    tick,
    isSeen,
  );
  // What scrolls must be reachable by keyboard.
  useEffect(() => {
    const element = body.current;
    if (element === null) return;
    if (element.scrollHeight > element.clientHeight + 1) element.setAttribute("tabindex", "0");
    else element.removeAttribute("tabindex");
  });
  const notes = [...panel.notes, ...panel.faults, ...overrideNotes(panel), ...(answer?.warnings ?? [])];
  return (
    <>
      {error === undefined ? null : (
        <ErrorNote title="The panel could not be loaded" detail={error.message} />
      )}
      {notes.length === 0 ? null : (
        <p class="warning note one-line" title={notes.join("\n")}>
          {notes.join(" ")}
        </p>
      )}
      {answer === undefined || answer.infos.length === 0 ? null : (
        <span
          class="info notice"
          role="img"
          title={answer.infos.join("\n")}
          aria-label={answer.infos.join(" ")}
        >
          !
        </span>
      )}
      <div ref={body} class={isAsking && answer !== undefined ? "dash-body asking" : "dash-body"}>
        {answer === undefined ? (
          error === undefined ? (
            <Loading what="the panel" />
          ) : null
        ) : size.width === 0 ? null : (
          <Content {...{ panel, title, answer, size, zone, onRange }} />
        )}
      </div>
    </>
  );
}

interface ContentProps extends Omit<PanelContentProps, "fields"> {
  readonly answer: PanelAnswer;
  readonly size: ElementSize;
}

function Content({ panel, answer, ...others }: ContentProps) {
  const result = useMemo(() => {
    try {
      return { fields: shownFields(panel, transformed(answer.frames, panel.transformations)) };
    } catch (error) {
      if (!(error instanceof UnknownTransformation || error instanceof SyntaxError)) throw error;
      return { fault: error.message };
    }
  }, [panel, answer]);
  if (result.fields === undefined)
    return (
      <div class="state cannot">
        <strong>This panel cannot be drawn.</strong>
        <p class="cannot-why">{result.fault}</p>
      </div>
    );
  if (result.fields.length === 0 && textOf(panel.defaults.noValue) === "")
    return <Empty>No series has a value in this range.</Empty>;
  const Drawn = CONTENTS[panel.type as AskingPanelType];
  return <Drawn {...others} panel={panel} answer={answer} fields={result.fields} />;
}
