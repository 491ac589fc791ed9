/**
 * The behaviour of a Pushgateway as a table: requests, their answers, and what is exposed after them. Each line
 * was recorded from Debian's Pushgateway 1.5.1, and is true for it and for Weir.
 */

export interface Step {
  /** Method and path: `PUT /metrics/job/a`. */
  readonly send: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  /** The body of the answer. By default it is empty for 200 and 202. */
  readonly text?: string;
}

export interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Every exposed pushed series in the end, without push times: `name{labels} value`, in order. */
  readonly exposed?: readonly string[];
  /** `# TYPE` of exposed names in the end. */
  readonly types?: Readonly<Record<string, string>>;
  /** Grouping labels as JSON, with the result of the last push: 1 succeeded, 0 failed. */
  readonly groups?: Readonly<Record<string, 0 | 1>>;
}

const put = (path: string, body: string, status = 200, text?: string): Step => ({
  send: `PUT /metrics/job/${path}`,
  body,
  status,
  text,
});
const post = (path: string, body: string, status = 200, text?: string): Step => ({
  ...put(path, body, status, text),
  send: `POST /metrics/job/${path}`,
});
const remove = (path: string, status = 202, text?: string): Step => ({
  send: `DELETE /metrics/job/${path}`,
  status,
  text,
});

const INCONSISTENT = "pushed metrics are invalid or inconsistent with existing metrics: ";
const BEFORE = "was collected before with the same name and label values";
/** A metric as version 1.5 prints it. */
const metric = (name: string, labels: Readonly<Record<string, string>>, value: string) =>
  `collected metric "${name}" { ${Object.entries(labels)
    .map(([label, text]) => `label:<name:"${label}" value:"${text}" > `)
    .join("")}${value} > }`;

const HISTOGRAM = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n';
const HISTOGRAM_EXPOSED = (job: string) => [
  `h_bucket{job="${job}",le="+Inf"} 2`,
  `h_bucket{job="${job}",le="1"} 1`,
  `h_count{job="${job}"} 2`,
  `h_sum{job="${job}"} 3`,
];

const gzip = (text: string) => Bun.gzipSync(Buffer.from(text));
/** A framed snappy stream of one uncompressed chunk: `m 1` and a line feed. */
const SNAPPY = Buffer.from("ff060000734e6150705901080000f36540e66d20310a", "hex");
/** MetricFamily {name "m", type GAUGE, metric {label {a: b}, gauge {value 1.5}}}, after its length. */
const PROTOBUF = Buffer.from("1a0a016d180122130a060a0161120162120909000000000000f83f", "hex");

export const PROTOBUF_TYPE =
  "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

export const cases: readonly Case[] = [
  {
    name: "PUT and POST create a group",
    steps: [put("a", 'm 1\nn{x="y"} 2\n'), post("b/instance/i", "m 3\n")],
    exposed: ['m{instance="i",job="b"} 3', 'm{job="a"} 1', 'n{job="a",x="y"} 2'],
    types: { m: "untyped", push_time_seconds: "gauge", push_failure_time_seconds: "gauge" },
    groups: { '{"job":"a"}': 1, '{"instance":"i","job":"b"}': 1 },
  },
  {
    name: "PUT replaces the whole group",
    steps: [put("a", "m 1\nn 2\n"), put("a", "o 3\n")],
    exposed: ['o{job="a"} 3'],
  },
  {
    name: "POST replaces the families of the same name",
    steps: [put("a", 'm 1\nn{x="1"} 2\nn{x="2"} 3\n'), post("a", 'n{x="3"} 4\n')],
    exposed: ['m{job="a"} 1', 'n{job="a",x="3"} 4'],
  },
  {
    name: "groups with other labels are other groups",
    steps: [put("a", "m 1\n"), put("a/b/c", "m 2\n"), put("a", "m 3\n")],
    exposed: ['m{b="c",job="a"} 2', 'm{job="a"} 3'],
  },
  {
    name: "an empty PUT empties the group, which still exists",
    steps: [put("a", "m 1\n"), put("a", "")],
    exposed: [],
    groups: { '{"job":"a"}': 1 },
  },
  {
    name: "an empty POST changes only the push time",
    steps: [put("a", "m 1\n"), post("a", "")],
    exposed: ['m{job="a"} 1'],
  },
  {
    name: "DELETE of an existing group, and of none",
    steps: [put("a", "m 1\n"), put("a/b/c", "m 2\n"), remove("a"), remove("nothing"), remove("a")],
    exposed: ['m{b="c",job="a"} 2'],
    groups: { '{"b":"c","job":"a"}': 1 },
  },
  {
    name: "a deleted group is created again with another type",
    steps: [put("a", "# TYPE m gauge\nm 1\n"), remove("a"), put("a", "# TYPE m counter\nm 2\n")],
    exposed: ['m{job="a"} 2'],
    types: { m: "counter" },
  },
  {
    name: "the only group with a name may change its type",
    steps: [put("a", "m 1\n"), put("a", "# TYPE m counter\nm 2\n"), post("a", "# TYPE m gauge\nm 3\n")],
    exposed: ['m{job="a"} 3'],
    types: { m: "gauge" },
  },
  {
    name: "labels of the path override those of the body",
    steps: [put("a/x/path", 'm{job="body",x="body",instance="i"} 1\n')],
    exposed: ['m{instance="i",job="a",x="path"} 1'],
  },
  {
    name: "push times in the body are ignored",
    steps: [
      put(
        "a",
        "push_time_seconds 1\n# TYPE push_failure_time_seconds counter\npush_failure_time_seconds 9\n",
      ),
    ],
    exposed: [],
    types: { push_time_seconds: "gauge" },
  },
  {
    name: "push times in the body must not have timestamps",
    steps: [
      put("a", "push_time_seconds 1 5\n", 400, `${INCONSISTENT}pushed metrics must not have timestamps`),
    ],
    groups: { '{"job":"a"}': 0 },
  },
  {
    name: "every value that a float can have",
    steps: [put("a", "a +Inf\nb NaN\nc -Inf\nd 1e-9\ne 123456789.5\n")],
    exposed: [
      'a{job="a"} Infinity',
      'b{job="a"} NaN',
      'c{job="a"} -Infinity',
      'd{job="a"} 1e-9',
      'e{job="a"} 123456789.5',
    ],
  },
  {
    name: "histograms, whose last bucket may be missing, and summaries",
    steps: [
      put("a", HISTOGRAM),
      put(
        "b",
        '# TYPE g histogram\ng_bucket{le="0.5"} 1\ng_count 4\n# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 3\ns_count 2\n',
      ),
      put("c", "# TYPE e histogram\ne 1\n"),
    ],
    exposed: [
      'e_bucket{job="c",le="+Inf"} 0',
      'e_count{job="c"} 0',
      'e_sum{job="c"} 0',
      'g_bucket{job="b",le="+Inf"} 4',
      'g_bucket{job="b",le="0.5"} 1',
      'g_count{job="b"} 4',
      'g_sum{job="b"} 0',
      ...HISTOGRAM_EXPOSED("a"),
      's_count{job="b"} 2',
      's_sum{job="b"} 3',
      's{job="b",quantile="0.5"} 1',
    ],
    types: { h: "histogram", s: "summary", e: "histogram" },
  },
  {
    name: "label values with every special character",
    steps: [put("a", 'm{x="\\\\ \\" \\n é"} 1\n')],
    exposed: ['m{job="a",x="\\\\ \\" \\n é"} 1'],
  },
  {
    name: "HELP may differ between groups",
    steps: [put("a", "# HELP m one\nm 1\n"), put("b", "# HELP m two\nm 2\n")],
    exposed: ['m{job="a"} 1', 'm{job="b"} 2'],
  },

  // The path.
  {
    name: "base64 for values that a path cannot contain",
    steps: [
      put("a/b@base64/YS9i", "m 1\n"),
      { ...put("", "m 2\n"), send: "PUT /metrics/job@base64/eC95" },
      { ...put("", "m 3\n"), send: "POST /metrics/job@base64/eC95eg==/b/c" },
    ],
    exposed: ['m{b="a/b",job="a"} 1', 'm{b="c",job="x/yz"} 3', 'm{job="x/y"} 2'],
  },
  {
    name: "an empty value in base64",
    steps: [put("a/b@base64/=/c/d", "m 1\n")],
    exposed: ['m{c="d",job="a"} 1'],
    groups: { '{"b":"","c":"d","job":"a"}': 1 },
  },
  {
    name: "percent encoding, also of slashes",
    steps: [put("a%20b", "m 1\n"), put("%CE%A0", "m 2\n"), put("x%2Fb/c", "m 3\n"), put("p+q", "m 4\n")],
    exposed: ['m{b="c",job="x"} 3', 'm{job="a b"} 1', 'm{job="p+q"} 4', 'm{job="Π"} 2'],
  },
  {
    name: "a slash after the job, and after a name",
    steps: [put("a/", "m 1\n"), put("b/c/", "m 2\n")],
    exposed: ['m{job="a"} 1', 'm{job="b"} 2'],
  },
  {
    name: "the last value of a repeated name counts, except for the job",
    steps: [put("a/b/c/b/d/job/x", "m 1\n")],
    exposed: ['m{b="d",job="a"} 1'],
  },
  {
    name: "a query is not part of the path",
    steps: [put("a?x=y", "m 1\n")],
    exposed: ['m{job="a"} 1'],
  },
  {
    name: "invalid paths",
    steps: [
      put("a/b", "m 1\n", 400, 'odd number of components in label string "/b"'),
      remove("a/b/c/d", 400, 'odd number of components in label string "/b/c/d"'),
      put("a/1b/c", "m 1\n", 400, 'improper label name "1b"'),
      put("a/b-c/d", "m 1\n", 400, 'improper label name "b-c"'),
      put("a/b:c/d", "m 1\n", 400, 'improper label name "b:c"'),
      put("a/__b/c", "m 1\n", 400, 'improper label name "__b"'),
      put("a/__name__/c", "m 1\n", 400, 'improper label name "__name__"'),
      put(
        "a/b@base64/YS+i",
        "m 1\n",
        400,
        'invalid base64 encoding for label b="YS+i": illegal base64 data at input byte 2',
      ),
      put(
        "a/b@base64/Y",
        "m 1\n",
        400,
        'invalid base64 encoding for label b="Y": illegal base64 data at input byte 0',
      ),
      { ...put("", "m 1\n", 400, "job name is required"), send: "PUT /metrics/job@base64/=" },
    ],
    exposed: [],
    groups: {},
  },
  {
    name: "unknown paths and methods",
    steps: [
      { send: "PUT /metrics/jobs/a", body: "m 1\n", status: 404 },
      { send: "PUT /metrics/job@base32/a", body: "m 1\n", status: 404 },
      { send: "PUT /metrics/a/b", body: "m 1\n", status: 404 },
      { send: "PUT /metrics", body: "m 1\n", status: 405 },
      { send: "GET /metrics/job/a", status: 405 },
      { send: "PATCH /metrics/job/a", body: "m 1\n", status: 405 },
      { send: "GET /-/quit", status: 405 },
      { send: "PUT /-/quit", status: 403 },
      { send: "POST /-/quit", status: 403 },
      { send: "POST /api/v1/admin/wipe", status: 405 },
      { send: "POST /api/v1/metrics", status: 405 },
    ],
  },

  // Rejected pushes, which set the group's failure time.
  {
    name: "timestamps",
    steps: [
      put("a", "m 1\n"),
      put("a", "m 2\nn 1 123\n", 400, `${INCONSISTENT}pushed metrics must not have timestamps`),
    ],
    exposed: ['m{job="a"} 1'],
    groups: { '{"job":"a"}': 0 },
  },
  {
    name: "a failed push creates its group",
    steps: [put("a", "m 1 123\n", 400, `${INCONSISTENT}pushed metrics must not have timestamps`)],
    exposed: [],
    groups: { '{"job":"a"}': 0 },
  },
  {
    name: "the same series twice",
    steps: [
      put(
        "a",
        'm{x="y"} 1\nm{x="y"} 2\n',
        400,
        `${INCONSISTENT}${metric("m", { instance: "", job: "a", x: "y" }, "untyped:<value:2")} ${BEFORE}`,
      ),
    ],
    exposed: [],
  },
  {
    name: "series that are the same after the path's labels were applied",
    steps: [
      put(
        "a",
        '# TYPE m gauge\nm{job="1"} 1\nm{job="2"} 5e10\n',
        400,
        `${INCONSISTENT}${metric("m", { instance: "", job: "a" }, "gauge:<value:5e+10")} ${BEFORE}`,
      ),
    ],
    exposed: [],
  },
  {
    name: "a series of another group",
    steps: [
      put("a", 'm{instance="i"} 1\n'),
      put(
        "a/instance/i",
        "m 1\n",
        400,
        `${INCONSISTENT}${metric("m", { instance: "i", job: "a" }, "untyped:<value:1")} ${BEFORE}`,
      ),
    ],
    exposed: ['m{instance="i",job="a"} 1'],
    groups: { '{"job":"a"}': 1, '{"instance":"i","job":"a"}': 0 },
  },
  {
    name: "a type that differs from another group's",
    steps: [
      put("a", "# TYPE m counter\nm 1\n"),
      // Which of the two the message names is random there.
      put("b", "# TYPE m gauge\nm 1\n", 400),
      put("b", "m 1\n", 400),
    ],
    exposed: ['m{job="a"} 1'],
    groups: { '{"job":"a"}': 1, '{"job":"b"}': 0 },
  },
  {
    name: "a name that is a part of a histogram or summary",
    steps: [
      put("a", HISTOGRAM),
      put("b", "h_bucket 1\n", 400),
      put("b", "h_sum 1\n", 400),
      put("b", "n_count 1\n"),
      put("c", "# TYPE n summary\nn_sum 1\n", 400),
      put("c", 'k_bucket 1\n# TYPE k summary\nk{quantile="1"} 1\n'),
    ],
    exposed: [
      ...HISTOGRAM_EXPOSED("a"),
      'k_bucket{job="c"} 1',
      'k_count{job="c"} 0',
      'k_sum{job="c"} 0',
      'k{job="c",quantile="1"} 1',
      'n_count{job="b"} 1',
    ],
  },
  {
    name: "invalid labels",
    steps: [
      put(
        "a",
        'm{__x="1"} 1\n',
        400,
        `${INCONSISTENT}${metric("m", { __x: "1", instance: "", job: "a" }, "untyped:<value:1")} has a label with an invalid name: __x`,
      ),
      put("a/quantile/1", "# TYPE s summary\ns_sum 1\n", 400),
    ],
    exposed: [],
  },
  {
    name: "a push is stored whole or not at all",
    steps: [post("a", "m 1\n"), post("a", 'm 2\nn 1\no{x="1"} 1\no{x="1"} 2\n', 400)],
    exposed: ['m{job="a"} 1'],
  },
  {
    name: "bodies that cannot be parsed, which create no group",
    steps: [
      put("a", "m 1", 400, "text format parsing error in line 1: unexpected end of input stream"),
      put("a", "m 1\n\n1x 1\n", 400, "text format parsing error in line 3: invalid metric name"),
      put("a", "m abc\n", 400, 'text format parsing error in line 1: expected float as value, got "abc"'),
      put("a", "# TYPE m foo\n", 400, 'text format parsing error in line 1: unknown metric type "foo"'),
      put("a", "m 1\r\n", 400, 'text format parsing error in line 1: expected float as value, got "1\\r"'),
      { ...put("a", "", 400), body: Buffer.from("m 1\n"), headers: { "content-encoding": "gzip" } },
      { ...put("a", "", 400), body: gzip("m 1\n").subarray(0, 12), headers: { "content-encoding": "gzip" } },
      { ...put("a", "", 400), body: Buffer.from([9, 1, 1]), headers: { "content-type": PROTOBUF_TYPE } },
    ],
    exposed: [],
    groups: {},
  },

  // Encodings and formats.
  {
    name: "gzip",
    steps: [{ ...put("a", ""), body: gzip("m 1\n"), headers: { "content-encoding": "gzip" } }],
    exposed: ['m{job="a"} 1'],
  },
  {
    name: "delimited protobuf",
    steps: [{ ...put("a", ""), body: PROTOBUF, headers: { "content-type": PROTOBUF_TYPE } }],
    exposed: ['m{a="b",job="a"} 1.5'],
    types: { m: "gauge" },
  },
  {
    name: "delimited protobuf with invalid content, which sets the group's failure time",
    steps: [
      // The label name a-b. The label a twice. A gauge's value in a counter. A value that is not UTF-8.
      "1c0a016d180122150a080a03612d62120162120909000000000000f83f",
      "220a016d1801221b0a060a016112016212090900000000000000000a060a0161120163",
      "120a016d1800220b120909000000000000f83f",
      "1a0a016d180122130a060a01611201ff120909000000000000f83f",
    ].map((body, at) => ({
      ...put(`a/at/${at}`, "", 400),
      body: Buffer.from(body, "hex"),
      headers: { "content-type": PROTOBUF_TYPE },
    })),
    exposed: [],
    groups: Object.fromEntries([0, 1, 2, 3].map((at) => [`{"at":"${at}","job":"a"}`, 0 as const])),
  },
  {
    name: "any other content type is text",
    steps: [
      { ...put("a", "m 1\n"), headers: { "content-type": "application/x-www-form-urlencoded" } },
      { ...put("b", "m 2\n"), headers: { "content-type": "application/vnd.google.protobuf" } },
    ],
    exposed: ['m{job="a"} 1', 'm{job="b"} 2'],
  },
];

/** Behaviour of later versions, from their documentation. */
export const laterCases: readonly Case[] = [
  {
    name: "framed snappy",
    steps: [{ ...put("a", ""), body: SNAPPY, headers: { "content-encoding": "snappy" } }],
    exposed: ['m{job="a"} 1'],
  },
];
