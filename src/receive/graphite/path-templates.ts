/**
 * Templates that make names and tags of the parts of a Graphite path, as Telegraf and InfluxDB have them:
 * `[FILTER] TEMPLATE [TAG=VALUE …]`. Pure.
 *
 * https://github.com/influxdata/telegraf/tree/master/plugins/parsers/graphite
 */
import { BadInput, quote } from "../../model/errors.ts";

interface PathTemplate {
  /** The parts of the filter; `*` is any part. Undefined if it is for all paths. */
  readonly filter?: readonly string[];
  /** For each part of a path: `measurement`, `field`, a tag, or "" for a part that is left out. */
  readonly parts: readonly string[];
  /** The name of the last part, if it also gets all further parts of the path. */
  readonly tail?: string;
  readonly tags: readonly (readonly [name: string, value: string])[];
}

const MEASUREMENT = "measurement";
const FIELD = "field";
const ANY = "*";

export class PathTemplates {
  readonly #templates: readonly PathTemplate[];

  /** @throws BadInput for a text that is not a template. The message quotes it */
  constructor(texts: readonly string[]) {
    this.#templates = texts.map(readTemplate);
  }

  /**
   * The name and the tags of a path. Of the templates that match, the one with the most specific filter counts: its
   * parts from the left, a word before `*`, and then the longer one.
   */
  apply(path: string): { readonly metric: string; readonly tags: readonly (readonly [string, string])[] } {
    const parts = path.split(".");
    let best: PathTemplate | undefined;
    for (const template of this.#templates) {
      if (matches(template, parts) && (best === undefined || isMoreSpecific(template, best))) best = template;
    }
    if (best === undefined) return { metric: path, tags: [] };
    const found = new Map<string, string[]>();
    parts.forEach((part, index) => {
      const name = best.parts[index] ?? best.tail;
      if (name === undefined || name === "") return;
      const values = found.get(name);
      if (values === undefined) found.set(name, [part]);
      else values.push(part);
    });
    const name = [...(found.get(MEASUREMENT) ?? []), ...(found.get(FIELD) ?? [])].join(".");
    const tags = new Map(best.tags);
    for (const [tag, values] of found) {
      if (tag !== MEASUREMENT && tag !== FIELD) tags.set(tag, values.join("."));
    }
    // A path that is too short for its template keeps its whole name.
    return { metric: found.has(MEASUREMENT) ? name : path, tags: [...tags] };
  }
}

function readTemplate(text: string): PathTemplate {
  const fail = (why: string) =>
    new BadInput(`graphiteTemplates has ${quote(text)}, expected [FILTER] TEMPLATE [TAG=VALUE …]: ${why}.`);
  const words = text.trim().split(/\s+/);
  const tags = words
    .filter((word) => word.includes("="))
    .map((word) => word.split("=", 2) as [string, string]);
  const others = words.filter((word) => !word.includes("="));
  if (tags.some(([name, value]) => name === "" || value === "")) throw fail("a tag has no name or no value");
  if (others.length < 1 || others.length > 2) throw fail(`it has ${others.length} words without "="`);
  const [template = "", filter] = others.toReversed();
  const parts = template.split(".");
  const last = parts.at(-1)!;
  const isGreedy = last.endsWith(ANY);
  if (parts.slice(0, -1).some((part) => part.includes(ANY))) throw fail("only the last part may end with *");
  if (isGreedy) parts[parts.length - 1] = last.slice(0, -ANY.length);
  if (parts.some((part) => part.includes(ANY))) throw fail("a part has a * that is not at its end");
  if (!parts.includes(MEASUREMENT)) throw fail("no part of the template is measurement");
  return {
    filter: filter === undefined || filter === ANY ? undefined : filter.split("."),
    parts,
    tail: isGreedy ? parts.at(-1) : undefined,
    tags,
  };
}

/** A filter matches paths that begin with its parts. */
function matches({ filter = [] }: PathTemplate, path: readonly string[]): boolean {
  return filter.length <= path.length && filter.every((part, index) => part === ANY || part === path[index]);
}

function isMoreSpecific({ filter: a = [] }: PathTemplate, { filter: b = [] }: PathTemplate): boolean {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    if ((a[index] === ANY) !== (b[index] === ANY)) return b[index] === ANY;
  }
  return a.length > b.length;
}
