/** Files of summaries: which are read, and which are rejected at start. */
import { describe, expect, test } from "bun:test";
import { parseSummary } from "../../../src/query/summaries/summary-file.ts";

const FILE = `-- How do requests end?
-- By their code,
-- the most first.
-- parameter from time = -24h: start of the range
-- parameter id text: whose
-- parameter metric metric = a.b: one sample a request
-- given file_bytes: the file's size
-- parameter way tag = via: how a request came
-- table requests of $metric: code, operation = $way
-- table samples:
-- line: concat(code, ' times')
SELECT 1 FROM requests WHERE ts >= $from AND x = $id AND y > $file_bytes;
`;

test("a file is parsed with its question, parameters, tables and statement", () => {
  expect(parseSummary("ends", FILE)).toEqual({
    name: "ends",
    question: "How do requests end?",
    description: "By their code, the most first.",
    parameters: [
      { name: "from", type: "time", default: "-24h", meaning: "start of the range" },
      { name: "id", type: "text", default: undefined, meaning: "whose" },
      { name: "metric", type: "metric", default: "a.b", meaning: "one sample a request" },
      { name: "way", type: "tag", default: "via", meaning: "how a request came" },
    ],
    given: ["file_bytes"],
    tables: [
      { name: "requests", metric: "metric", columns: [{ name: "code" }, { name: "operation", tag: "way" }] },
      { name: "samples", metric: undefined, columns: [] },
    ],
    sql: "SELECT 1 FROM requests WHERE ts >= $from AND x = $id AND y > $file_bytes;",
    line: "concat(code, ' times')",
    bound: ["from", "id", "file_bytes"],
  });
});

describe("a malformed file is rejected", () => {
  const bad = (name: string, change: (file: string) => string, part: string) =>
    test(name, () =>
      expect(() => parseSummary("ends", change(FILE))).toThrow(`sql/summaries/ends.sql: ${part}`),
    );
  bad(
    "first line without a question",
    (file) => file.replace("end?", "end."),
    'the first line is "How do requests end.", expected a question that ends in "?"',
  );
  bad("no statement", (file) => file.replace(/SELECT.*/, ""), "there is no statement");
  bad(
    "unknown type",
    (file) => file.replace("id text", "id string"),
    'the type of parameter id is "string", expected one of time, number, text, metric, tag',
  );
  bad(
    "unknown binding",
    (file) => file.replace("$id", "$whose"),
    "the statement has $whose, which the header does not declare",
  );
  bad(
    "a type in upper case, which would be read as a part of the description",
    (file) => file.replace("id text", "id TEXT"),
    'the header has "parameter id TEXT: whose", expected "parameter NAME TYPE = DEFAULT: MEANING"',
  );
  bad(
    "a table without a colon",
    (file) => file.replace("samples:", "samples"),
    'the header has "table samples", expected "table NAME of $PARAMETER: COLUMN, …"',
  );
  bad(
    "unused parameter",
    (file) => file.replace(" AND x = $id", ""),
    "the header declares id, which nothing uses",
  );
  bad(
    "a reserved parameter name",
    (file) => file.replaceAll("id", "limit"),
    "a parameter is named limit, which every summary has already",
  );
  bad(
    "a table of no metric",
    (file) => file.replace("of $metric", "of $id"),
    'table requests needs "of $NAME" with a parameter of the type metric',
  );
  bad(
    "a column without a tag parameter",
    (file) => file.replace("= $way", "= $id"),
    "column operation needs a parameter",
  );
  bad(
    "a malformed column",
    (file) => file.replace("code, op", "code x, op"),
    'a column is "code x", expected NAME or NAME = $PARAMETER',
  );
  bad(
    "a table without a metric parameter",
    (file) => file.replace(" of $metric", ""),
    'table requests needs "of $NAME" with a parameter of the type metric',
  );
});
