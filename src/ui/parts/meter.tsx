/** A share as a bar with its number: how full a disk is, how busy a card is. */

interface MeterProps {
  /** What is measured, for readers of screens. */
  readonly label: string;
  /** Between 0 and 1. */
  readonly share: number;
  /** What stands beside the bar. By default it is the share as a percentage. */
  readonly text?: string;
  /** Shares from which the bar has the colour of a warning, and of a fault. */
  readonly warnAt?: number;
  readonly badAt?: number;
}

export function Meter({ label, share, text, warnAt = 2, badAt = 2 }: MeterProps) {
  const known = Math.min(1, Math.max(0, share));
  const state = share >= badAt ? "bad" : share >= warnAt ? "warn" : "";
  const percent = `${Math.round(known * 100)} %`;
  return (
    <span class={`meter ${state}`} role="img" aria-label={`${label}: ${text ?? percent}`}>
      <span class="bar" aria-hidden="true">
        <span style={{ width: `${known * 100}%` }} />
      </span>
      <span aria-hidden="true">{text ?? percent}</span>
    </span>
  );
}
