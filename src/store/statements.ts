/**
 * The statements of sql/, read once, by name. Quoted identifiers replace the `{identifier}` parts of a
 * statement. Values are never part of the text; they are bound.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..", "sql");
const texts = new Map<string, string>();

/** Quotes a name as an SQL identifier: doubles its quotation marks. Rejects NUL, which SQL does not allow. */
export function quoteIdentifier(name: string): string {
  if (name.includes("\0")) throw new Error("an SQL identifier cannot hold a NUL character");
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a text where SQL allows no parameter: the body of a view. Everywhere else texts are bound. */
export function quoteText(text: string): string {
  if (text.includes("\0")) throw new Error("an SQL text cannot hold a NUL character");
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * The text of sql/NAME.sql, such as `statement("store/create_day", { table })`.
 *
 * @param identifiers names for the statement's `{placeholders}`; each is quoted here
 * @throws if a placeholder has no name, or a name has no placeholder
 */
export function statement(name: string, identifiers: Readonly<Record<string, string>> = {}): string {
  let text = texts.get(name);
  if (text === undefined) {
    text = readFileSync(join(root, `${name}.sql`), "utf8");
    texts.set(name, text);
  }
  const unused = new Set(Object.keys(identifiers));
  const filled = text.replace(/\{(\w+)\}/g, (_, place: string) => {
    const identifier = identifiers[place];
    if (identifier === undefined) throw new Error(`sql/${name}.sql needs an identifier for {${place}}`);
    unused.delete(place);
    return quoteIdentifier(identifier);
  });
  if (unused.size > 0) throw new Error(`sql/${name}.sql has no placeholder for ${[...unused].join(", ")}`);
  return filled;
}

/** The numbered files of sql/schema in their order. */
export function migrations(): { version: number; name: string; sql: string }[] {
  return readdirSync(join(root, "schema"))
    .filter((file) => /^\d{3}_\w+\.sql$/.test(file))
    .sort()
    .map((file) => ({
      version: Number(file.slice(0, 3)),
      name: file.slice(4, -4),
      sql: readFileSync(join(root, "schema", file), "utf8"),
    }));
}
