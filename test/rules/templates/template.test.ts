/** Templates of alerts: the texts that Prometheus prints, errors with their places, and limits. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseFloatStrict } from "../../../src/query/promql/promql-text.ts";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import { parseTemplate, type Template, type TemplateQuery } from "../../../src/rules/templates/template.ts";
import { TemplateError } from "../../../src/rules/templates/template-errors.ts";
import { runs } from "../../runs.ts";
import { ALERT_LABELS, EXTERNAL_LABELS, EXTERNAL_URL, QUERIED, TEMPLATE_CASES } from "./template-cases.ts";

const data = (value = 1234.5678) => ({
  value,
  labels: ALERT_LABELS,
  externalLabels: EXTERNAL_LABELS,
  externalURL: EXTERNAL_URL,
  timeMs: 90_500,
});

const query: TemplateQuery = async (expression) => {
  const shard = /shard='(.)'/.exec(expression)?.[1];
  if (!expression.startsWith("queue")) return [];
  return QUERIED.filter(({ labels }) => shard === undefined || labels.shard === shard);
};

const expand = (template: string, value?: number) => parseTemplate(template, "T").expand(data(value), query);

/** The values of the table that are not numbers of their own. */
const numbers: Readonly<Record<string, number>> = { "0.1+0.2": 0.1 + 0.2, "2^53": 2 ** 53 };

describe("a template expands as in Prometheus:", () => {
  for (const { template, text, value } of TEMPLATE_CASES) {
    test(`${template}${value === undefined ? "" : ` of ${value}`}`, async () => {
      const number = value === undefined ? undefined : (numbers[value] ?? parseFloatStrict(value));
      const got = await parseTemplate(template, "T").expand(data(number), query);
      // The table has the name of the alert of each line.
      expect(got.replaceAll("__alert_T", "__alert")).toBe(text.replaceAll(/__alert_T\d+/g, "__alert"));
    });
  }
});

describe("functions of newer versions of Prometheus:", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["{{ now }} {{ now | humanizeTimestamp }}", "90.5 1970-01-01 00:01:30.5 +0000 UTC"],
    [
      "{{ toDuration 3661.5 }} {{ (toDuration 90).Minutes }} {{ toDuration 0.0015 }} {{ toDuration 0 }}",
      "1h1m1.5s 1.5 1.5ms 0s",
    ],
    [
      "{{ toDuration 0.0000015 }} {{ toDuration -2 }} {{ humanizeDuration (toDuration 90) }}",
      "1.5µs -2s 1m 30s",
    ],
    [`{{ urlQueryEscape "a b&c" }}`, "a+b%26c"],
    ["{{ range 3 }}{{ . }}{{ end }}", "012"],
    [`{{ with $labels.nope }}a{{ else with $labels.job }}{{ . }}{{ end }}`, "api"],
    ["{{ externalURL }} {{ pathPrefix }}", "http://weir.example.org:9090/base /base"],
    [`{{ define "x" }}<{{ . }}>{{ end }}{{ tmpl "x" 1 }}`, "<1>"],
    [`{{ $i := 0 }}{{ $v := "" }}{{ range $i, $v = args "x" }}{{ end }}{{ $i }} {{ $v }}`, "arg0 x"],
  ];
  for (const [template, text] of cases) {
    test(template, async () => expect(await expand(template)).toBe(text));
  }
});

describe("a text that cannot be used is rejected with its place:", () => {
  const cases: readonly (readonly [string, string, number, number])[] = [
    ["a {{ $x", "unclosed action: expected }}", 1, 3],
    ["{{ humanise 1 }}", 'function "humanise" not defined: did you mean humanize?', 1, 4],
    ["{{ call 1 }}", 'function "call" not defined', 1, 4],
    [
      "a\nb {{ .labels.job }}",
      "unknown field .labels: expected .Labels, .ExternalLabels, .ExternalURL, .Value",
      2,
      6,
    ],
    [
      "{{ if true }}{{ $.value }}{{ end }}",
      "unknown field .value: expected .Labels, .ExternalLabels, .ExternalURL, .Value",
      1,
      17,
    ],
    ["{{ $value.x }}", "$value is a number and has no field .x", 1, 4],
    ["{{ $labels.a.b }}", "$labels.a is a text and has no field .b", 1, 4],
    [
      "{{ $label.x }}",
      'undefined variable "$label"; there are $labels, $externalLabels, $externalURL, $value',
      1,
      4,
    ],
    [
      "{{ $x = 1 }}",
      'undefined variable "$x"; there are $labels, $externalLabels, $externalURL, $value',
      1,
      4,
    ],
    [`{{ define "d" }}{{ $labels }}{{ end }}`, 'undefined variable "$labels"', 1, 20],
    [`{{ template "x" }}`, 'the template "x" is not defined', 1, 13],
    [`{{ define "a" }}1{{ end }}{{ define "a" }}2{{ end }}`, 'the template "a" is defined twice', 1, 30],
    [
      `{{ if true }}{{ define "a" }}{{ end }}{{ end }}`,
      "unexpected {{define}}: it must not stand inside of another block",
      1,
      17,
    ],
    ["{{ if }}x{{ end }}", "missing value for if", 1, 7],
    ["{{ if true }}x", "unexpected end of the text: expected {{end}} of {{if}}", 1, 15],
    ["{{ if true }}{{ else }}{{ else }}{{ end }}", "expected {{end}}, found {{else}}", 1, 27],
    ["x{{ end }}", "unexpected {{end}}: no if, with or range is open", 1, 5],
    ["{{ break }}", "{{break}} outside of {{range}}", 1, 4],
    ["{{ (1 }}", "unclosed left parenthesis", 1, 7],
    ["{{ 1) }}", 'unexpected ")": no parenthesis is open', 1, 5],
    ["{{ 1 | 2 }}", "non executable command in pipeline stage 2", 1, 8],
    [`{{ "a }}`, 'unterminated quoted string: expected "', 1, 4],
    ["{{ 1.2.3 }}", 'bad number syntax: "1.2.3"', 1, 4],
    ["{{ 2i }}", 'bad number syntax: "2i"', 1, 4],
    ["{{ 99999999999999999999 }}", "99999999999999999999 overflows int", 1, 4],
    ["{{ $value+1 }}", 'bad character "+" after "$value"', 1, 10],
    ["{{ 1 + 2 }}", 'unexpected "+" in operand', 1, 6],
    ["{{/* x }}", "the comment is not closed: expected */}}", 1, 1],
    ["{{ $value ? 1 }}", 'unexpected "?" in operand', 1, 11],
    ["日本{{ é }}", 'function "é" not defined', 1, 6],
    ["{{ range $a, $b, $c := 1 }}{{ end }}", "too many declarations in range", 1, 16],
    [`{{ "a".b }}`, "unexpected . after a string", 1, 7],
  ];
  for (const [template, message, line, column] of cases) {
    test(JSON.stringify(template), () => {
      let error: unknown;
      try {
        parseTemplate(template);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(TemplateError);
      const { message: found, line: foundLine, column: foundColumn } = error as TemplateError;
      expect({ found, foundLine, foundColumn }).toEqual({
        found: message,
        foundLine: line,
        foundColumn: column,
      });
    });
  }

  test("very deep nesting, without overflowing the stack", () => {
    const deep = (count: number) => `{{ ${"(".repeat(count)}1${")".repeat(count)} }}`;
    expect(() => parseTemplate(deep(101))).toThrow("more than 100 blocks and parentheses are nested");
    expect(() => parseTemplate("{{ if 1 }}".repeat(50_000))).toThrow(
      "characters; at most 65536 are supported",
    );
    expect(() => parseTemplate("{{ if 1 }}".repeat(6_000))).toThrow("more than 100 blocks and parentheses");
  });
});

describe("an expansion that never ends is stopped:", () => {
  const failure = async (template: string) => {
    const errors: string[] = [];
    const text = await parseTemplate(template, "T").expand(data(), query, {
      onError: ({ message }) => errors.push(message),
    });
    expect(text).toBe(`<error expanding template: error executing template __alert_T: ${errors[0]}>`);
    return errors[0];
  };

  test("a template that calls itself", async () => {
    expect(await failure(`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`)).toContain(
      "exceeded maximum template depth (500)",
    );
  });

  test("a text that grows", async () => {
    expect(await failure(`{{ printf "%999999d" 1 }}`)).toContain("the text is longer than 262144 characters");
    expect(await failure(`{{ range 100000 }}0123456789{{ end }}`)).toContain("longer than 262144 characters");
    expect(await failure(`{{ printf "%9999999d" 1 }}`)).toContain(
      "a width or precision of 9999999 is not supported",
    );
  });

  test("nested loops", async () => {
    expect(await failure("{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}")).toContain(
      "the expansion takes more than 100000 steps",
    );
  });

  test("a loop of queries", async () => {
    const template = `{{ range $i := 200 }}{{ len (query (printf "queue + %d" $i)) }}{{ end }}`;
    expect(await failure(template)).toContain("the expansion runs more than 100 queries");
  });

  test("work is counted once for each attempt, however many queries there are", async () => {
    const asked: string[] = [];
    const template = parseTemplate(`{{ query "queue" | len }}{{ query "queue" | len }}{{ query "x" | len }}`);
    const text = await template.expand(data(), async (expression) => {
      asked.push(expression);
      return query(expression);
    });
    expect([text, asked]).toEqual(["330", ["queue", "x"]]);
  });
});

test("a query that fails is an error of the template", async () => {
  const failing: TemplateQuery = async () => Promise.reject(new Error("the query took too long"));
  const text = await parseTemplate(`{{ query "up" }}`, "Down").expand(data(), failing);
  expect(text).toBe(
    "<error expanding template: error executing template __alert_Down: template: __alert_Down:1:115: executing " +
      `"__alert_Down" at <query "up">: error calling query: the query took too long>`,
  );
});

test("no text makes the parser or the evaluation fail with another error", async () => {
  const pieces = [
    ...[
      "{{",
      "}}",
      "{{- ",
      " -}}",
      "if ",
      "else ",
      "end",
      "range ",
      "with ",
      "break",
      "continue",
      "define ",
      "template ",
    ],
    ...[
      "block ",
      "$x",
      "$",
      ".",
      ".Labels",
      ".Value.a",
      ":=",
      "=",
      "|",
      "(",
      ")",
      ",",
      " ",
      "\n",
      "nil",
      "true",
      "1",
      "0x",
      "1.5e",
    ],
    ...[
      '"a"',
      "`b`",
      "'c'",
      '"',
      "/*",
      "*/",
      "printf ",
      "index ",
      "slice ",
      "eq ",
      "and ",
      "query ",
      "first ",
      "tmpl ",
      "é",
      "\ud800",
    ],
    ...[
      "{{ if .Value }}",
      "{{ range .Labels }}",
      "{{ end }}",
      "{{ else }}",
      "{{ $x := 1 }}",
      '{{ define "d" }}',
      '{{ printf "%*.3d" $x }}',
    ],
  ];
  const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((each) => each.join(""));
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      let template: Template;
      try {
        template = parseTemplate(text, "T");
      } catch (error) {
        expect(error).toBeInstanceOf(TemplateError);
        return;
      }
      expect(await template.expand(data(), query)).toBeString();
    }),
    runs(2_000),
  );
});

test("labels with the names of JavaScript's own properties are plain labels", async () => {
  const labels = JSON.parse(`{"__proto__":"p","constructor":"c","toString":"t"}`) as Record<string, string>;
  const template = parseTemplate(
    "{{ $labels.__proto__ }} {{ $labels.constructor }} {{ index $labels `toString` }} {{ $labels.valueOf }}|",
  );
  expect(await template.expand({ ...data(), labels }, query)).toBe("p c t |");
});

test("a sorted result does not change the result of the next expansion", async () => {
  const shared = QUERIED.slice();
  const template = parseTemplate(`{{ range query "q" | sortByLabel "shard" }}{{ .Labels.shard }}{{ end }}`);
  expect(await template.expand(data(), async () => shared)).toBe("abc");
  expect(shared).toEqual(QUERIED);
});

test("a rule file with a wrong template names the line of the file and the place in the text", () => {
  const file = `groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    annotations:
      summary: "ok {{ $labels.job }}"
      text: |
        first
        {{ humanise $value }}
`;
  const { errors } = readRuleFile("rules.yml", file, { parseTemplate });
  expect(errors.map(({ line, message }) => `${line}: ${message}`)).toEqual([
    `8: group "g", rule 1, "Down": annotation "text": template: line 2, column 4: function "humanise" not defined: ` +
      "did you mean humanize?",
  ]);
});
