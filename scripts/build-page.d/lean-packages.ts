/**
 * Leaves out of the bundle what packages contain and the page never uses, where the bundler cannot see that: a tenth of the
 * query editor. A package that no longer looks as expected fails the build.
 */
import type { BunPlugin } from "bun";

/** Dialects of SQL, none of which is that of the store. Each lists its words in expressions, which the bundler keeps. */
const DIALECTS = ["PostgreSQL", "MySQL", "MariaSQL", "MSSQL", "SQLite", "Cassandra", "PLSQL"];

export const leanPackages: BunPlugin = {
  name: "lean packages",
  setup(build) {
    // The page completes names with a client of its own.
    build.onLoad({ filter: /\/codemirror-promql\/dist\/esm\/client\/prometheus\.js$/ }, () => ({
      contents: "export class HTTPPrometheusClient {} export class CachedPrometheusClient {}",
      loader: "js",
    }));
    build.onLoad({ filter: /\/@codemirror\/lang-sql\/dist\/index\.js$/ }, async ({ path }) => {
      let contents = await Bun.file(path).text();
      for (const name of DIALECTS) {
        const dialect = new RegExp(
          `const ${name} = /\\*@__PURE__\\*/SQLDialect\\.define\\(\\{[\\s\\S]*?\\n\\}\\);`,
        );
        if (!dialect.test(contents)) throw new Error(`@codemirror/lang-sql has no dialect ${name}`);
        contents = contents.replace(dialect, `const ${name} = undefined;`);
      }
      return { contents, loader: "js" };
    });
  },
};
