/** The choice of a range of times, its time zone, and how often its answers are asked again. */
import { useState } from "preact/hooks";
import { endsOf, formatTime, parseSpan, spanText, type TimeRange, type Zone } from "../format/times.ts";

interface TimeRangeProps {
  readonly range: TimeRange;
  readonly zone: Zone;
  readonly refreshMs: number;
  readonly onChange: (changes: {
    readonly range?: TimeRange;
    readonly zone?: Zone;
    readonly refreshMs?: number;
  }) => void;
}

const SPANS = ["5m", "15m", "1h", "3h", "12h", "1d", "2d", "7d", "30d"];
const REFRESHES = ["0s", "5s", "15s", "30s", "1m", "5m"];

/** The text of a field for a time: `2026-11-26T21:05`. */
function fieldText(ms: number, zone: Zone): string {
  return formatTime(ms, zone).slice(0, 16).replace(" ", "T");
}

function fieldMs(text: string, zone: Zone): number {
  return Date.parse(zone === "utc" ? `${text}Z` : text);
}

export function TimeRangeControls({ range, zone, refreshMs, onChange }: TimeRangeProps) {
  const last = "lastMs" in range ? spanText(range.lastMs) : undefined;
  const known = last !== undefined && SPANS.includes(last);
  const [isExact, setIsExact] = useState(last === undefined);
  const ends = endsOf(range, Date.now());
  const move = (part: number) => {
    const by = (ends.toMs - ends.fromMs) * part;
    onChange({ range: { fromMs: ends.fromMs + by, toMs: ends.toMs + by } });
  };
  const zoomOut = () => {
    const half = (ends.toMs - ends.fromMs) / 2;
    onChange({ range: { fromMs: ends.fromMs - half, toMs: Math.min(Date.now(), ends.toMs + half) } });
  };
  return (
    <fieldset class="time-range">
      <legend class="unseen">Range of times</legend>
      <button type="button" title="Earlier" aria-label="Earlier" onClick={() => move(-0.5)}>
        ←
      </button>
      <select
        aria-label="Range"
        value={isExact ? "exact" : last}
        onChange={(event) => {
          const text = event.currentTarget.value;
          setIsExact(text === "exact");
          const lastMs = parseSpan(text);
          onChange({ range: lastMs === undefined ? ends : { lastMs } });
        }}
      >
        {SPANS.map((text) => (
          <option key={text} value={text}>
            Last {text}
          </option>
        ))}
        {known || last === undefined ? null : <option value={last}>Last {last}</option>}
        <option value="exact">From … to …</option>
      </select>
      {isExact
        ? (["fromMs", "toMs"] as const).map((end) => (
            <input
              key={end}
              type="datetime-local"
              aria-label={end === "fromMs" ? "From" : "To"}
              value={fieldText(ends[end], zone)}
              onChange={(event) => {
                const changed = { ...ends, [end]: fieldMs(event.currentTarget.value, zone) };
                if (changed.toMs > changed.fromMs) onChange({ range: changed });
              }}
            />
          ))
        : null}
      <button type="button" title="Later" aria-label="Later" onClick={() => move(0.5)}>
        →
      </button>
      <button type="button" title="Twice the range" aria-label="Zoom out" onClick={zoomOut}>
        ⤢
      </button>
      <select
        aria-label="Time zone"
        value={zone}
        onChange={(event) => onChange({ zone: event.currentTarget.value === "utc" ? "utc" : "local" })}
      >
        <option value="local">Local time</option>
        <option value="utc">UTC</option>
      </select>
      <select
        aria-label="Refresh"
        value={spanText(refreshMs)}
        onChange={(event) => onChange({ refreshMs: parseSpan(event.currentTarget.value) ?? 0 })}
      >
        {[...new Set([...REFRESHES, spanText(refreshMs)])].map((text) => (
          <option key={text} value={text}>
            {text === "0s" ? "Refresh: off" : `Every ${text}`}
          </option>
        ))}
      </select>
    </fieldset>
  );
}
