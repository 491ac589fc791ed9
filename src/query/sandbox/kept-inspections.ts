/**
 * Inspected statements, by their text: those of dashboards, rules and clients are the same again and again. An inspection takes
 * 2 to 4 ms, as long as a short query.
 *
 * An inspection depends on the text, and on what the catalog answers: which of the named tables exist, and their columns. So the
 * answers are kept with it, and it is used again while the catalog gives the same ones. A PIVOT whose values were looked up
 * depends on the samples too, and is not kept.
 *
 * The sandbox is loaded for the first statement.
 */
import type { Inspected, InspectOptions } from "./sandbox.ts";
import type { Serializer } from "./statement-tree.ts";
import type { CatalogColumns, SandboxCatalog } from "./walk.ts";

/** Statements that are kept, those that were used last. With the longest ones this is 2 MB. */
const STATEMENTS_MAX = 128;
/** Longer statements are not kept, in UTF-16 code units. */
const LENGTH_MAX = 4_096;

interface KeptInspection {
  readonly inspected: Inspected;
  readonly answers: ReadonlyMap<string, CatalogColumns | undefined>;
}

export class KeptInspections {
  readonly #kept = new Map<string, KeptInspection>();

  /** As `inspect`. */
  async inspect(
    reader: Serializer,
    sql: string,
    catalog: SandboxCatalog,
    options: InspectOptions,
  ): Promise<Inspected> {
    const found = this.#kept.get(sql);
    this.#kept.delete(sql);
    if (found !== undefined && hasAnswers(catalog, found.answers)) {
      this.#kept.set(sql, found);
      return found.inspected;
    }
    const noting = new NotingCatalog(catalog);
    let isOfSamples = false;
    const lookup: InspectOptions["lookup"] =
      options.lookup &&
      ((inspected) => {
        isOfSamples = true;
        return options.lookup!(inspected);
      });
    const { inspect } = await import("./sandbox.ts");
    const inspected = await inspect(reader, sql, noting, { ...options, lookup });
    if (isOfSamples || sql.length > LENGTH_MAX) return inspected;
    noting.end();
    this.#kept.set(sql, { inspected, answers: noting.answers });
    if (this.#kept.size > STATEMENTS_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    return inspected;
  }
}

/** A catalog that notes its answers. */
class NotingCatalog implements SandboxCatalog {
  readonly answers = new Map<string, CatalogColumns | undefined>();
  #catalog: SandboxCatalog | undefined;

  constructor(catalog: SandboxCatalog) {
    this.#catalog = catalog;
  }

  columnsOf(table: string): CatalogColumns | undefined {
    if (this.#catalog === undefined || this.answers.has(table)) return this.answers.get(table);
    const answer = this.#catalog.columnsOf(table);
    this.answers.set(table, answer);
    return answer;
  }

  names(): Iterable<string> {
    return this.#catalog?.names() ?? [];
  }

  /** From now on it has its answers only. An inspection refers to it for clearer errors, and would keep all tables in memory. */
  end(): void {
    this.#catalog = undefined;
  }
}

function hasAnswers(catalog: SandboxCatalog, answers: KeptInspection["answers"]): boolean {
  return answers.entries().every(([table, columns]) => isSame(catalog.columnsOf(table), columns));
}

function isSame(some: CatalogColumns | undefined, others: CatalogColumns | undefined): boolean {
  if (some === undefined || others === undefined) return some === others;
  return (
    some.length === others.length &&
    some.every(({ name, type }, index) => name === others[index]!.name && type === others[index]!.type)
  );
}
