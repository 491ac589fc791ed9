/** A heat map of the buckets of a histogram over time, drawn on a canvas. */
import { useEffect, useRef, useState } from "preact/hooks";
import { formatTime, timesAt, type Zone } from "../format/times.ts";
import { formatNumber, formatValue } from "../format/units.ts";
import type { HeatCells } from "../api/promql-answer.ts";

interface HeatMapProps {
  readonly label: string;
  readonly times: readonly number[];
  readonly heat: HeatCells;
  readonly unit: string;
  readonly zone: Zone;
  /** How bounds are written, if not in the unit. */
  readonly format?: (bound: number) => string;
  /** The height of all rows in pixels. By default a row has as much as a line of text. */
  readonly height?: number;
  /** The colour of cells as red, green and blue. */
  readonly colour?: readonly [number, number, number];
  /** Called with the time and the bucket's upper bound that was clicked. Without it, cells cannot be clicked. */
  readonly onPick?: (time: number, bound: number) => void;
}

const ROW_PX = 22;
/** The least height of a row with its bound beside it, and the height of the times below the rows. */
const TEXT_PX = 16;
/** Where times stand below the rows, in parts of the width. */
const MARKS = [0, 0.25, 0.5, 0.75, 1] as const;
const BLUE = [11, 132, 165] as const;

export function HeatMap(props: HeatMapProps) {
  const { label, times, heat, unit, zone, format, height, colour = BLUE, onPick } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hovered, setHovered] = useState<string>();
  const rows = heat.bounds.length;
  const rowPx = height === undefined ? ROW_PX : Math.max(2, (height - TEXT_PX) / rows);
  /** Each bound that has room. */
  const every = Math.ceil(TEXT_PX / rowPx);
  const [r, g, b] = colour;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const draw = () => {
      const scale = devicePixelRatio;
      element.width = element.clientWidth * scale;
      element.height = rows * rowPx * scale;
      const width = element.width / times.length;
      for (const [row, cells] of heat.cells.entries()) {
        for (const [at, count] of cells.entries()) {
          if (count === 0) continue;
          // Roots show few events beside many.
          context.fillStyle = `rgba(${r}, ${g}, ${b}, ${0.1 + 0.9 * Math.sqrt(count / heat.most)})`;
          const y = Math.floor((rows - 1 - row) * rowPx * scale);
          const x = Math.floor(at * width);
          context.fillRect(x, y, Math.floor((at + 1) * width) - x, Math.ceil(rowPx * scale) - 1);
        }
      }
    };
    draw();
    const resized = new ResizeObserver(draw);
    resized.observe(element);
    return () => resized.disconnect();
  }, [times, heat, rows, rowPx, r, g, b]);

  const cellAt = (event: MouseEvent) => {
    const { left, top, width } = canvas.current!.getBoundingClientRect();
    const at = Math.min(times.length - 1, Math.floor(((event.clientX - left) / width) * times.length));
    const row = Math.max(0, rows - 1 - Math.floor((event.clientY - top) / rowPx));
    return { at, row };
  };
  const boundText = (row: number) =>
    heat.bounds[row] === Number.POSITIVE_INFINITY
      ? "+Inf"
      : (format?.(heat.bounds[row]!) ?? formatValue(heat.bounds[row]!, unit));
  return (
    <figure class="heat-map">
      <figcaption>
        <span class={height === undefined ? undefined : "unseen"}>{label}</span>
        <span class="note">
          {hovered ??
            `Point at a cell to read it.${onPick === undefined ? "" : " Click it to see the events behind it."}`}
        </span>
      </figcaption>
      <div class="heat-grid">
        <ol class="heat-bounds" style={{ lineHeight: `${rowPx * every}px` }}>
          {heat.bounds
            .map((_, row) => rows - 1 - row)
            .filter((row) => (rows - 1 - row) % every === 0)
            .map((row) => (
              <li key={row}>≤ {boundText(row)}</li>
            ))}
        </ol>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${label}: ${rows} buckets over ${times.length} times, at most ${formatNumber(heat.most)} in a cell`}
          style={{ height: `${rows * rowPx}px`, cursor: onPick === undefined ? "crosshair" : undefined }}
          onMouseMove={(event) => {
            const { at, row } = cellAt(event);
            const count = heat.cells[row]?.[at] ?? 0;
            setHovered(
              `${formatTime(times[at]! * 1_000, zone)}, ≤ ${boundText(row)}: ${formatNumber(count)}`,
            );
          }}
          onMouseLeave={() => setHovered(undefined)}
          onClick={(event) => {
            const { at, row } = cellAt(event);
            onPick?.(times[at]!, heat.bounds[row]!);
          }}
        />
        <div class="heat-times" aria-hidden="true" style={{ height: `${TEXT_PX}px` }}>
          {timesAt(MARKS, times, zone).map((text, at) => (
            <span key={MARKS[at]} class="heat-time" style={{ left: `${MARKS[at]! * 100}%` }}>
              {text}
            </span>
          ))}
        </div>
      </div>
    </figure>
  );
}
