/** The names of the lines of a chart, with calculations over each. A click singles a line out. */
import type { Zone } from "../../../format/times.ts";
import type { FieldSettings } from "../fields/field-settings.ts";
import { shownValue } from "../fields/field-values.ts";
import { reducerOf } from "../fields/reducers.ts";
import type { SeriesLines } from "../grafana/chart-series.ts";

interface SeriesLegendProps {
  readonly drawn: SeriesLines;
  readonly calculations: readonly string[];
  readonly isTable: boolean;
  readonly height: number;
  readonly singled: ReadonlySet<string>;
  readonly onSingle: (names: ReadonlySet<string>) => void;
  readonly zone: Zone;
}

export function SeriesLegend(props: SeriesLegendProps) {
  const { drawn, calculations, isTable, height, singled, onSingle, zone } = props;
  const known = calculations.flatMap((name) => reducerOf(name) ?? []);
  const items = drawn.lines.flatMap((line, index) =>
    drawn.listed[index] ? [{ ...line, settings: drawn.settings[index]! }] : [],
  );
  const toggle = (name: string, isMore: boolean) => {
    const next = new Set(isMore ? singled : singled.has(name) ? [] : [name]);
    if (isMore && !next.delete(name)) next.add(name);
    onSingle(next);
  };
  const button = (name: string, colour: string | undefined) => (
    <button
      type="button"
      class="legend-item"
      aria-pressed={singled.has(name)}
      title={`Show ${name} alone; with Ctrl, show it too`}
      onClick={(event) => toggle(name, event.ctrlKey || event.metaKey)}
    >
      <span class="swatch" style={{ background: colour }} />
      {name}
    </button>
  );
  const value = (values: readonly (number | null)[], settings: FieldSettings, at: number) =>
    shownValue(known[at]!.reduce(values), settings, { zone }).text;
  const dimmed = (name: string) => (singled.size > 0 && !singled.has(name) ? "dimmed" : undefined);
  // A legend that scrolls must be reachable by keyboard; its buttons are.
  if (isTable)
    return (
      <div class="legend" style={{ height: `${height}px` }}>
        <table>
          <thead>
            <tr>
              <th>Name</th>
              {known.map(({ title }) => (
                <th key={title} class="number">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {items.map(({ name, values, look, settings }, index) => (
              <tr key={index} class={dimmed(name)}>
                <td>{button(name, look?.colour)}</td>
                {known.map(({ title }, at) => (
                  <td key={title} class="number">
                    {value(values, settings, at)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    );
  return (
    <ul class="legend" style={{ height: `${height}px` }}>
      {items.map(({ name, values, look, settings }, index) => (
        <li key={index} class={dimmed(name)}>
          {button(name, look?.colour)}
          {known.map(({ title }, at) => (
            <span key={title} class="note">
              {title}: {value(values, settings, at)}
            </span>
          ))}
        </li>
      ))}
    </ul>
  );
}
