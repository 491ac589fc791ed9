/** A panel of large numbers, with a small line of how each came to be. */
import { Sparkline } from "../../../parts/sparkline.tsx";
import { Empty } from "../../../parts/states.tsx";
import { shownValue } from "../fields/field-values.ts";
import { at, textOf } from "../grafana/loose-json.ts";
import { endsOfValues, reducedValues } from "../fields/reduced-values.ts";
import { groundColour, type PanelContentProps, textColour } from "./panel-content.ts";

export function StatPanel({ panel, title, fields, zone }: PanelContentProps) {
  const { options } = panel;
  const values = reducedValues(panel, fields);
  const colourMode = textOf(options.colorMode, "value");
  const textMode = textOf(options.textMode, "auto");
  const hasGraph = textOf(options.graphMode, "area") === "area";
  const [least, most] = endsOfValues(values.map(({ value }) => value));
  if (values.length === 0) return <NoValue panel={panel} />;
  return (
    <ul class={`stat-tiles ${textOf(at(options, "orientation"), "auto")}`} aria-label={title}>
      {values.map(({ name, value, settings, series }, index) => {
        const { text, colour } = shownValue(value, settings, { zone, index, least, most });
        const isGround = colourMode.startsWith("background");
        const numbers = series.map((each) =>
          typeof each === "number" && Number.isFinite(each) ? each : null,
        );
        const hasName =
          textMode === "value_and_name" || textMode === "name" || (textMode === "auto" && values.length > 1);
        return (
          <li
            key={index}
            class="stat-tile"
            style={isGround ? { background: groundColour(colour) } : undefined}
          >
            {hasName ? <span class={textMode === "name" ? "stat-value" : "stat-name"}>{name}</span> : null}
            {textMode === "name" || textMode === "none" ? null : (
              <span
                class="stat-value"
                style={colourMode === "value" ? { color: textColour(colour) } : undefined}
              >
                {text}
              </span>
            )}
            {hasGraph && numbers.length > 1 ? (
              <Sparkline label={`${name} over time`} values={numbers} />
            ) : null}
          </li>
        );
      })}
    </ul>
  );
}

/** What a panel of single values shows without any: what the dashboard says, or that there are none. */
export function NoValue({ panel }: Pick<PanelContentProps, "panel">) {
  const text = textOf(panel.defaults.noValue);
  return text === "" ? <Empty>No value in this range.</Empty> : <p class="stat-value alone">{text}</p>;
}
