/** A panel of arcs that show where values are between a least and a greatest one. */
import type { FieldSettings } from "../fields/field-settings.ts";
import { partOf, shownValue } from "../fields/field-values.ts";
import { namedColour } from "../fields/grafana-colours.ts";
import { reducedValues } from "../fields/reduced-values.ts";
import { type PanelContentProps, textColour } from "./panel-content.ts";
import { NoValue } from "./stat-panel.tsx";

/** The arc begins at the lower left, and has 240 of 360 degrees. */
const BEGIN = 150;
const DEGREES = 240;
const RADIUS = 78;
const OUTER = 92;

/** The ends of a gauge that says none. */
export function gaugeEnds({ min, max, unit }: FieldSettings): readonly [least: number, most: number] {
  return [min ?? 0, max ?? (unit === "percentunit" ? 1 : 100)];
}

export function GaugePanel({ panel, title, fields, zone }: PanelContentProps) {
  const values = reducedValues(panel, fields);
  const hasMarkers = panel.options.showThresholdMarkers !== false;
  if (values.length === 0) return <NoValue panel={panel} />;
  return (
    <ul class="gauges" aria-label={title}>
      {values.map(({ name, value, settings }, index) => {
        const [least, most] = gaugeEnds(settings);
        const { text, colour, number } = shownValue(value, settings, { zone, index, least, most });
        const part = partOf(number, least, most);
        return (
          <li key={index}>
            <svg viewBox="0 0 200 160" role="img" aria-label={`${name}: ${text}`}>
              <path class="gauge-ground" d={arc(0, 1, RADIUS)} />
              {part > 0 ? (
                <path class="gauge-value" d={arc(0, part, RADIUS)} style={{ stroke: colour }} />
              ) : null}
              {hasMarkers ? <Markers {...{ settings, least, most }} /> : null}
              <text x="100" y="108" style={{ fill: textColour(colour) ?? "var(--text)" }}>
                {text}
              </text>
            </svg>
            {values.length > 1 ? <span class="stat-name">{name}</span> : null}
          </li>
        );
      })}
    </ul>
  );
}

/** The thresholds, as a thin arc around the gauge. */
function Markers({
  settings: { steps, stepsAreParts },
  least,
  most,
}: {
  readonly settings: FieldSettings;
  readonly least: number;
  readonly most: number;
}) {
  const placeOf = (value: number) => {
    if (value === Number.NEGATIVE_INFINITY) return 0;
    return stepsAreParts ? value / 100 : partOf(value, least, most);
  };
  return (
    <>
      {steps.map(({ value, colour }, index) => {
        const [from, to] = [placeOf(value), index + 1 < steps.length ? placeOf(steps[index + 1]!.value) : 1];
        return to > from ? (
          <path
            key={index}
            class="gauge-marker"
            d={arc(from, to, OUTER)}
            style={{ stroke: namedColour(colour) }}
          />
        ) : null;
      })}
    </>
  );
}

/** The path of a part of the arc. */
function arc(from: number, to: number, radius: number): string {
  const point = (part: number) => {
    const angle = ((BEGIN + DEGREES * part) * Math.PI) / 180;
    return `${(100 + radius * Math.cos(angle)).toFixed(2)} ${(100 + radius * Math.sin(angle)).toFixed(2)}`;
  };
  return `M${point(from)}A${radius} ${radius} 0 ${(to - from) * DEGREES > 180 ? 1 : 0} 1 ${point(to)}`;
}
