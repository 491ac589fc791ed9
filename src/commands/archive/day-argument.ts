/** A day as an argument. */
import { quote } from "../../model/errors.ts";
import { UsageError } from "../command.ts";

/** The day of a date, in days since the epoch. */
export function dayArgument(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // 2026-02-30 would be a day of March.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text)
    throw new UsageError(`--day is ${quote(text)}, expected a date such as 2026-11-25.`);
  return ms / 86_400_000;
}
