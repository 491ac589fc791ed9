/** A panel of rows. Several frames are shown one at a time, as in Grafana. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Rows, type TableColumn } from "../../../parts/rows.tsx";
import { Empty } from "../../../parts/states.tsx";
import type { ShownField } from "../fields/field-settings.ts";
import { partOf, shownValue } from "../fields/field-values.ts";
import { type DataFrame, type FrameCell, lengthOf } from "../grafana/frames.ts";
import { at, type Loose, listOf, objectsOf, textOf } from "../grafana/loose-json.ts";
import { endsOfValues } from "../fields/reduced-values.ts";
import { reducerOf } from "../fields/reducers.ts";
import { compareCells } from "../grafana/transformations.ts";
import { groundColour, type PanelContentProps, textColour } from "./panel-content.ts";

export function TablePanel({ panel, title, fields, size, zone }: PanelContentProps) {
  const [chosen, setChosen] = useState(0);
  const frames = [...new Set(fields.map(({ frame }) => frame))];
  const frame = frames[Math.min(chosen, frames.length - 1)];
  if (frame === undefined || lengthOf(frame) === 0) return <Empty>No row in this range.</Empty>;
  const columns = fields.filter(
    (each) => each.frame === frame && at(each.settings.custom, "hidden") !== true && !isHidden(each),
  );
  const rows = sortedRows(frame, columns, objectsOf(panel.options.sortBy));
  return (
    <>
      {frames.length > 1 ? (
        <select
          aria-label={`Series of ${title}`}
          value={chosen}
          onChange={(event) => setChosen(Number(event.currentTarget.value))}
        >
          {frames.map((each, index) => (
            <option key={index} value={index}>
              {nameOf(fields, each)}
            </option>
          ))}
        </select>
      ) : null}
      <Rows<number>
        label={title}
        rows={rows}
        keyOf={String}
        height={Math.max(
          120,
          size.height - (frames.length > 1 ? 40 : 0) - (hasFooter(panel.options) ? 30 : 0),
        )}
        columns={columns.map((column) => tableColumn(column, zone))}
      />
      {hasFooter(panel.options) ? <Footer columns={columns} options={panel.options} zone={zone} /> : null}
    </>
  );
}

function isHidden({ settings }: ShownField): boolean {
  return at(settings.custom, "hideFrom.viz") === true;
}

function nameOf(fields: readonly ShownField[], frame: DataFrame): string {
  return fields.findLast((each) => each.frame === frame)?.settings.name ?? frame.refId;
}

function sortedRows(frame: DataFrame, columns: readonly ShownField[], sortBy: readonly Loose[]): number[] {
  const rows = Array.from({ length: lengthOf(frame) }, (_, row) => row);
  const [sort] = sortBy;
  const column = columns.find(({ settings }) => settings.name === textOf(sort?.displayName));
  if (column === undefined) return rows;
  const { values } = column.field;
  const sign = sort!.desc === true ? -1 : 1;
  return rows.sort((a, b) => sign * compareCells(values[a]!, values[b]!));
}

function tableColumn({ field, settings }: ShownField, zone: PanelContentProps["zone"]): TableColumn<number> {
  const [least, most] = endsOfValues(field.values);
  const isNumber = field.kind === "number";
  return {
    title: settings.name,
    isNumber,
    cell: (row) => {
      const value = field.values[row] ?? null;
      if (field.kind === "time" && settings.unit === "")
        return (
          <Cell
            text={
              value === null ? "–" : shownValue(value, { ...settings, unit: "dateTimeAsIso" }, { zone }).text
            }
          />
        );
      const shown = shownValue(value, settings, { zone, least, most });
      return (
        <Cell
          text={shown.text}
          colour={shown.colour}
          style={cellStyle(settings.custom)}
          part={partOf(shown.number, settings.min ?? Math.min(0, least), settings.max ?? most)}
          href={
            field.name === "task_id" ? `/tasks?${new URLSearchParams({ task_id: shown.text })}` : undefined
          }
        />
      );
    },
    order: (row) => orderOf(field.values[row] ?? null),
  };
}

function orderOf(cell: FrameCell): number | string {
  return cell ?? "";
}

/** The style of cells, in the words of Grafana 9 and later and of those before. */
function cellStyle(custom: Loose): string {
  return textOf(at(custom, "cellOptions.type")) || textOf(custom.displayMode, "auto");
}

interface CellProps {
  readonly text: string;
  readonly colour?: string | undefined;
  readonly style?: string;
  readonly part?: number;
  readonly href?: string | undefined;
}

function Cell({ text, colour, style = "auto", part = 0, href }: CellProps): ComponentChildren {
  const content = href === undefined ? text : <a href={href}>{text}</a>;
  if (style === "color-text") return <span style={{ color: textColour(colour) }}>{content}</span>;
  if (style.startsWith("color-background"))
    return (
      <span class="cell-ground" style={{ background: groundColour(colour) }}>
        {content}
      </span>
    );
  if (/gauge|lcd/.test(style))
    return (
      <span class="cell-gauge">
        <span class="bar-ground" aria-hidden="true">
          <span
            class="bar-value"
            style={{ width: `${part * 100}%`, background: colour ?? "var(--accent)" }}
          />
        </span>
        <span style={{ color: textColour(colour) }}>{content}</span>
      </span>
    );
  return content;
}

function hasFooter(options: Loose): boolean {
  return at(options, "footer.show") === true;
}

/** One calculation over each column of numbers. */
function Footer({
  columns,
  options,
  zone,
}: {
  readonly columns: readonly ShownField[];
  readonly options: Loose;
  readonly zone: PanelContentProps["zone"];
}) {
  const calculation = reducerOf(textOf(listOf(at(options, "footer.reducer"))[0], "sum"));
  if (calculation === undefined) return null;
  const texts = columns
    .filter(({ field }) => field.kind === "number")
    .map(({ field, settings }) => {
      return `${settings.name} ${shownValue(calculation.reduce(field.values), settings, { zone }).text}`;
    });
  return (
    <p class="note">
      {calculation.title}: {texts.join(", ")}
    </p>
  );
}
