/** A panel of bars, one for each value, with the name and the number beside it. */
import { partOf, shownValue } from "../fields/field-values.ts";
import { textOf } from "../grafana/loose-json.ts";
import { endsOfValues, reducedValues } from "../fields/reduced-values.ts";
import { type PanelContentProps, textColour } from "./panel-content.ts";
import { NoValue } from "./stat-panel.tsx";

export function BarGaugePanel({ panel, title, fields, zone }: PanelContentProps) {
  const { options } = panel;
  const values = reducedValues(panel, fields);
  if (values.length === 0) return <NoValue panel={panel} />;
  const [lowest, highest] = endsOfValues(values.map(({ value }) => value));
  const isUp = textOf(options.orientation) === "vertical";
  const mode = textOf(options.displayMode, "gradient");
  const valueMode = textOf(options.valueMode, "color");
  return (
    <ul class={`bar-gauges ${isUp ? "up" : ""} ${mode}`} aria-label={title}>
      {values.map(({ name, value, settings }, index) => {
        const least = settings.min ?? Math.min(0, lowest);
        const most = settings.max ?? highest;
        const { text, colour, number } = shownValue(value, settings, { zone, index, least, most });
        const percent = `${partOf(number, least, most) * 100}%`;
        const bar = {
          background: colour ?? "var(--accent)",
          ...(isUp ? { height: percent } : { width: percent }),
        };
        return (
          <li key={index}>
            <span class="bar-name" title={name}>
              {name}
            </span>
            <span class="bar-ground" aria-hidden="true">
              <span class="bar-value" style={bar} />
            </span>
            {valueMode === "hidden" ? null : (
              <span
                class="bar-text"
                style={valueMode === "color" ? { color: textColour(colour) } : undefined}
              >
                {text}
              </span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
