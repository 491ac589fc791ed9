/** Lines of each format as events: values worked out by hand, and lines as real programs write them. */
import { describe, expect, test } from "bun:test";
import { type LineFormatOptions, readLineFormat, WrongHeader } from "../../src/line-formats/line-format.ts";
import { atOnce } from "../../src/model/tasks/time-slices.ts";

/** Converts lines. CSV has its header in the first of them. */
function convert(options: LineFormatOptions, lines: string | Uint8Array) {
  const bytes = typeof lines === "string" ? Buffer.from(lines) : lines;
  const first = Buffer.from(bytes).toString("utf8").split("\n")[0]!;
  const { body, lineOf, rejected } = atOnce(readLineFormat(options)!.converter(first).converting(bytes));
  const text = Buffer.from(body).toString();
  return { events: text === "" ? [] : text.split("\n"), lineOf, rejected };
}

/** The line is one event or several, whose JSON is this text. */
const ok = (name: string, options: LineFormatOptions, lines: string, want: readonly string[]) =>
  test(name, () => {
    const { events, rejected } = convert(options, lines);
    expect({ events, rejected }).toEqual({ events: [...want], rejected: [] });
  });

/** The only line, or the line under a header, is rejected. */
const bad = (name: string, options: LineFormatOptions, lines: string, cause: string, reason: string) =>
  test(name, () => {
    const { events, rejected } = convert(options, lines);
    expect({ events, rejected: rejected.map((each) => [each.cause, each.reason]) }).toEqual({
      events: [],
      rejected: [[cause, reason]],
    });
  });

const json = (...map: string[]): LineFormatOptions => ({ map });
const logfmt = (...map: string[]): LineFormatOptions => ({ format: "logfmt", map });
const csv = (...map: string[]): LineFormatOptions => ({ format: "csv", map });
const influx = (...map: string[]): LineFormatOptions => ({ format: "influx", map });

describe("JSON of other programs", () => {
  ok(
    "pino: milliseconds, numbers and nested objects",
    json("value=responseTime:http.request.duration_ms", "skip=msg,skip=pid,skip=hostname"),
    '{"level":30,"time":1704067200123,"pid":12,"hostname":"w1","req":{"method":"GET","url":"/x"},"res":{"statusCode":200},"responseTime":12.5,"msg":"request completed"}',
    [
      '{"metric_name":"http.request.duration_ms","value":12.5,"@timestamp":1704067200123,"tags":{"level":30,"req.method":"GET","req.url":"/x","res.statusCode":200}}',
    ],
  );
  ok(
    "winston: a time as text, the metric in a field, a number as text",
    json("metric=message,value=value,type=kind"),
    '{"kind":"counter","level":"info","message":"jobs.done","timestamp":"2024-01-01T00:00:00.250Z","value":"3"}',
    [
      '{"metric_name":"jobs.done","value":3,"@timestamp":1704067200250,"type":"counter","tags":{"level":"info"}}',
    ],
  );
  ok(
    "structlog: microseconds in the time, a metric for all lines",
    json("metric:=task.processing_duration_ms,value=took,tags=task_id,tags=http_status:status"),
    '{"event":"done","took":7234,"task_id":"1704067200_abc123","http_status":200,"timestamp":"2024-01-01T00:00:00.000001Z"}',
    [
      '{"metric_name":"task.processing_duration_ms","value":7234,"@timestamp":1704067200000.001,"tags":{"task_id":"1704067200_abc123","status":200}}',
    ],
  );
  ok(
    "zap: seconds with a fraction, whose further digits are cut",
    json("value=bytes"),
    '{"level":"info","ts":1704067200.1234567,"bytes":512}',
    ['{"metric_name":"bytes","value":512,"@timestamp":1704067200123.456,"tags":{"level":"info"}}'],
  );
  ok(
    "several values are several events, and a line needs one of them",
    json("value=duration_ms,value=bytes:upload.size_bytes"),
    '{"ts":1704067200,"duration_ms":1,"bytes":2,"op":"a"}\n{"ts":1704067201,"bytes":3}',
    [
      '{"metric_name":"duration_ms","value":1,"@timestamp":1704067200000,"tags":{"op":"a"}}',
      '{"metric_name":"upload.size_bytes","value":2,"@timestamp":1704067200000,"tags":{"op":"a"}}',
      '{"metric_name":"upload.size_bytes","value":3,"@timestamp":1704067201000}',
    ],
  );
  ok(
    "several values of one metric are METRIC_FIELD",
    json("metric=name,value=ms,value=bytes"),
    '{"name":"get","ms":1,"bytes":2}',
    ['{"metric_name":"get_ms","value":1}', '{"metric_name":"get_bytes","value":2}'],
  );
  ok(
    "value:=1 counts lines",
    json("value:=1,metric:=log.lines,type:=counter,tags=level"),
    '{"level":"warn","msg":"x"}',
    ['{"metric_name":"log.lines","value":1,"type":"counter","tags":{"level":"warn"}}'],
  );
  ok(
    "digits that no float holds are kept, in values and in tags",
    json("value=v"),
    '{"v":0.12345678901234567890,"id":738529527931269425}',
    ['{"metric_name":"v","value":0.12345678901234567890,"tags":{"id":738529527931269425}}'],
  );
  ok(
    "a name with a dot is the same as a path; lists are tags with their JSON; null is left out",
    json("value=a.b,tags=list,tags=nothing"),
    '{"a.b":1,"list":[1,"x"],"nothing":null}\n{"a":{"b":2}}',
    ['{"metric_name":"a.b","value":1,"tags":{"list":"[1,\\"x\\"]"}}', '{"metric_name":"a.b","value":2}'],
  );
  ok(
    "a name in quotation marks can have commas, colons and quotation marks",
    json('value="a,b:c ""d""":x'),
    '{"a,b:c \\"d\\"":1}',
    ['{"metric_name":"x","value":1}'],
  );
  ok(
    "booleans are 1 and 0, and a name such as __proto__ is a tag",
    json("value=ok"),
    '{"ok":true,"__proto__":"x"}\n{"ok":false}',
    ['{"metric_name":"ok","value":1,"tags":{"__proto__":"x"}}', '{"metric_name":"ok","value":0}'],
  );
  ok("NaN of a gauge stays a text, which the gateway reads", json("value=v,type:=gauge"), '{"v":"NaN"}', [
    '{"metric_name":"v","value":"NaN","type":"gauge"}',
  ]);
  ok(
    "a byte order mark, CR LF, blank lines and a last line without an end",
    json("value=v"),
    '\ufeff{"v":1}\r\n\n  \n{"v":2}',
    ['{"metric_name":"v","value":1}', '{"metric_name":"v","value":2}'],
  );
  ok(
    "timestamp:=arrival leaves the time to the gateway, and a field called time is a tag then",
    json("value=v,timestamp:=arrival"),
    '{"v":1,"time":"noon"}',
    ['{"metric_name":"v","value":1,"tags":{"time":"noon"}}'],
  );
  bad(
    "a line without the value",
    json("value=duration"),
    '{"duratoin":1}',
    "field",
    'the field "duration" is missing (value=duration); did you mean "duratoin"?',
  );
  bad(
    "a value that is no number",
    json("value=v"),
    '{"v":"large"}',
    "value",
    'the field "v" is "large", expected a number',
  );
  bad(
    "a value that is null",
    json("value=v"),
    '{"v":null}',
    "value",
    'the field "v" is null, expected a number',
  );
  bad(
    "a value with separators",
    json("value=v"),
    '{"v":"1,234"}',
    "value",
    'the field "v" is "1,234", expected a number without separators',
  );
  bad(
    "a line without the metric, with the form of a constant",
    json("value=v,metric=requests"),
    '{"v":1}',
    "field",
    'the field "requests" is missing (metric=requests); for a text that is the same for all lines, write metric:=requests',
  );
  bad(
    "a metric that is no text",
    json("value=v,metric=m"),
    '{"v":1,"m":7}',
    "name",
    'the field "m" is 7, expected a text for metric=m',
  );
  bad(
    "a line that is no object",
    json("value=v"),
    "[1]",
    "syntax",
    "the line is [1], expected a JSON object",
  );
  bad(
    "a line that is no JSON",
    json("value=v"),
    "Listening on port 80",
    "syntax",
    'the line is "Listening on port 80", expected a JSON object: byte 0 of the line has "Listening on" where a JSON value was expected',
  );
  bad(
    "two fields with one path",
    json("value=v"),
    '{"v":1,"a":{"b":1},"a.b":2}',
    "field",
    'the line has the field "a.b" twice, as a name and as a path',
  );
  test("bytes that are not UTF-8 reject their line alone", () => {
    const lines = Buffer.from('{"v":1}\n{"v":2,"k":"caf\xe9"}\n{"v":3}\n', "latin1");
    const { events, lineOf, rejected } = convert(json("value=v"), lines);
    expect(events).toEqual(['{"metric_name":"v","value":1}', '{"metric_name":"v","value":3}']);
    expect(lineOf).toEqual([0, 2]);
    expect(rejected).toEqual([
      {
        index: 1,
        cause: "syntax",
        reason: 'the line is "{\\"v\\":2,\\"k\\":\\"caf\u00e9\\"}" in Latin-1, expected text in UTF-8',
      },
    ]);
  });
});

describe("the time of a line", () => {
  const at = (form: string, time: string, want: string) =>
    ok(`${time} as ${form || "recognised"}`, json(`value=v,timestamp=t${form}`), `{"v":1,"t":${time}}`, [
      `{"metric_name":"v","value":1,"@timestamp":${want}}`,
    ]);
  // 2024-01-01T00:00:00Z is 1704067200.
  at("", "1704067200", "1704067200000");
  at("", "1704067200.5", "1704067200500");
  at("", '"1704067200.5"', "1704067200500");
  at("", "1704067200123", "1704067200123");
  at("", "1704067200123456", "1704067200123.456");
  at("", "1704067200123456789", "1704067200123.456");
  at("", '"2024-01-01T01:00:00.5+01:00"', "1704067200500");
  at(":s", "1704067200", "1704067200000");
  at(":ms", "86400000", "86400000");
  at(":us", "1704067200123456", "1704067200123.456");
  at(":ns", '"1704067200123456999"', "1704067200123.456");
  at(":rfc3339", '"2024-01-01 00:00:00Z"', "1704067200000");
  // Python's logging, and nvidia-smi.
  at(":utc", '"2024-01-01 00:00:00,123"', "1704067200123");
  at(":+02:00", '"2024/01/01 02:00:00.123"', "1704067200123");
  at(":-05:00", '"2023-12-31T19:00:00"', "1704067200000");
  at(":utc", '"2024-01-01T01:00:00+01:00"', "1704067200000");

  const not = (form: string, time: string, reason: string) =>
    bad(
      `${time} is not ${form || "recognised"}`,
      json(`value=v,timestamp=t${form}`),
      `{"v":1,"t":${time}}`,
      "timestamp",
      `the field "t" is ${time}, ${reason}`,
    );
  not("", "12", "expected a time from 2001 to 2100; name the unit of any other, as in timestamp=FIELD:ms");
  not(
    "",
    "5000000000",
    "expected a time from 2001 to 2100; name the unit of any other, as in timestamp=FIELD:ms",
  );
  not(
    "",
    '"2024-01-01 00:00:00,123"',
    "expected a time with a zone; name the zone as in timestamp=FIELD:utc or timestamp=FIELD:+02:00",
  );
  not(
    "",
    '"yesterday"',
    "expected an RFC 3339 time, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970",
  );
  not(
    "",
    "true",
    "expected an RFC 3339 time, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970",
  );
  not(
    ":ms",
    "1704067200",
    "expected milliseconds since 1970 (a number is milliseconds; this one looks like seconds)",
  );
  not(
    ":s",
    "1704067200123",
    "expected seconds since 1970 (a number is seconds; this one looks like milliseconds)",
  );
  not(":s", '"2024-01-01T00:00:00Z"', "expected a number of seconds since 1970");
  not(":utc", "1704067200", "expected a time as text");
  not(
    ":utc",
    '"2024-02-30 00:00:00"',
    "expected milliseconds since 1970 or an RFC 3339 time such as 2024-01-01T10:00:00Z",
  );

  bad(
    "a field that is only looked for because of its name says how to name another",
    json("value=v"),
    '{"v":1,"time":"12ms"}',
    "timestamp",
    'the field "time" is "12ms", expected an RFC 3339 time, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970; name the field with the time, as in timestamp=FIELD, or use timestamp:=arrival',
  );
  bad(
    "a line without the named field",
    json("value=v,timestamp=at"),
    '{"v":1,"time":1704067200}',
    "field",
    'the field "at" is missing (timestamp=at)',
  );
  ok(
    "of @timestamp, timestamp, time and ts the first is the time, and the others are tags",
    json("value=v"),
    '{"v":1,"ts":"b","time":1704067200,"timestamp":null}',
    ['{"metric_name":"v","value":1,"@timestamp":1704067200000,"tags":{"ts":"b"}}'],
  );
  ok("a field time that is the value is no time", json("value=time"), '{"time":12}', [
    '{"metric_name":"time","value":12}',
  ]);
});

describe("logfmt", () => {
  ok(
    "Go's slog: RFC 3339 with nanoseconds, a quoted message, a duration",
    logfmt("value=dur:http.request.duration_ms", "skip=msg"),
    'time=2024-01-01T00:00:00.123456789+00:00 level=INFO msg="request \\"GET /\\" done" method=GET status=200 dur=234.56ms',
    [
      '{"metric_name":"http.request.duration_ms","value":234.56,"@timestamp":1704067200123.456,"tags":{"level":"INFO","method":"GET","status":"200"}}',
    ],
  );
  ok(
    "Heroku's router: a heading with the time, several durations and a size",
    logfmt(
      "value=service:router.service_ms,value=connect,value=bytes",
      "tags=method,tags=status,tags=request_id",
    ),
    '2024-01-01T00:00:00.250000+00:00 heroku[router]: at=info method=GET path="/a?b=c" host=app.example.com request_id=8601b555 fwd="204.204.204.204" dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=https',
    ["router.service_ms", "connect", "bytes"].map((metric, index) => {
      const unit = index === 1 ? ',"unit":"ms"' : "";
      return `{"metric_name":"${metric}","value":${[18, 1, 13][index]}${unit},"@timestamp":1704067200250,"tags":{"method":"GET","request_id":"8601b555","status":"200"}}`;
    }),
  );
  ok(
    "escapes of Go and JSON, a value with an equals sign, an empty value and a key without one",
    logfmt("value=v"),
    'v=1 a="\\t\\x41\\u00e9\\U0001F600\\\\" b=c=d e= f g=""',
    ['{"metric_name":"v","value":1,"tags":{"a":"\\tAé😀\\\\","b":"c=d","e":"","f":"true","g":""}}'],
  );
  ok("of a key that appears twice the last counts", logfmt("value=v"), "v=1 v=2", [
    '{"metric_name":"v","value":2}',
  ]);
  ok(
    "a time in the line counts before that of the heading",
    logfmt("value=v"),
    "2024-01-01T00:00:00Z w: v=1 ts=1704067201",
    ['{"metric_name":"v","value":1,"@timestamp":1704067201000}'],
  );
  bad(
    "a line of words",
    logfmt("value=v"),
    "just words",
    "syntax",
    'the line is "just words", expected key=value',
  );
  bad(
    "an open quotation mark",
    logfmt("value=v"),
    'v=1 msg="cut',
    "syntax",
    'the line has a quotation mark that is not closed at "\\"cut", expected a closing quotation mark',
  );
  bad(
    "text behind a closing quotation mark",
    logfmt("value=v"),
    'v=1 a="b"c',
    "syntax",
    'the line has text behind a closing quotation mark at "c", expected a space',
  );
  bad(
    "a pair without a key",
    logfmt("value=v"),
    "v=1 =2",
    "syntax",
    'the line has "=" without a key before it at "=2", expected key=value',
  );
  bad(
    "an incomplete escape",
    logfmt("value=v"),
    'v=1 a="\\u12"',
    "syntax",
    'the line has an incomplete escape at "\\\\u12\\"", expected \\u with 4 hexadecimal digits',
  );
});

describe("durations with units", () => {
  const took = (text: string, ms: string, seconds: string) =>
    ok(
      `${text} is ${ms} ms and ${seconds} s`,
      logfmt("value=a:took,value=b:took_seconds"),
      `a=${text} b=${text}`,
      [
        `{"metric_name":"took","value":${ms},"unit":"ms"}`,
        `{"metric_name":"took_seconds","value":${seconds}}`,
      ],
    );
  took("1.5s", "1500", "1.5");
  took("1m2.5s", "62500", "62.5");
  took("2h45m", "9900000", "9900");
  took("234.56ms", "234.56", "0.23456");
  took("12µs", "0.012", "0.000012");
  took("1ns", "0.000001", "0.000000001");
  took("1.23456789ms", "1.23456789", "0.00123456789");
  took("-1.5h", "-5400000", "-5400");
  took("0s", "0", "0");
  for (const [text, unit] of [
    ["12parsecs", "parsecs"],
    ["5 kB", "kB"],
  ] as const)
    bad(
      `${text} has no unit of time`,
      json("value=v"),
      `{"v":"${text}"}`,
      "value",
      `the field "v" is "${text}", expected a number or a duration, such as 12.5ms; "${unit}" is read only in a CSV column whose header names it, as in "[${unit}]"`,
    );
});

describe("numbers as text keep their digits", () => {
  for (const [text, want] of [
    ["+1.50", "1.50"],
    [".5", "0.5"],
    ["5.", "5"],
    ["007", "7"],
    ["-0.10e-3", "-0.10e-3"],
    ["18446744073709551617", "18446744073709551617"],
  ])
    ok(`${text} is ${want}`, logfmt("value=v"), `v=${text}`, [`{"metric_name":"v","value":${want}}`]);
  for (const text of ["0x10", "1e", "--1", "1_000", "٣"])
    bad(
      `${text} is no number`,
      logfmt("value=v"),
      `v=${text}`,
      "value",
      `the field "v" is "${text}", expected a number`,
    );
});

describe("CSV", () => {
  ok(
    "quoted fields of RFC 4180, with doubled quotation marks and delimiters",
    csv("value=ms,metric=name,timestamp=at"),
    'name,ms,at,note\n"a ""b"", c",1.50,2024-01-01T00:00:00Z,"x,y"\r\nd,2,2024-01-01T00:00:01Z,\n',
    [
      '{"metric_name":"a \\"b\\", c","value":1.50,"@timestamp":1704067200000,"tags":{"note":"x,y"}}',
      '{"metric_name":"d","value":2,"@timestamp":1704067201000,"tags":{"note":""}}',
    ],
  );
  ok("a header that is written again is skipped", csv("value=b"), "a,b\nx,1\na,b\ny,2\n", [
    '{"metric_name":"b","value":1,"tags":{"a":"x"}}',
    '{"metric_name":"b","value":2,"tags":{"a":"y"}}',
  ]);
  ok("another delimiter", { ...csv("value=b"), delimiter: ";" }, "a;b\n1,5;2\n", [
    '{"metric_name":"b","value":2,"tags":{"a":"1,5"}}',
  ]);
  ok("tabs, with an empty field", { ...csv("value=c"), delimiter: "tab" }, "a\tb\tc\n\tx\t3\n", [
    '{"metric_name":"c","value":3,"tags":{"a":"","b":"x"}}',
  ]);
  ok("a header of the user", { ...csv("value=gpu.power"), header: "index,gpu.power" }, "0, 693.64\n", [
    '{"metric_name":"gpu.power","value":693.64,"tags":{"index":"0"}}',
  ]);
  ok("a column without a name", csv("value=v"), ",v\n7,1\n", [
    '{"metric_name":"v","value":1,"tags":{"column_1":"7"}}',
  ]);
  bad(
    "a line with too few columns",
    csv("value=b"),
    "a,b\n1\n",
    "syntax",
    "the line has 1 column, expected 2 as in the header",
  );
  bad(
    "a line with too many columns",
    csv("value=b"),
    "a,b\n1,2,3\n",
    "syntax",
    "the line has 3 columns, expected 2 as in the header",
  );
  bad(
    "an open quotation mark",
    csv("value=b"),
    'a,b\n"x,1\n',
    "syntax",
    'the line has no closing quotation mark in column 1, "\\"x,1"; a field with a line break is not supported',
  );
  bad(
    "text behind a closing quotation mark",
    csv("value=b"),
    'a,b\n"x"y,1\n',
    "syntax",
    'the line has "y,1" behind the closing quotation mark of column 1, expected ","',
  );

  const wrongHeader = (name: string, options: LineFormatOptions, header: string, message: string) =>
    test(name, () => {
      const make = () => readLineFormat(options)!.converter(header);
      expect(make).toThrow(WrongHeader);
      expect(make).toThrow(new WrongHeader(message));
    });
  wrongHeader(
    "a column that the header has not, with the near name",
    csv("value=utilisation.gpu"),
    "index, utilization.gpu [%]\n",
    'its header "index, utilization.gpu [%]" has no column "utilisation.gpu" (value=utilisation.gpu); did you mean "utilization.gpu"?',
  );
  wrongHeader("a column twice", csv("value=a"), "a,b,a\n", 'its header has the column "a" twice');
  wrongHeader(
    "a header that is cut in a field",
    csv("value=a"),
    'a,"b\n',
    'its header has no closing quotation mark in column 2, "\\"b"; a field with a line break is not supported',
  );
});

describe("nvidia-smi --format=csv", () => {
  // Two columns of nvidia-smi --query-gpu=… of driver 580, and one that this card does not have.
  const HEADER =
    "timestamp, index, uuid, name, utilization.gpu [%], memory.used [MiB], temperature.gpu, power.draw [W], fan.speed [%]";
  const LINE = "2026/11/26 08:23:28.123, 0, GPU-1, NVIDIA H200, 100 %, 2163 MiB, 56, 693.73 W, [N/A]";
  // 2026-11-26T08:23:28Z is 1795681408.
  const gpu = (metric: string, value: string, unit: string) =>
    `{"metric_name":"${metric}","value":${value}${unit === "" ? "" : `,"unit":"${unit}"`},"@timestamp":1795681408123,"type":"gauge","tags":{"index":"0","uuid":"GPU-1"}}`;
  ok(
    "units of the header, and a value that the card does not have",
    csv(
      "timestamp=timestamp:utc,type:=gauge,tags=index,tags=uuid",
      "value=utilization.gpu,value=memory.used:gpu.memory_used_mib,value=temperature.gpu,value=power.draw [W],value=fan.speed",
    ),
    `${HEADER}\n${LINE}\n`,
    [
      gpu("utilization.gpu", "100", "%"),
      gpu("gpu.memory_used_mib", "2163", "MiB"),
      gpu("temperature.gpu", "56", ""),
      gpu("power.draw", "693.73", "W"),
    ],
  );
  bad(
    "a unit other than that of the header",
    csv("value=memory.used"),
    "index, memory.used [MiB]\n0, 2 GiB\n",
    "value",
    'the field "memory.used" is "2 GiB", expected a number or a duration, such as 12.5ms; "GiB" is read only in a CSV column whose header names it, as in "[GiB]"',
  );
  bad(
    "a line whose only value the card does not have",
    csv("value=fan.speed"),
    "index, fan.speed [%]\n0, [N/A]\n",
    "value",
    'the field "fan.speed" is "[N/A]", expected a number',
  );
  ok(
    "without units and header",
    {
      ...csv("value=power,type:=gauge,tags=index"),
      header: "index,uuid,gpu,used,total,temperature,power,name",
    },
    "0, GPU-1, 100, 2163, 143771, 56, 693.64, NVIDIA H200\n",
    ['{"metric_name":"power","value":693.64,"type":"gauge","tags":{"index":"0"}}'],
  );
});

describe("the line protocol", () => {
  ok(
    "of Telegraf: each number is a gauge MEASUREMENT_FIELD, and tags and strings are tags",
    influx(),
    'cpu,cpu=cpu0,host=w1 usage_idle=97.5,busy=2i,up=t,state="on" 1704067200000000000\n# a comment\nmem used=5u',
    [
      ["cpu_usage_idle", "97.5"],
      ["cpu_busy", "2"],
      ["cpu_up", "1"],
    ]
      .map(
        ([metric, value]) =>
          `{"metric_name":"${metric}","value":${value},"@timestamp":1704067200000,"type":"gauge","tags":{"cpu":"cpu0","host":"w1","state":"on"}}`,
      )
      .concat('{"metric_name":"mem_used","value":5,"type":"gauge"}'),
  );
  ok(
    "escapes in measurements, tags and strings",
    influx("value=v"),
    'my\\ m\\,x,a\\=b=c\\ d,w=C:\\dir v=1,s="x \\"y\\" \\\\"',
    [
      '{"metric_name":"my m,x_v","value":1,"type":"gauge","tags":{"a=b":"c d","w":"C:\\\\dir","s":"x \\"y\\" \\\\"}}',
    ],
  );
  ok(
    "--map names the metric, the type and the values",
    influx("value=duration_ms:http.request.duration_ms,type:=observation,skip=bytes"),
    "http,operation=get_task,task_id=t1 duration_ms=1.50,bytes=7i 1704067200000000000",
    [
      '{"metric_name":"http.request.duration_ms","value":1.50,"@timestamp":1704067200000,"type":"observation","tags":{"operation":"get_task","task_id":"t1"}}',
    ],
  );
  for (const [precision, time] of [
    ["s", "1704067200"],
    ["ms", "1704067200000"],
    ["us", "1704067200000000"],
    ["ns", "1704067200000000999"],
  ] as const)
    ok(`times in ${precision}`, { format: "influx", precision }, `a v=1 ${time}`, [
      '{"metric_name":"a_v","value":1,"@timestamp":1704067200000,"type":"gauge"}',
    ]);
  bad(
    "a time of another unit",
    influx(),
    "a v=1 1704067200",
    "timestamp",
    'the timestamp is "1704067200", expected nanoseconds since 1970 (a number is nanoseconds; this one looks like seconds); --precision names the unit',
  );
  for (const [line, reason] of [
    ["cpu", "missing fields"],
    ["cpu value", 'invalid field format of "value"'],
    ["cpu value=", 'missing field value of "value"'],
    ["cpu =1", "missing field key"],
    [",host=a v=1", "missing measurement"],
    ["cpu,host= v=1", 'missing tag value of "host"'],
    ["cpu,=a v=1", "missing tag key"],
    ["cpu,a=1,a=2 v=1", 'duplicate tags "a"'],
    ["cpu v=1,v=2", 'multiple instances of "v" found'],
    ["cpu v=NaN", 'invalid boolean "NaN" of "v"'],
    ["cpu v=9223372036854775808i", 'value out of range "9223372036854775808i" of "v"'],
    ["cpu v=-1u", 'value out of range "-1u" of "v"'],
    ["cpu v=1x", 'invalid number "1x" of "v"'],
    ['cpu s="text', 'unbalanced quotes of "s"'],
    ["cpu v=1 now", 'bad timestamp "now"'],
  ] as const)
    bad(line, influx(), line, "syntax", `the line is ${JSON.stringify(line)}: ${reason}`);
  bad(
    "a line with strings alone",
    influx(),
    'cpu s="text"',
    "value",
    "the line has no number, expected a field with one",
  );
});

describe("options are checked at the start", () => {
  const wrong = (options: LineFormatOptions, message: string) =>
    test(`${JSON.stringify(options)}`, () => expect(() => readLineFormat(options)).toThrow(message));
  test("events without --map are pushed as they are", () => {
    expect([readLineFormat({}), readLineFormat({ format: "events" })]).toEqual([undefined, undefined]);
  });
  wrong(
    json("vlaue=x"),
    '--map has the target "vlaue" in "vlaue=x"; expected metric, value, timestamp, type, unit, tags or skip; did you mean "value"?',
  );
  wrong(json("label=x"), 'did you mean "tags"?');
  wrong(
    json("duration"),
    '--map has the entry "duration"; expected TARGET=FIELD or TARGET:=TEXT, such as value=duration_ms.',
  );
  wrong(
    json("metric=x"),
    "--map names no value; expected value=FIELD, with the field that has the number, such as value=duration_ms.",
  );
  wrong(json("value=x,"), '--map has the entry ""; expected');
  wrong(json("value="), '--map has "value="; expected value=FIELD or value=FIELD:METRIC.');
  wrong(
    json("value=a,metric=b", "metric=c"),
    '--map has two entries for metric, "metric=b" and "metric=c"; expected one.',
  );
  wrong(
    json("value=a,value=a"),
    '--map has two values of the metric "a"; expected different metrics, as in value=FIELD:METRIC.',
  );
  wrong(json("value=a:x,value=b:x"), 'two values of the metric "x"');
  wrong(
    json("value=a,type:=histogram"),
    '--map has the type "histogram"; expected observation, counter, gauge or cumulative.',
  );
  wrong(
    json("value=a,timestamp=t:sec"),
    '--map has the form of time "sec" in "timestamp=t:sec"; expected s, ms, us, ns, rfc3339, utc, or an offset such as +02:00.',
  );
  wrong(
    json("value=a,timestamp:=now"),
    '--map has "timestamp:=now"; expected timestamp=FIELD, or timestamp:=arrival.',
  );
  wrong(
    json("value:=1"),
    '--map has "value:=1" without a metric; expected metric:=NAME or metric=FIELD, too.',
  );
  wrong(
    json("value:=one,metric:=x"),
    '--map has "value:=one"; expected a number after :=, such as value:=1.',
  );
  wrong(json("value:=1,value=a,metric:=x"), 'beside "value=a"; expected one value.');
  wrong(json('value="a'), "whose quotation mark is not closed");
  wrong(json("value=a,tags:=x"), '--map has "tags:=x"; expected tags=FIELD.');
  wrong(
    { format: "logfmt" },
    "--format logfmt needs --map value=FIELD, which names the field with the number, such as --map value=duration_ms.",
  );
  wrong(
    { format: "json" },
    '--format is "json", expected events, logfmt, influx or csv; did you mean "events"?',
  );
  wrong({ format: "logfnt" }, 'did you mean "logfmt"?');
  wrong({ ...json("value=a"), delimiter: ";" }, "--delimiter is an option of --format csv.");
  wrong({ ...logfmt("value=a"), precision: "s" }, "--precision is an option of --format influx.");
  wrong({ format: "influx", precision: "m" }, '--precision is "m", expected ns, us, ms or s.');
  wrong({ ...csv("value=a"), delimiter: "::" }, '--delimiter is "::", expected one character');
  wrong({ ...csv("value=a"), header: "b,c" }, 'its header "b,c" has no column "a" (value=a)');
});
