/** The SQL that statements of the page may use, for the editor: DuckDB's words for questions. */
import { SQLDialect } from "@codemirror/lang-sql";

export const DUCKDB = SQLDialect.define({
  keywords:
    "all analyze and anti any as asc asof at between by case cast columns collate cross current desc describe distinct else end escape except exclude exists explain extract false filter first following from full glob group grouping groups having ilike in inner intersect interval is isnull join last lateral left like limit map materialized name natural no not notnull nulls offset on or order others outer over partition pivot positional preceding qualify range recursive replace respect ignore right rollup cube row rows sample select semi sets similar some struct summarize table tablesample then ties to true try_cast unbounded union unnest unpivot using values when where window with within zone",
  types:
    "array bigint bit blob boolean date decimal double float hugeint integer json list real smallint text time timestamp timestamptz tinyint ubigint uhugeint uinteger usmallint utinyint uuid varchar",
  builtin: "null",
  doubleDollarQuotedStrings: true,
  operatorChars: "+-*/<>=~!@#%^&|?:",
  identifierQuotes: '"',
});
