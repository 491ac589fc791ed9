/**
 * The settings `slo` and `expect`: tables of weir.toml that say what somebody expects, `[[slo]]` for service levels and
 * `[[expect]]` for pushes (src/rules/generated/README.md). Rules are generated from them.
 */
import type { Expectation } from "../model/alerts/expectation.ts";
import type { ServiceLevel } from "../model/alerts/service-level.ts";
import { DAY_MS, formatDuration } from "../model/duration.ts";
import { quote } from "../model/errors.ts";
import { readNamedTables, type SettingTable, tablesOf } from "./setting-table.ts";

const WINDOW = { min: 3_600_000, max: 366 * DAY_MS };
const WINDOW_MS = 30 * DAY_MS;
const EVERY = { min: 1_000, max: 366 * DAY_MS };
/** Rules, summaries and addresses contain it. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * Reads the service levels.
 *
 * @param name the name of the setting in errors
 * @throws SettingError
 */
export function readServiceLevels(raw: unknown, name: string): ServiceLevel[] {
  return readNamedTables(raw, name, "[[slo]]", readServiceLevel);
}

function readServiceLevel(table: SettingTable): ServiceLevel {
  const name = required(table, "name");
  if (!NAME.test(name))
    throw table.fault("name", `is ${quote(name)}, expected 1 to 64 letters, digits, "_", "." or "-"`);
  const level = {
    name,
    objectivePercent: readObjective(table),
    windowMs: table.duration("window", WINDOW_MS, WINDOW),
    good: required(table, "good"),
    total: required(table, "total"),
    labels: readLabels(table),
  };
  table.end();
  return level;
}

function readObjective(table: SettingTable): number {
  const objective = table.number("objective");
  if (objective !== undefined && objective > 0 && objective < 100) return objective;
  throw table.fault(
    "objective",
    objective === undefined
      ? "is missing, expected percent such as 99.5"
      : `is ${objective}, expected percent above 0 and below 100`,
  );
}

/**
 * Reads the expectations.
 *
 * @param name the name of the setting in errors
 * @throws SettingError
 */
export function readExpectations(raw: unknown, name: string): Expectation[] {
  return tablesOf(raw, name, "[[expect]]").map((table) => {
    const expectation = {
      job: table.text("job"),
      instance: table.text("instance"),
      everyMs: table.has("every") ? table.duration("every", 0, EVERY) : undefined,
      learn: table.flag("learn", false),
      labels: readLabels(table),
    };
    table.end();
    const { everyMs, job, learn } = expectation;
    if (everyMs === undefined) throw table.fault("every", "is missing, expected a duration such as 24h");
    if (job === undefined && !learn)
      throw table.fault("job", "is missing, expected a job, or learn = true for each job that has pushed");
    return { ...expectation, everyMs };
  });
}

function required(table: SettingTable, key: string): string {
  const text = table.text(key);
  if (text === undefined) throw table.fault(key, "is missing");
  return text;
}

function readLabels(table: SettingTable): Record<string, string> {
  return Object.fromEntries(
    table.entries("labels").map(([name, value]): [string, string] => {
      if (!LABEL_NAME.test(name))
        throw table.fault("labels", `has ${quote(name)}, expected the name of a label`);
      if (typeof value !== "string")
        throw table.fault("labels", `has ${name} = ${quote(value)}, expected a text`);
      return [name, value];
    }),
  );
}

/** The service levels for people: `tasks=99.5%/30d`. */
export function formatServiceLevels(levels: readonly ServiceLevel[]): string {
  return levels
    .map(({ name, objectivePercent, windowMs }) => `${name}=${objectivePercent}%/${formatDuration(windowMs)}`)
    .join(" ");
}

/** The expectations for people: `backup=24h`. */
export function formatExpectations(expectations: readonly Expectation[]): string {
  return expectations
    .map(({ job = "*", instance, everyMs }) => {
      const who = instance === undefined ? job : `${job}/${instance}`;
      return `${who}=${formatDuration(everyMs)}`;
    })
    .join(" ");
}
