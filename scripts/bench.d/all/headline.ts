/** The headline for README: the main figures of a report, of one run, and the same with ratios. */
import { readFileSync, writeFileSync } from "node:fs";
import { type Figure, numberText } from "./figures.ts";
import { type CaseReport, isEarlier, nameOf, OWN, type Report } from "./report.ts";
import { tableOf } from "./report-markdown.ts";

const BEGIN = "<!-- benchmark -->";
const END = "<!-- /benchmark -->";

interface Row {
  readonly id: string;
  readonly figure: Figure;
  /** `{title}` is the beginning of the title of the case. */
  readonly what: string;
}

const ROWS: readonly Row[] = [
  { id: "events", figure: "perSecond", what: "events with a `task_id`, 1,000 per push: per second" },
  { id: "events", figure: "cpuPerMillion", what: "… CPU-seconds per million" },
  { id: "events", figure: "bytesPerUnit", what: "… bytes on disk per event" },
  { id: "single", figure: "cpuPerMillion", what: "pushes of one event, one after the other: CPU-µs each" },
  { id: "remote-write", figure: "perSecond", what: "`remote_write`, 10,000 series: samples per second" },
  { id: "remote-write", figure: "cpuPerMillion", what: "… CPU-seconds per million" },
  { id: "remote-write", figure: "bytesPerUnit", what: "… bytes on disk per sample" },
  { id: "groups", figure: "residentMb", what: "{title}: resident memory, MB" },
];

/**
 * The table, with who is ahead.
 *
 * @param folder where the report is, from README
 */
export function headlineOf({ about, cases }: Report, folder: string): string {
  const rows = ROWS.flatMap(({ id, figure, what }) => {
    const { servers = [], title = "" } = cases.find((one) => one.id === id && one.size === undefined) ?? {};
    const own = servers.find(({ name }) => name === OWN)?.medians[figure];
    const others = servers.filter(
      ({ name, medians }) => name !== OWN && !isEarlier(name) && medians[figure] !== undefined,
    );
    if (own === undefined || others.length === 0) return [];
    const texts = others.map(
      ({ name, medians, ratios }) =>
        `${nameOf(name)} ${numberText(medians[figure])}${ratios?.[figure] === undefined ? "" : ` (${numberText(ratios[figure])})`}`,
    );
    const text = what.replace("{title}", title.split(", ")[0]!);
    return [[text, numberText(own), texts.join(", ")]];
  });
  const { date, cores, rounds } = about;
  return [
    "## Cost",
    "",
    `Medians of ${rounds} rounds of \`scripts/bench all\`, on ${cores} cores with the client beside the servers (${date}). In brackets are ` +
      "ratios: above 1, Weir is ahead. Weir and InfluxDB answer after the data is synced to disk, the others before. " +
      `[All figures, notes and plots](${folder}/results.md) are of the same run.`,
    "",
    ...tableOf([["", "Weir", "beside it"], ...rows]),
    ...queriesOf(cases),
  ].join("\n");
}

/** One sentence on queries, at the largest size. */
function queriesOf(cases: readonly CaseReport[]): string[] {
  const largest = cases
    .filter(({ id }) => id === "stored")
    .toSorted((a, b) => b.size!.value - a.size!.value)[0];
  if (largest === undefined) return [];
  const texts = largest.servers.flatMap(({ name, medians: { rateMs } }) =>
    rateMs === undefined || isEarlier(name) ? [] : [`${numberText(rateMs)} ms in ${nameOf(name)}`],
  );
  if (texts.length < 2) return [];
  return [
    "",
    `With ${numberText(largest.size!.value)} stored samples, \`sum by (route) (rate(…[5m]))\` over an hour of 1,000 series takes ` +
      `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}.`,
  ];
}

/** The headline that stands in a document. Undefined if it has no place for one. */
export function headlineIn(text: string): string | undefined {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  return begin === -1 || end === -1 ? undefined : text.slice(begin + BEGIN.length, end).trim();
}

/** Replaces the headline in a document. */
export function putHeadline(path: string, headline: string): void {
  const text = readFileSync(path, "utf8");
  const [before, after] = [text.split(BEGIN)[0]!, text.split(END)[1]];
  if (after === undefined) throw new Error(`${path} has no ${BEGIN} … ${END}`);
  writeFileSync(path, `${before}${BEGIN}\n${headline}\n${END}${after}`);
}
