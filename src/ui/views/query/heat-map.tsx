/** A heat map of the buckets of a histogram over time, drawn on a canvas. */
import { useEffect, useRef, useState } from "preact/hooks";
import { formatTime, type Zone } from "../../format/times.ts";
import { formatNumber, formatValue } from "../../format/units.ts";
import type { HeatCells } from "./promql-answer.ts";

interface HeatMapProps {
  readonly label: string;
  readonly times: readonly number[];
  readonly heat: HeatCells;
  readonly unit: string;
  readonly zone: Zone;
  /** Called with the time and the bucket's upper bound that was clicked. */
  readonly onPick: (time: number, bound: number) => void;
}

const ROW_PX = 22;

export function HeatMap({ label, times, heat, unit, zone, onPick }: HeatMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hovered, setHovered] = useState<string>();
  const rows = heat.bounds.length;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const draw = () => {
      const scale = devicePixelRatio;
      element.width = element.clientWidth * scale;
      element.height = rows * ROW_PX * scale;
      const [r, g, b] = [11, 132, 165];
      const width = element.width / times.length;
      for (const [row, cells] of heat.cells.entries()) {
        for (const [at, count] of cells.entries()) {
          if (count === 0) continue;
          // Roots show few events beside many.
          context.fillStyle = `rgba(${r}, ${g}, ${b}, ${0.1 + 0.9 * Math.sqrt(count / heat.most)})`;
          const y = (rows - 1 - row) * ROW_PX * scale;
          const x = Math.floor(at * width);
          context.fillRect(x, y, Math.floor((at + 1) * width) - x, ROW_PX * scale - 1);
        }
      }
    };
    draw();
    const resized = new ResizeObserver(draw);
    resized.observe(element);
    return () => resized.disconnect();
  }, [times, heat, rows]);

  const cellAt = (event: MouseEvent) => {
    const { left, top, width } = canvas.current!.getBoundingClientRect();
    const at = Math.min(times.length - 1, Math.floor(((event.clientX - left) / width) * times.length));
    const row = Math.max(0, rows - 1 - Math.floor((event.clientY - top) / ROW_PX));
    return { at, row };
  };
  const boundText = (row: number) =>
    heat.bounds[row] === Number.POSITIVE_INFINITY ? "+Inf" : formatValue(heat.bounds[row]!, unit);
  return (
    <figure class="heat-map">
      <figcaption>
        {label}
        <span class="note">
          {hovered ?? "Point at a cell to read it. Click it to see the events behind it."}
        </span>
      </figcaption>
      <div class="heat-grid">
        <ol class="heat-bounds" style={{ lineHeight: `${ROW_PX}px` }}>
          {heat.bounds
            .map((_, row) => rows - 1 - row)
            .map((row) => (
              <li key={row}>≤ {boundText(row)}</li>
            ))}
        </ol>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${label}: ${rows} buckets over ${times.length} times, at most ${formatNumber(heat.most)} in a cell`}
          style={{ height: `${rows * ROW_PX}px` }}
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
            onPick(times[at]!, heat.bounds[row]!);
          }}
        />
      </div>
    </figure>
  );
}
