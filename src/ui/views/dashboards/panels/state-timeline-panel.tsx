/** A panel of the states of series over time: a line of coloured parts for each. */
import { useMemo } from "preact/hooks";
import { formatTime } from "../../../format/times.ts";
import { Empty } from "../../../parts/states.tsx";
import type { ShownField } from "../fields/field-settings.ts";
import { type ShownValue, shownValue } from "../fields/field-values.ts";
import { textOf } from "../grafana/loose-json.ts";
import { groundColour, type PanelContentProps } from "./panel-content.ts";

interface StatePart {
  readonly fromMs: number;
  readonly toMs: number;
  readonly shown: ShownValue;
}

const ROWS_MAX = 100;

export function StateTimelinePanel({ panel, title, fields, answer, zone }: PanelContentProps) {
  const { fromMs, toMs, stepMs } = answer;
  const merges = panel.type === "state-timeline" && panel.options.mergeValues !== false;
  const rows = useMemo(
    () => fields.slice(0, 2 * ROWS_MAX).flatMap((each, index) => rowOf(each, index, stepMs, merges, zone)),
    [fields, stepMs, merges, zone],
  );
  if (rows.length === 0) return <Empty>No series has a value in this range.</Empty>;
  const states = new Map(
    rows.flatMap(({ parts }) => parts.map(({ shown }) => [shown.text, shown.colour] as const)),
  );
  const hasTexts = textOf(panel.options.showValue, "auto") !== "never";
  const place = (ms: number) => `${Math.min(100, Math.max(0, ((ms - fromMs) / (toMs - fromMs)) * 100))}%`;
  const width = (from: number, to: number) =>
    `${(Math.min(to, toMs) - Math.max(from, fromMs)) / ((toMs - fromMs) / 100)}%`;
  return (
    <div class="timeline">
      <ul aria-label={title}>
        {rows.slice(0, ROWS_MAX).map(({ name, parts }, index) => (
          <li key={index}>
            <span class="bar-name" title={name}>
              {name}
            </span>
            <span
              class="timeline-row"
              role="img"
              aria-label={`${name}: ${parts.at(-1)?.shown.text ?? "no value"} at last`}
            >
              {parts.map(({ fromMs: from, toMs: to, shown }) => (
                <span
                  key={from}
                  title={`${shown.text}, ${formatTime(from, zone)} to ${formatTime(to, zone)}`}
                  style={{
                    left: place(from),
                    width: width(from, to),
                    background: shown.colour ?? "var(--accent)",
                  }}
                >
                  {hasTexts ? shown.text : ""}
                </span>
              ))}
            </span>
          </li>
        ))}
      </ul>
      <p class="timeline-axis" aria-hidden="true">
        <span>{formatTime(fromMs, zone)}</span>
        <span>{formatTime(toMs, zone)}</span>
      </p>
      <ul class="legend">
        {[...states].slice(0, 12).map(([text, colour]) => (
          <li key={text}>
            <span class="legend-item">
              <span class="swatch" style={{ background: colour ?? groundColour(undefined) }} />
              {text}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The parts of a series: from each value to the next, or as long as the value is the same. */
function rowOf(
  { frame, field, settings }: ShownField,
  index: number,
  stepMs: number,
  merges: boolean,
  zone: PanelContentProps["zone"],
): { readonly name: string; readonly parts: readonly StatePart[] }[] {
  const time = frame.fields.find(({ kind }) => kind === "time");
  if (field.kind === "time" || time === undefined) return [];
  const parts: { fromMs: number; toMs: number; shown: ShownValue }[] = [];
  field.values.forEach((value, row) => {
    if (value === null) return;
    const fromMs = Number(time.values[row]);
    const shown = shownValue(value, settings, { zone, index });
    const before = parts.at(-1);
    const isSame = before?.shown.text === shown.text && before.shown.colour === shown.colour;
    if (merges && isSame && fromMs - before.toMs < stepMs / 2) before.toMs = fromMs + stepMs;
    else parts.push({ fromMs, toMs: fromMs + stepMs, shown });
  });
  return [{ name: settings.name, parts }];
}
