/**
 * What a chart does under the pointer, as plugins of uPlot: the nearest line is drawn thicker on a canvas of its own, with
 * its name and value beside the pointer, and the wheel with Ctrl zooms. The lines themselves are not drawn again for that,
 * because 50 of them take longer than a frame has.
 */
import type uPlot from "uplot";

interface PointerTexts {
  /** The value of a line as it is shown, by its index among the lines. */
  readonly value: (line: number, at: number, value: number) => string;
  readonly time: (seconds: number) => string;
  /** Whether it is drawn as a line, and not as bars or points. */
  readonly isLine: (line: number) => boolean;
  /** Whether the name and the value stand beside the pointer. */
  readonly hasTip: () => boolean;
}

const FOCUS_PX = 3;

/** Draws the nearest line thicker, and says what it is. */
export function focusPlugin({ value, time, isLine, hasTip }: PointerTexts): uPlot.Plugin {
  const canvas = document.createElement("canvas");
  canvas.className = "focus";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.ariaHidden = "true";
  const name = document.createElement("strong");
  const text = document.createElement("span");
  tip.append(name, text);
  let focused: number | null = null;

  const clear = () => canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
  const highlight = (self: uPlot, line: number | null) => {
    focused = line;
    clear();
    if (line === null || line === 0 || !isLine(line - 1)) return;
    if (!canvas.isConnected) self.over.before(canvas);
    drawLine(canvas, self, line);
  };
  const place = (self: uPlot) => {
    const { idx, left = -1, top = -1 } = self.cursor;
    const line = focused;
    const shown = line === null || idx == null ? null : (self.data[line]?.[idx] ?? null);
    tip.hidden = !hasTip() || line === null || line === 0 || idx == null || shown === null || left < 0;
    if (tip.hidden) return;
    name.textContent = String(self.series[line!]!.label);
    text.textContent = `${value(line! - 1, idx!, shown!)} at ${time(self.data[0][idx!]!)}`;
    // On the side with more room.
    const isRight = left < self.over.clientWidth / 2;
    tip.style.left = isRight ? `${left + 12}px` : "";
    tip.style.right = isRight ? "" : `${self.over.clientWidth - left + 12}px`;
    tip.style.top = `${Math.max(0, Math.min(top + 12, self.over.clientHeight - 48))}px`;
  };
  return {
    hooks: {
      ready: (self) => {
        self.over.append(tip);
      },
      // The lines are elsewhere now. They are found again when the pointer moves.
      draw: (self) => {
        const { width, height } = self.ctx.canvas;
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        highlight(self, focused);
      },
      setSeries: (self, line, change) => {
        // The types of uPlot omit it.
        if ((change as { readonly focus?: boolean }).focus !== undefined) highlight(self, line);
      },
      setCursor: place,
    },
  };
}

function drawLine(canvas: HTMLCanvasElement, self: uPlot, line: number): void {
  const context = canvas.getContext("2d");
  const series = self.series[line];
  const values = self.data[line];
  if (context === null || series === undefined || values === undefined || series.show === false) return;
  const { left, top, width, height } = self.bbox;
  const [first, last] = self.series[0]!.idxs ?? [0, values.length - 1];
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.beginPath();
  let isGap = true;
  for (let at = Math.max(0, first - 1); at <= Math.min(values.length - 1, last + 1); at++) {
    const value = values[at];
    if (value == null) {
      isGap = true;
      continue;
    }
    const x = self.valToPos(self.data[0][at]!, "x", true);
    const y = self.valToPos(value, series.scale ?? "y", true);
    if (isGap) context.moveTo(x, y);
    else context.lineTo(x, y);
    isGap = false;
  }
  const { stroke } = series;
  context.strokeStyle = (typeof stroke === "function" ? stroke(self, line) : stroke) ?? "#888888";
  context.lineWidth = FOCUS_PX * devicePixelRatio;
  context.lineJoin = "round";
  context.stroke();
  context.restore();
}

/** The shortest range that the wheel zooms to, in seconds. */
const SPAN_MIN_S = 5;
const SPAN_MAX_S = 20 * 365 * 86_400;
/** A gesture ends if the wheel stands still for so long. */
const STILL_MS = 250;
/** How much a pixel of the wheel zooms. */
const PER_PIXEL = 0.002;

/**
 * Zooms around the pointer while the wheel is turned with Ctrl or Cmd. The lines follow at once, and the range is asked for
 * when the wheel stands still.
 */
export function wheelPlugin(onRange: (from: number, to: number) => void): uPlot.Plugin {
  let pixels = 0;
  let share = 0.5;
  let frame = 0;
  let still: ReturnType<typeof setTimeout> | undefined;
  const zoom = (self: uPlot) => {
    frame = 0;
    const { min, max } = self.scales.x!;
    if (min == null || max == null) return;
    const span = Math.min(SPAN_MAX_S, Math.max(SPAN_MIN_S, (max - min) * Math.exp(pixels * PER_PIXEL)));
    const at = min + (max - min) * share;
    pixels = 0;
    self.setScale("x", { min: at - span * share, max: at + span * (1 - share) });
  };
  return {
    hooks: {
      ready: (self) => {
        const onWheel = (event: WheelEvent) => {
          if (!event.ctrlKey && !event.metaKey) return;
          event.preventDefault();
          const { left, width } = self.over.getBoundingClientRect();
          share = Math.min(1, Math.max(0, (event.clientX - left) / width));
          // Lines, as some mice report them, are about 16 pixels.
          pixels += event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
          if (frame === 0) frame = requestAnimationFrame(() => zoom(self));
          clearTimeout(still);
          still = setTimeout(() => {
            const { min, max } = self.scales.x!;
            if (min != null && max != null) onRange(min, max);
          }, STILL_MS);
        };
        self.over.addEventListener("wheel", onWheel, { passive: false });
      },
      destroy: () => {
        cancelAnimationFrame(frame);
        clearTimeout(still);
      },
    },
  };
}
