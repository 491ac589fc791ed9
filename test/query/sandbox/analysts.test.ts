/**
 * Everyday statements of analysts about texts, lists and structures, with their rows. The values are worked out by hand
 * from the events of worker-events.ts, or come from the engine's documentation.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Asked, workerEvents } from "./worker-events.ts";

let asked: Asked;
beforeAll(async () => {
  asked = await workerEvents();
});
afterAll(() => asked.close());

/** The statement runs and returns these rows. */
function gives(sql: string, want: unknown[][]): void {
  test(sql, async () => expect(await asked.rows(sql)).toEqual(want as never));
}

describe("collects values of a group", () => {
  gives(
    "SELECT operation, string_agg(DISTINCT status_code, ', ' ORDER BY status_code) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL",
    [
      ["get_task", "200, 500"],
      ["upload_file", "unknown"],
    ],
  );
  gives(
    "SELECT string_agg(operation, '; ' ORDER BY ts) FILTER (WHERE value > 60) FROM http_request_duration_ms",
    [["get_task; get_task"]],
  );
  gives(
    "SELECT group_concat(method, ';' ORDER BY ts), listagg(method, ';' ORDER BY ts) FROM http_request_duration_ms",
    [["GET;GET;PUT", "GET;GET;PUT"]],
  );
  gives(
    "SELECT operation, list(value ORDER BY ts DESC) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL",
    [
      ["get_task", [300, 100]],
      ["upload_file", [50]],
    ],
  );
  gives("SELECT array_agg(DISTINCT task_id ORDER BY task_id) AS tasks FROM http_request_duration_ms", [
    [["1_a", "2_b"]],
  ]);
  gives(
    "SELECT list({'ts': ts, 'ms': value} ORDER BY ts) FROM http_request_duration_ms WHERE operation = 'get_task'",
    [
      [
        [
          { ts: "2024-01-01 10:00:00", ms: 100 },
          { ts: "2024-01-01 11:00:00", ms: 300 },
        ],
      ],
    ],
  );
  gives("SELECT ARRAY(SELECT DISTINCT operation FROM http_request_duration_ms ORDER BY 1)", [
    [["get_task", "upload_file"]],
  ]);
  gives("SELECT histogram(status_code) FROM http_request_duration_ms", [
    [{ "200": 1, "500": 1, unknown: 1 }],
  ]);
  gives("SELECT histogram(value, [100, 200, 500]) FROM http_request_duration_ms", [
    [
      [
        { key: 100, value: 2 },
        { key: 200, value: 0 },
        { key: 500, value: 1 },
      ],
    ],
  ]);
  gives("SELECT list_sort(map_keys(histogram(operation))) FROM http_request_duration_ms", [
    [["get_task", "upload_file"]],
  ]);
  gives(
    "SELECT json_group_array(operation) FROM (SELECT operation FROM http_request_duration_ms ORDER BY ts)",
    [['["get_task","get_task","upload_file"]']],
  );
  gives(
    "SELECT operation, mode(method), any_value(domain), first(value ORDER BY ts), last(value ORDER BY ts) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL",
    [
      ["get_task", "GET", "a.com", 100, 300],
      ["upload_file", "PUT", "b.com", 50, 50],
    ],
  );
  gives(
    "SELECT operation, arg_max(task_id, value), arg_min(url, value), max_by(status_code, value) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL",
    [
      ["get_task", "2_b", "https://a.com/api/x", "500"],
      ["upload_file", "1_a", "https://b.com/", "unknown"],
    ],
  );
  gives("SELECT max(value, 2), min(value, 2), arg_max(task_id, value, 2) FROM http_request_duration_ms", [
    [
      [300, 100],
      [50, 100],
      ["2_b", "1_a"],
    ],
  ]);
  gives("SELECT approx_top_k(operation, 2), approx_count_distinct(task_id) FROM http_request_duration_ms", [
    [["get_task", "upload_file"], 2],
  ]);
  gives(
    "SELECT list(value ORDER BY ts) OVER (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM http_request_duration_ms ORDER BY ts",
    [[[100]], [[100, 300]], [[300, 50]]],
  );
});

describe("edits texts", () => {
  gives("SELECT replace(url, 'https://', '') FROM http_request_duration_ms ORDER BY ts", [
    ["a.com/api/x"],
    ["a.com/api/y"],
    ["b.com/"],
  ]);
  gives("SELECT regexp_replace(url, '/[^/]*$', '/…') FROM http_request_duration_ms ORDER BY ts", [
    ["https://a.com/api/…"],
    ["https://a.com/api/…"],
    ["https://b.com/…"],
  ]);
  gives(
    "SELECT regexp_replace('task 12 of 345', '[0-9]+', 'N', 'g'), regexp_replace('a-b', '(.)-(.)', '\\2-\\1')",
    [["task N of N", "b-a"]],
  );
  gives(
    "SELECT DISTINCT regexp_extract(url, 'https?://([^/]+)', 1) AS host FROM http_request_duration_ms ORDER BY 1",
    [["a.com"], ["b.com"]],
  );
  gives("SELECT regexp_extract_all(url, '[a-z]+') FROM http_request_duration_ms WHERE domain = 'b.com'", [
    [["https", "b", "com"]],
  ]);
  gives("SELECT regexp_extract('2024-01-02', '(\\d+)-(\\d+)-(\\d+)', ['y', 'm', 'd'])", [
    [{ y: "2024", m: "01", d: "02" }],
  ]);
  gives(
    "SELECT lpad(operation, 12, '.'), rpad(operation, 12, ' ') || '|', lpad('12345', 3, '0') FROM http_request_duration_ms WHERE value = 100",
    [["....get_task", "get_task    |", "123"]],
  );
  gives(
    "SELECT format('{}: {:.1f} ms', operation, value), format('{:>8}|{:06.2f}', method, value) FROM http_request_duration_ms WHERE value = 100",
    [["get_task: 100.0 ms", "     GET|100.00"]],
  );
  gives(
    "SELECT printf('%-12s|%8.2f|%05d', operation, value, 7) FROM http_request_duration_ms WHERE value = 100",
    [["get_task    |  100.00|00007"]],
  );
  gives("SELECT repeat('ab', 3), bar(30, 0, 100, 10), reverse('abc'), translate('abc', 'ab', 'xy')", [
    ["ababab", "███       ", "cba", "xyc"],
  ]);
  gives(
    "SELECT split(url, '/')[3], split_part(url, '/', 3), string_split(url, '/')[-1] FROM http_request_duration_ms ORDER BY ts",
    [
      ["a.com", "a.com", "x"],
      ["a.com", "a.com", "y"],
      ["b.com", "b.com", ""],
    ],
  );
  gives(
    "SELECT concat_ws('/', operation, status_code), length(url), strpos(url, 'api'), left(url, 5), trim('  a '), upper(method) FROM http_request_duration_ms WHERE value = 300",
    [["get_task/500", 19, 15, "https", "a", "GET"]],
  );
  gives(
    "SELECT starts_with(url, 'https'), contains(url, 'api'), ends_with(url, '/'), url LIKE '%/api/%', operation ILIKE 'UPLOAD%' FROM http_request_duration_ms ORDER BY ts",
    [
      [true, true, false, true, false],
      [true, true, false, true, false],
      [true, false, true, false, true],
    ],
  );
  gives(
    "SELECT count(*) FROM http_request_duration_ms WHERE regexp_matches(url, '^https://a') OR url SIMILAR TO '.*b\\.com/'",
    [[3]],
  );
  gives(
    "SELECT format_bytes(1548672), formatReadableSize(1548672), url_encode('a b'), url_decode('a%20b'), md5('a'), hex('a'), bin(5)",
    [["1.4 MiB", "1.4 MiB", "a%20b", "a b", "0cc175b9c0f1b6a831c399e269772661", "61", "101"]],
  );
  gives(
    "SELECT string_split_regex('a1b22c', '[0-9]+'), string_to_array('a,b', ','), array_to_string(['a', 'b'], ' → ')",
    [[["a", "b", "c"], ["a", "b"], "a → b"]],
  );
  gives(
    "SELECT url.upper(), h.url.split('/')[3], h.url.replace('https://', '') FROM http_request_duration_ms h WHERE value = 50",
    [["HTTPS://B.COM/", "b.com", "b.com/"]],
  );
  gives("SELECT list_sort(method.list()), value.sum() FROM http_request_duration_ms", [
    [["GET", "GET", "PUT"], 450],
  ]);
  gives(
    "SELECT parse_filename(url), parse_dirname(url), parse_path(url) FROM http_request_duration_ms WHERE value = 100",
    [["x", "https:", ["https:", "a.com", "api", "x"]]],
  );
  gives("SELECT histogram(value, equi_width_bins(0::DOUBLE, 300, 3, true)) FROM http_request_duration_ms", [
    [
      [
        { key: 100, value: 2 },
        { key: 200, value: 0 },
        { key: 300, value: 1 },
      ],
    ],
  ]);
});

describe("processes lists with lambdas", () => {
  gives("SELECT list_transform(list(value ORDER BY ts), x -> x / 1000) FROM http_request_duration_ms", [
    [[0.1, 0.3, 0.05]],
  ]);
  gives("SELECT list_filter(list(value ORDER BY ts), x -> x > 60) FROM http_request_duration_ms", [
    [[100, 300]],
  ]);
  gives("SELECT list_transform(list(value ORDER BY ts), (x, i) -> x * i) FROM http_request_duration_ms", [
    [[100, 600, 150]],
  ]);
  gives("SELECT list_filter(list(value ORDER BY ts), x -> x > avg(value)) FROM http_request_duration_ms", [
    [[300]],
  ]);
  gives(
    "SELECT list_sort(list(value)), list_reverse_sort(list(value)), list_sort(list(value), 'DESC')[1] FROM http_request_duration_ms",
    [[[50, 100, 300], [300, 100, 50], 300]],
  );
  gives(
    "SELECT list_sort(list(value))[-2:], list_slice(list_sort(list(value)), 1, 2) FROM http_request_duration_ms",
    [
      [
        [100, 300],
        [50, 100],
      ],
    ],
  );
  gives(
    "SELECT list_reduce(list(value), (a, x) -> a + x), list_reduce(list(value), (a, x) -> greatest(a, x)), list_reduce([1, 2, 3], (a, x) -> a * x, 10) FROM http_request_duration_ms",
    [[450, 300, 60]],
  );
  gives("SELECT [x * 2 FOR x IN list(value ORDER BY ts) IF x > 60] FROM http_request_duration_ms", [
    [[200, 600]],
  ]);
  gives(
    "SELECT list_transform(string_split(url, '/'), x -> upper(x)) FROM http_request_duration_ms WHERE value = 50",
    [[["HTTPS:", "", "B.COM", ""]]],
  );
  gives(
    "SELECT list_transform(string_split(url, '/'), lambda x: length(x)) FROM http_request_duration_ms WHERE value = 50",
    [[[6, 0, 5, 0]]],
  );
  gives(
    "SELECT list_sort(list_distinct(list(domain))), list_unique(list(domain)), list_contains(list(domain), 'a.com') FROM http_request_duration_ms",
    [[["a.com", "b.com"], 2, true]],
  );
  gives(
    "SELECT list_aggregate(list(value), 'sum'), list_avg(list(value)), list_max(list(value)), len(list(value)) FROM http_request_duration_ms",
    [[450, 150, 300, 3]],
  );
  gives(
    "SELECT list_zip([1, 2], ['a', 'b'])[1][2], flatten([[1], [2, 3]]), list_concat([1], [2]), [1] || [2], list_append([1], 2), list_position(['a', 'b'], 'b')",
    [["a", [1, 2, 3], [1, 2], [1, 2], [1, 2], 2]],
  );
  gives(
    "SELECT list_has_any([1, 2], [2, 3]), list_has_all([1, 2], [1]), list_intersect([1, 2], [2]), list_reverse([1, 2])",
    [[true, true, [2], [2, 1]]],
  );
  gives(
    "SELECT unnest(string_split('a/b', '/')) AS part, generate_subscripts FROM (SELECT 1 AS generate_subscripts)",
    [
      ["a", 1],
      ["b", 1],
    ],
  );
  gives("SELECT unnest([1, 2]), unnest(range(2)), range(1, 10, 4), generate_series(0, 10, 5)", [
    [1, 0, [1, 5, 9], [0, 5, 10]],
    [2, 1, [1, 5, 9], [0, 5, 10]],
  ]);
  gives("SELECT list_filter(range(10), x -> x % 3 = 0)", [[[0, 3, 6, 9]]]);
});

describe("reads structs, maps and JSON", () => {
  gives("SELECT {'a': 1, 'b': [1, 2]}.b[1], MAP {'k': 5}['k'], struct_pack(a := 1).a", [[1, 5, 1]]);
  gives(
    "SELECT metric, labels['method'], cardinality(labels), map_contains(labels, 'url') FROM series WHERE metric LIKE 'task%' ORDER BY labels['domain']",
    [
      ["task.processing_duration_ms", "GET", 3, false],
      ["task.processing_duration_ms", "GET", 3, false],
    ],
  );
  gives("SELECT map_keys(labels), map_values(labels) FROM series WHERE labels['upload_type'] = 'inline'", [
    [["upload_type"], ["inline"]],
  ]);
  gives(
    "SELECT json_object('operation', operation, 'ms', value) FROM http_request_duration_ms WHERE value = 50",
    [['{"operation":"upload_file","ms":50.0}']],
  );
  gives(`SELECT '{"a": {"b": 7}}'->'a'->>'b', '{"a": [1, 2]}'->'$.a[1]', '[1, 2]'->>0`, [["7", "2", "1"]]);
  gives(
    `SELECT json_extract('{"a": "x"}', '$.a'), json_extract_string('{"a": "x"}', '$.a'), '{"a": 1}'::JSON->>'$.a', ('{"a": 1}'->>'a')::INT + 1`,
    [['"x"', "x", "1", 2]],
  );
  gives(
    `SELECT json_keys('{"a": 1, "b": 2}'), json_array_length('[1, 2]'), json_type('[1]'), json_valid('{'), json_array(1, 'a')`,
    [[["a", "b"], 2, "ARRAY", false, '[1,"a"]']],
  );
  gives("SELECT to_json({'a': 1, 'b': 'x'}), to_json(MAP {'k': 5}), to_json([1, 2])", [
    ['{"a":1,"b":"x"}', '{"k":5}', "[1,2]"],
  ]);
  gives("SELECT row_to_json(u) FROM (SELECT upload_type, value FROM upload_size_bytes ORDER BY ts) u", [
    ['{"upload_type":"inline","value":342.0}'],
    ['{"upload_type":"direct","value":1548672.0}'],
  ]);
});

describe("turns rows into columns and back", () => {
  gives(
    "PIVOT http_request_duration_ms ON status_code USING count(*) GROUP BY operation ORDER BY operation",
    [
      ["get_task", 1, 1, 0],
      ["upload_file", 0, 0, 1],
    ],
  );
  gives(
    "PIVOT http_request_duration_ms ON status_code IN ('200', '500') USING count(*) GROUP BY operation ORDER BY operation",
    [
      ["get_task", 1, 1],
      ["upload_file", 0, 0],
    ],
  );
  gives(
    "PIVOT (SELECT date_trunc('hour', ts) AS h, operation, value FROM http_request_duration_ms) ON operation USING avg(value) GROUP BY h ORDER BY h",
    [
      ["2024-01-01 10:00:00", 100, null],
      ["2024-01-01 11:00:00", 300, null],
      ["2024-01-02 10:00:00", null, 50],
    ],
  );
  gives(
    "WITH d AS (SELECT domain, method, value FROM http_request_duration_ms) PIVOT d ON method USING avg(value) AS mean, count(*) AS n GROUP BY domain ORDER BY domain",
    [
      ["a.com", 200, 2, null, 0],
      ["b.com", null, 0, 50, 1],
    ],
  );
  gives("PIVOT http_request_duration_ms ON ts::DATE USING count(*) GROUP BY operation ORDER BY operation", [
    ["get_task", 2, 0],
    ["upload_file", 0, 1],
  ]);
  gives(
    "PIVOT http_request_duration_ms ON hour(ts), success USING sum(value) GROUP BY domain ORDER BY domain",
    [
      ["a.com", null, 100, 300, null],
      ["b.com", 50, null, null, null],
    ],
  );
  gives(
    "PIVOT http_request_duration_ms ON method, success USING count(*) GROUP BY operation ORDER BY operation",
    [
      ["get_task", 1, 1, 0, 0],
      ["upload_file", 0, 0, 1, 0],
    ],
  );
  gives(
    "SELECT * FROM http_request_duration_ms PIVOT (count(*) FOR status_code IN ('200', 'unknown') GROUP BY operation) ORDER BY operation",
    [
      ["get_task", 1, 0],
      ["upload_file", 0, 1],
    ],
  );
  gives(
    "SELECT * FROM (PIVOT http_request_duration_ms ON method IN ('GET', 'PUT') USING count(*) GROUP BY domain) WHERE GET > 0",
    [["a.com", 2, 0]],
  );
  gives(
    "UNPIVOT (SELECT operation, min(value) AS lo, max(value) AS hi FROM http_request_duration_ms GROUP BY ALL) ON lo, hi INTO NAME stat VALUE v ORDER BY ALL",
    [
      ["get_task", "hi", 300],
      ["get_task", "lo", 100],
      ["upload_file", "hi", 50],
      ["upload_file", "lo", 50],
    ],
  );
  gives(
    "FROM (SELECT operation, min(value) AS lo, max(value) AS hi FROM http_request_duration_ms GROUP BY ALL) UNPIVOT (v FOR stat IN (lo, hi)) ORDER BY ALL",
    [
      ["get_task", "hi", 300],
      ["get_task", "lo", 100],
      ["upload_file", "hi", 50],
      ["upload_file", "lo", 50],
    ],
  );
  gives(
    "UNPIVOT (SELECT operation, count(*) AS n, sum(value)::BIGINT AS total FROM http_request_duration_ms GROUP BY ALL) ON COLUMNS(* EXCLUDE operation) INTO NAME stat VALUE v ORDER BY ALL",
    [
      ["get_task", "n", 2],
      ["get_task", "total", 400],
      ["upload_file", "n", 1],
      ["upload_file", "total", 50],
    ],
  );
});

describe("keeps numbers exact in a rewritten statement", () => {
  gives(
    "SELECT typeof(1e10), typeof(1.5e-3), 1e-320, 123456.789012345678e0, 0.1 + 0.2, typeof(0.1), list(1e300) FROM range(1)",
    [["DOUBLE", "DOUBLE", 1e-320, 123456.78901234567, "0.3", "DECIMAL(2,1)", [1e300]]],
  );
});

describe("names the columns of a rewritten statement as the engine names those of the original", () => {
  const names = (sql: string, ...want: string[]) =>
    test(sql, async () => {
      const result = await asked.engine.query(sql);
      await result.close();
      expect(result.columns.map(({ name }) => name)).toEqual(want);
    });
  names(
    "SELECT list(method), string_agg(method, '(') AS a, len(list(method)) + 1, histogram(method) FROM http_request_duration_ms",
    'list("method")',
    "a",
    '(len(list("method")) + 1)',
    'histogram("method")',
  );
  names("SELECT current_timestamp, current_timestamp AS t", "current_timestamp", "t");
  names("SELECT 'weir_list(1)' AS a, 'weir_text(' FROM range(1)", "a", "'weir_text('");
  names(
    "PIVOT http_request_duration_ms ON status_code USING count(*) GROUP BY operation",
    "operation",
    "200",
    "500",
    "unknown",
  );
  names("EXPLAIN SELECT list(value) FROM http_request_duration_ms", "plan");
  names("  -- why\n /* so */ explain analyze SELECT 1", "plan");
});
