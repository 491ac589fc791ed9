/** Reads the text of a dashboard, in JSON or TOML, and says with line and column what is wrong in it. Pure. */
import { quote } from "../model/errors.ts";
import { toml } from "../program/deferred-libraries.ts";
import { findJsonError } from "../wire/json/json-error.ts";
import { grafanaDashboard } from "./toml-dashboard.ts";
import { TomlLines } from "./toml-lines.ts";

/** An object of a dashboard. What else is in it is for the page. */
export type DashboardJson = Readonly<Record<string, unknown>>;

/** Why a text is not a dashboard. Its message is a sentence without its full stop. */
export class DashboardFault extends Error {
  override readonly name = "DashboardFault";
  readonly line: number;
  readonly column: number;

  constructor(message: string, line = 1, column = 1) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

/**
 * Reads a dashboard of Grafana.
 *
 * @returns the dashboard itself, without what exports and Grafana's API put around it
 * @throws DashboardFault
 */
export function readJsonDashboard(bytes: Uint8Array): DashboardJson {
  let value: unknown;
  try {
    // A byte order mark is allowed, as in other files of editors.
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw jsonFault(bytes);
  }
  const dashboard = unwrapped(value);
  if (!isObject(dashboard)) throw new DashboardFault(`the file is ${quote(value)}, expected an object`);
  if (isObject(dashboard.elements) && dashboard.panels === undefined)
    throw new DashboardFault(
      "the dashboard has the schema v2 of Grafana, expected the classic one; Grafana exports that too",
    );
  const lists = [dashboard.panels, dashboard.rows].filter((each) => each !== undefined);
  if (lists.length === 0 || !lists.every(Array.isArray))
    throw new DashboardFault("the file is not a dashboard of Grafana, expected an object with a list panels");
  return dashboard;
}

/**
 * Reads a dashboard of Weir's own format (README.md).
 *
 * @returns the same as a dashboard of Grafana
 * @throws DashboardFault
 */
export function readTomlDashboard(bytes: Uint8Array): DashboardJson {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new DashboardFault("the file is not UTF-8");
  }
  let table: DashboardJson;
  try {
    table = toml().parse(text);
  } catch (error) {
    if (!(error instanceof toml().TomlError)) throw error;
    // The message of the parser ends with a copy of the line.
    const reason = error.message.split("\n")[0]!.replace(/^Invalid TOML document: /, "");
    throw new DashboardFault(`the file is not TOML: ${reason}`, error.line, error.column);
  }
  const lines = new TomlLines(text);
  return grafanaDashboard(table, (path, message) => new DashboardFault(message, lines.lineOf(path)));
}

/** Panels of a dashboard, those in its rows included, and rows not. */
export function panelCount({ panels, rows }: DashboardJson): number {
  const lists = [panels, ...listOf(rows).map((row) => (isObject(row) ? row.panels : []))];
  return lists
    .flatMap(listOf)
    .filter(isObject)
    .reduce((count, panel) => count + (panel.type === "row" ? listOf(panel.panels).length : 1), 0);
}

/** `{"dashboard": …}` of Grafana's API, and `{"kind": "Dashboard", "spec": …}` of its resources. */
function unwrapped(value: unknown): unknown {
  if (!isObject(value) || value.panels !== undefined || value.rows !== undefined) return value;
  return value.dashboard ?? (value.kind === "Dashboard" ? value.spec : undefined) ?? value;
}

function jsonFault(bytes: Uint8Array): DashboardFault {
  const error = findJsonError(bytes, 0, bytes.length);
  if (error === undefined) {
    // A value that ends before the file, or text that is not UTF-8.
    return new DashboardFault("the file is not one JSON value in UTF-8");
  }
  const before = Buffer.from(bytes.subarray(0, error.position)).toString("utf8");
  const line = before.split("\n").length;
  const column = before.length - before.lastIndexOf("\n");
  return new DashboardFault(`the file is not JSON: this position ${error.message}`, line, column);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is DashboardJson {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
