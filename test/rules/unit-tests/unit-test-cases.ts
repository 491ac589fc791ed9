/**
 * Unit tests of rules with what promtool 2.42 makes of them: the subjects that fail, in its order. Each is
 * [name, file of tests, failures]; the rules are the same for all.
 */

export const RULES = `groups:
- name: first
  interval: 5m
  rules:
  - record: job:errors:rate
    expr: sum by (job) (rate(errors_total[150s]))
    labels: { level: job }
  - alert: Errors
    expr: job:errors:rate > 0.5
    for: 2m
    labels:
      severity: '{{ if gt $value 2.0 }}critical{{ else }}warning{{ end }}'
    annotations:
      summary: '{{ $labels.job }} has {{ $value | printf "%.2f" }} errors per second in {{ $externalLabels.region }}'
      series: '{{ query "count(errors_total)" | first | value }}'
- name: second
  rules:
  - alert: Down
    expr: up == 0
    labels: { severity: critical, instance: "" }
    annotations: { empty: "" }
  - alert: Down
    expr: absent(up)
    labels: { severity: critical, kind: absent }
  - alert: Chained
    expr: count(ALERTS{alertname="Errors", alertstate="firing"}) > 0
  - alert: Kept
    expr: up{job="kept"} == 0
    keep_firing_for: 3m
  - alert: Named
    expr: named == 1
    labels: { __proto__: '{{ $labels.constructor }}', toString: text }
    annotations: { __proto__: '{{ $labels.__proto__ }} {{ $labels.constructor }}', constructor: own }
  - record: recorded
    expr: named + 1
    labels: { valueOf: number }
`;

const ERRORS = `
  - series: errors_total{job="a",instance="1"}
    values: 0+60x10
  - series: errors_total{job="a",instance="2"}
    values: 0+120x10
  - series: errors_total{job="b"}
    values: 0+15x10
  - series: up{job="a"}
    values: 1x20`;

const test = (body: string, more = "") =>
  `rule_files: [rules.yml]\nevaluation_interval: 1m\n${more}tests:\n- interval: 1m\n  input_series:${ERRORS}\n${body}`;

const ERRORS_AT_5M = `
      exp_alerts:
      - exp_labels: { job: a, severity: critical, level: job }
        exp_annotations: { summary: "a has 3.00 errors per second in eu", series: "3" }`;

export const UNIT_TEST_CASES: readonly (readonly [
  name: string,
  file: string,
  failures: readonly string[],
])[] = [
  [
    "all is as expected",
    test(`  external_labels: { region: eu }
  alert_rule_test:
    - eval_time: 2m
      alertname: Errors
      exp_alerts: []
    - eval_time: 5m
      alertname: Errors${ERRORS_AT_5M}
  promql_expr_test:
    - expr: job:errors:rate
      eval_time: 5m
      exp_samples:
      - { labels: 'job:errors:rate{job="b",level="job"}', value: 0.25 }
      - { labels: 'job:errors:rate{job="a",level="job"}', value: 3 }
    - expr: ALERTS
      eval_time: 2m
      exp_samples:
      - { labels: 'ALERTS{alertname="Errors",alertstate="pending",job="a",level="job",severity="critical"}', value: 1 }
`),
    [],
  ],
  [
    "an alert with another label, another annotation, and one too many",
    test(`  external_labels: { region: eu }
  alert_rule_test:
    - eval_time: 5m
      alertname: Errors
      exp_alerts:
      - exp_labels: { job: a, severity: warning, level: job }
        exp_annotations: { summary: "a has 3.00 errors per second in eu", series: "3" }
    - eval_time: 6m
      alertname: Errors
      exp_alerts:
      - exp_labels: { job: a, severity: critical, level: job }
        exp_annotations: { summary: "a has 3 errors per second in eu", series: "3" }
    - eval_time: 7m
      alertname: Errors
      exp_alerts:
      - exp_labels: { job: a, severity: critical, level: job }
        exp_annotations: { summary: "a has 3.00 errors per second in eu", series: "3" }
      - exp_labels: { job: b, severity: warning, level: job }
    - eval_time: 8m
      alertname: Errors
      exp_alerts: []
    - eval_time: 8m
      alertname: Other
      exp_alerts: [{ exp_labels: { job: a } }]
    - eval_time: 8m
      alertname: Other
`),
    [
      "alert Errors at 5m",
      "alert Errors at 6m",
      "alert Errors at 7m",
      "alert Errors at 8m",
      "alert Other at 8m",
    ],
  ],
  [
    "external labels that are missing are empty texts",
    test(`  alert_rule_test:
    - eval_time: 5m
      alertname: Errors
      exp_alerts:
      - exp_labels: { job: a, severity: critical, level: job }
        exp_annotations: { summary: "a has 3.00 errors per second in ", series: "3" }
`),
    [],
  ],
  [
    "times between evaluations count for the evaluation before",
    test(`  external_labels: { region: eu }
  alert_rule_test:
    - { eval_time: 3m59s, alertname: Errors, exp_alerts: [] }
    - eval_time: 4m
      alertname: Errors${ERRORS_AT_5M}
  promql_expr_test:
    - { expr: job:errors:rate > 1, eval_time: 59s, exp_samples: [] }
    - expr: up
      eval_time: 90s
      exp_samples: [{ labels: 'up{job="a"}', value: 1 }]
    - expr: up offset -2m
      eval_time: 2m
      exp_samples: [{ labels: 'up{job="a"}', value: 1 }]
    - expr: count_over_time(up[150s] offset -2m)
      eval_time: 4m
      exp_samples: [{ labels: '{job="a"}', value: 1 }]
`),
    [],
  ],
  [
    "values of expressions are compared exactly, whatever their order is",
    test(`  promql_expr_test:
    - expr: vector(0.1 + 0.2)
      eval_time: 1m
      exp_samples: [{ labels: '{}', value: 0.3 }]
    - expr: vector(0.1 + 0.2)
      eval_time: 1m
      exp_samples: [{ labels: '{}', value: 0.30000000000000004 }]
    - expr: errors_total
      eval_time: 1m
      exp_samples:
      - { labels: '{__name__="errors_total", job="b"}', value: 15 }
      - { labels: 'errors_total{instance="2",job="a"}', value: 120 }
      - { labels: 'errors_total{instance="1",job="a"}', value: 60 }
    - expr: errors_total{job="b"}
      eval_time: 1m
      exp_samples: [{ labels: '{job="b"}', value: 15 }]
    - expr: errors_total
      eval_time: 1m
    - expr: 5
      eval_time: 1m
      exp_samples: [{ labels: '{}', value: 5 }]
    - expr: vector(1) / 0
      eval_time: 1m
      exp_samples: [{ labels: '{}', value: .inf }]
    - expr: errors_total[2m]
      eval_time: 1m
    - expr: sum(
      eval_time: 1m
    - expr: '"text"'
      eval_time: 1m
`),
    [
      "vector(0.1 + 0.2) at 1m",
      `errors_total{job="b"} at 1m`,
      "errors_total at 1m",
      "errors_total[2m] at 1m",
      "sum( at 1m",
      `"text" at 1m`,
    ],
  ],
  [
    "several alerts of one name, of several rules",
    `rule_files: ["rule*.yml"]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - { series: 'up{job="a",instance="1"}', values: '1 0 0 stale' }
  - { series: 'up{job="a",instance="2",zone="x"}', values: '1 1 0 _ _ _ _ _ _' }
  alert_rule_test:
  - eval_time: 1m
    alertname: Down
    exp_alerts: [{ exp_labels: { job: a, severity: critical }, exp_annotations: { empty: '' } }]
  - eval_time: 2m
    alertname: Down
    exp_alerts:
    - { exp_labels: { job: a, severity: critical, zone: x }, exp_annotations: { empty: '' } }
    - { exp_labels: { job: a, severity: critical }, exp_annotations: { empty: '' } }
  - eval_time: 3m
    alertname: Down
    exp_alerts: [{ exp_labels: { job: a, severity: critical, zone: x } }]
  - eval_time: 9m
    alertname: Down
    exp_alerts: [{ exp_labels: { severity: critical, kind: absent } }]
  - eval_time: 10m
    alertname: Down
    exp_alerts: [{ exp_labels: { severity: critical, kind: absent, instance: '' } }]
`,
    ["alert Down at 3m", "alert Down at 10m"],
  ],
  [
    "an evaluation with an error ends the test",
    `rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - { series: 'up{job="a",instance="1"}', values: '1 1 0' }
  - { series: 'up{job="a",instance="2"}', values: '1 1 0' }
  alert_rule_test:
  - { eval_time: 1m, alertname: Down, exp_alerts: [{ exp_labels: { x: y } }] }
  - { eval_time: 5m, alertname: Down, exp_alerts: [] }
  promql_expr_test:
  - { expr: vector(1), eval_time: 1m }
`,
    ["alert Down at 1m", "rule Down at 2m"],
  ],
  [
    "alerts of alerts, and alerts that are kept",
    `rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
- interval: 1m
  input_series:
  - { series: 'errors_total{job="a"}', values: '0+120x5 600x9' }
  - { series: 'up{job="b"}', values: '1x20' }
  alert_rule_test:
  - { eval_time: 3m, alertname: Chained, exp_alerts: [{}] }
  - { eval_time: 4m, alertname: Chained, exp_alerts: [{}] }
  - { eval_time: 8m, alertname: Chained, exp_alerts: [] }
  promql_expr_test:
  - expr: ALERTS_FOR_STATE{alertname="Errors"}
    eval_time: 4m
    exp_samples: [{ labels: 'ALERTS_FOR_STATE{alertname="Errors",job="a",level="job",severity="warning"}', value: 60 }]
  - expr: count_over_time(ALERTS{alertname="Errors",alertstate="firing"}[20m])
    eval_time: 8m
    exp_samples: [{ labels: '{alertname="Errors",alertstate="firing",job="a",level="job",severity="warning"}', value: 4 }]
`,
    [],
  ],
  [
    "the step of subqueries is the evaluation interval",
    `evaluation_interval: 30s
tests:
- interval: 30s
  input_series: [{ series: m, values: 1+1x20 }]
  promql_expr_test:
  - { expr: 'count_over_time(m[3m15s:])', eval_time: 5m, exp_samples: [{ labels: '{}', value: 7 }] }
  - { expr: 'max_over_time(m[1m:])', eval_time: 4m30s, exp_samples: [{ labels: '{}', value: 10 }] }
`,
    [],
  ],
  [
    "the order of groups can be set",
    `rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
- interval: 1m
  input_series: [{ series: 'errors_total{job="a"}', values: 0+120x10 }, { series: up, values: 1x10 }]
  alert_rule_test:
  - { eval_time: 3m, alertname: Chained, exp_alerts: [{}] }
`,
    [],
  ],
  [
    "series in every notation",
    `evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - { series: 'm{n="1"}', values: '1+2x3 _ _x2 stale 5' }
  - { series: 'm{n="2"}', values: '-1-1x3' }
  - { series: 'm{n="3"}', values: '1.5e1+.5x2' }
  - { series: 'm{n="4"}', values: '0x10' }
  - { series: 'm{n="5"}', values: '+1x2 _x0' }
  - { series: 'm{n="6"}', values: '' }
  - { series: '{__name__="m",n="7"}', values: '1 Inf' }
  promql_expr_test:
  - expr: sum_over_time(m[30m])
    eval_time: 20m
    exp_samples:
    - { labels: '{n="1"}', value: 21 }
    - { labels: '{n="2"}', value: -10 }
    - { labels: '{n="3"}', value: 46.5 }
    - { labels: '{n="4"}', value: 0 }
    - { labels: '{n="5"}', value: 3 }
    - { labels: '{n="7"}', value: .inf }
  - expr: count_over_time(m[30m])
    eval_time: 20m
    exp_samples:
    - { labels: '{n="1"}', value: 5 }
    - { labels: '{n="2"}', value: 4 }
    - { labels: '{n="3"}', value: 3 }
    - { labels: '{n="4"}', value: 11 }
    - { labels: '{n="5"}', value: 3 }
    - { labels: '{n="7"}', value: 2 }
  - { expr: 'm{n="1"}', eval_time: 7m, exp_samples: [] }
  - { expr: 'm{n="1"}', eval_time: 8m, exp_samples: [{ labels: 'm{n="1"}', value: 5 }] }
`,
    [],
  ],
  [
    "labels with the names of JavaScript's own properties",
    `rule_files: [rules.yml]
tests:
- interval: 1m
  input_series: [{ series: 'named{constructor="c",__proto__="p"}', values: 1x5 }]
  alert_rule_test:
  - eval_time: 1m
    alertname: Named
    exp_alerts:
    - exp_labels: { constructor: c, __proto__: c, toString: text }
      exp_annotations: { __proto__: p c, constructor: own }
  - { eval_time: 2m, alertname: Named, exp_alerts: [{ exp_labels: { constructor: c, toString: text } }] }
  promql_expr_test:
  - expr: recorded
    eval_time: 1m
    exp_samples: [{ labels: 'recorded{constructor="c",__proto__="p",valueOf="number"}', value: 2 }]
`,
    ["alert Named at 2m"],
  ],
  ["no tests at all", "rule_files: [rules.yml]\n", []],
  ["a test without anything", "rule_files: [rules.yml]\ntests:\n- interval: 1m\n", []],
];

/** Files that promtool does not run, and the place and reason that are reported. */
export const UNUSABLE_CASES: readonly (readonly [name: string, file: string, message: string])[] = [
  [
    "an unknown field",
    "tests:\n- interval: 1m\n  inputs: []\n",
    `3:3: unknown field "inputs": expected one of name, interval, input_series, alert_rule_test, promql_expr_test, external_labels, external_url, start_timestamp`,
  ],
  [
    "a field that is there twice",
    "tests:\n- interval: 1m\n  interval: 2m\n",
    `3:3: the field "interval" is there twice`,
  ],
  [
    "a wrong duration",
    "tests:\n- interval: 1 minute\n",
    `2:3: interval is "1 minute", expected a duration such as 1h30m`,
  ],
  [
    "a wrong number",
    "tests:\n- interval: 1m\n  promql_expr_test:\n  - { expr: up, eval_time: 1m, exp_samples: [{ labels: '{}', value: NaN }] }\n",
    `4:62: value is "NaN", expected a number such as 1.5, .nan, .inf or -.inf`,
  ],
  [
    "an alert test without a name",
    "tests:\n- interval: 1m\n  alert_rule_test:\n  - eval_time: 1m\n",
    `4:5: the test of an alert needs the field "alertname"`,
  ],
  [
    "a group that is listed twice",
    "group_eval_order: [a, a]\n",
    "1:1: group name repeated in evaluation order: a",
  ],
  [
    "values that are no notation",
    "tests:\n- interval: 1m\n  input_series:\n  - series: up\n    values: 1 2 x\n",
    `5:5: values: "x" is not a value: expected a number, "_", "_xN", "stale", "AxN", "A+BxN" or "A-BxN"`,
  ],
  [
    "values with a step and no count",
    "tests:\n- interval: 1m\n  input_series:\n  - series: up\n    values: 1+1\n",
    `5:5: values: "1+1" is not a value: expected a number, "_", "_xN", "stale", "AxN", "A+BxN" or "A-BxN"`,
  ],
  [
    "a series that is no series",
    'tests:\n- interval: 1m\n  input_series:\n  - series: up{a=~"b"}\n    values: 1\n',
    `4:5: series: "up{a=~\\"b\\"}" is not a series: expected "=" after "a", got "=~"`,
  ],
  [
    "no YAML",
    "tests: [\n",
    "2:1: the file is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
  ],
];
