/** Variables in texts, as Grafana writes them for PromQL, SQL and people. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: dashboards write variables so
import { expect, test } from "bun:test";
import {
  filled,
  fixedValue,
  type TextUse,
  type VariableValue,
  variablesIn,
} from "../../../../../src/ui/views/dashboards/grafana/template-text.ts";

const pattern = (...values: string[]): VariableValue => ({ values, texts: values, isPattern: true });
const values = new Map<string, VariableValue>([
  ["job", pattern("a.b")],
  ["instance", pattern("w-1", "10.0.0.1:9100")],
  ["all", { ...pattern("x", "y"), texts: ["All"], allValue: ".*" }],
  ["every", { ...pattern("x", "y"), texts: ["All"] }],
  ["name", fixedValue('say "hi"')],
  ["it", pattern("it's")],
  ["__range", fixedValue("3600s")],
  ["__from", fixedValue("1704067200500")],
]);
const ok = (text: string, want: string, use: TextUse = "promql") =>
  expect(filled(text, values, use)).toBe(want);

test("in PromQL, values that several may be chosen of are patterns", () => {
  // Backslashes are doubled, because the pattern stands in quotation marks.
  ok('up{job=~"$job"}', 'up{job=~"a\\\\.b"}');
  ok('up{instance=~"$instance"}', 'up{instance=~"(w-1|10\\\\.0\\\\.0\\\\.1:9100)"}');
  ok('up{instance=~"${instance}"}', 'up{instance=~"(w-1|10\\\\.0\\\\.0\\\\.1:9100)"}');
  ok("rate(a[$__range])", "rate(a[3600s])");
  ok('a{n="$name"}', 'a{n="say \\"hi\\""}');
});

test("the choice of all is what the file says, or all values", () => {
  ok('up{job=~"$all"}', 'up{job=~".*"}');
  ok('up{job=~"[[every]]"}', 'up{job=~"(x|y)"}');
});

test("a format decides, wherever the text stands", () => {
  ok("${instance:csv}", "w-1,10.0.0.1:9100");
  ok("${instance:pipe}", "w-1|10.0.0.1:9100");
  ok("${instance:glob}", "{w-1,10.0.0.1:9100}");
  ok("${instance:json}", '["w-1","10.0.0.1:9100"]');
  ok("${instance:regex}", "(w-1|10\\.0\\.0\\.1:9100)");
  ok("${every:text}", "All");
  ok("${job:raw}", "a.b");
  ok("${__from:date}", "2024-01-01T00:00:00.500Z");
  ok("${__from:date:seconds}", "1704067200");
});

test("in SQL, values are quoted texts", () => {
  ok("x IN ($instance)", "x IN ('w-1','10.0.0.1:9100')", "sql");
  ok("x IN ($it)", "x IN ('it''s')", "sql");
});

test("what is no variable stays as it is", () => {
  ok("a{$unknown} $", "a{$unknown} $");
  ok("^a$", "^a$");
  expect(variablesIn('a{b=~"$b",c="${c:csv}"}[$__range] [[d]]')).toEqual(["b", "c", "d"]);
});
