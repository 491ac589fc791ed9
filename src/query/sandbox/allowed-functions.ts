/**
 * The functions that a statement from a request may call. Every other function is rejected. The list is data: for each
 * function its kind, the maximum size of its result (sizes.ts), the check of its arguments (arguments.ts), and the
 * limits in words for `GET /api/v1/sql/functions`.
 *
 * While the engine evaluates a call for a vector of 2,048 rows, it checks neither for an interrupt nor the memory
 * limit. So each function in this list makes values of limited size in limited time. None reads settings, files or
 * other schemas.
 */
import {
  BINS_MAX,
  type Check,
  COUNT_MAX,
  checkBar,
  checkBins,
  checkConstants,
  checkCount,
  checkFormat,
  checkJsonPath,
  checkLike,
  checkListAggregate,
  checkPad,
  checkPattern,
  checkRange,
  checkRepeat,
  checkReplacement,
  PATTERN_LENGTH_MAX,
  RANGE_MAX,
  WIDTH_MAX,
} from "./call-arguments.ts";
import {
  bar,
  binned,
  COLLECTED_BYTES_MAX,
  COLLECTED_ELEMENTS_MAX,
  collected,
  counted,
  elements,
  first,
  fixed,
  formatted,
  joined,
  json,
  largest,
  multiple,
  padded,
  patternReplaced,
  pieces,
  REDUCED_ELEMENTS_MAX,
  ranged,
  repeated,
  replaced,
  type Size,
  separated,
  short,
  sumOrLists,
  timeText,
  total,
} from "./sizes.ts";

export type FunctionKind = "scalar" | "aggregate" | "window" | "table";

/** The guard that limits a call while the statement runs; see rewrite.ts. */
type Guard = "text" | "list" | "map";

export interface AllowedFunction {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly size: Size;
  /** Bytes that it makes besides its result: hash tables, which take several times the memory and time of the list. */
  readonly working?: Size;
  readonly check?: Check;
  /** Its limits, in words. */
  readonly bounds?: string;
  /** For aggregates that collect values: a window function needs a frame of ROWS, and any other call gets the guard. */
  readonly guard?: Guard;
  /** What the lambda, its second argument, does with the list. */
  readonly lambda?: "transform" | "filter" | "reduce";
  /** An operator is allowed, but not listed among the functions. */
  readonly isOperator?: boolean;
}

const words = (text: string): string[] => text.trim().split(/\s+/);

const functions = new Map<string, AllowedFunction>();
const tableFunctions = new Map<string, AllowedFunction>();

function allow(
  kind: FunctionKind,
  names: string,
  size: Size,
  more: Omit<Partial<AllowedFunction>, "name" | "kind" | "size"> = {},
): void {
  for (const name of words(names))
    (kind === "table" ? tableFunctions : functions).set(name.toLowerCase(), { name, kind, size, ...more });
}

const operator = { isOperator: true };
allow(
  "scalar",
  "- * / // % ^ ** = == <> != < > <= >= ! @ ^@ & | << >> ~ <-> <=> !__postfix",
  fixed,
  operator,
);
allow("scalar", "+", sumOrLists, operator);
allow("scalar", "||", total, operator);

// Numbers
allow(
  "scalar",
  `abs acos acosh asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even exp
  factorial fdiv floor fmod gamma gcd greatest_common_divisor isfinite isinf isnan lcm least_common_multiple lgamma ln
  log log10 log2 mod multiply nextafter pi pow power radians random round round_even roundbankers sign signbit sin sinh
  sqrt subtract tan tanh trunc xor`,
  fixed,
);
// date_add is a macro over +, which also joins lists.
allow("scalar", "add date_add", sumOrLists);
allow("scalar", "greatest least", largest);

// Texts
const constantPattern = {
  check: checkPattern,
  bounds: `pattern a constant, at most ${PATTERN_LENGTH_MAX} characters`,
};
allow(
  "scalar",
  `ascii bit_length char_length character_length contains ends_with hash instr len length length_grapheme
  ord position prefix starts_with strlen strpos suffix unicode octet_length`,
  fixed,
);
allow(
  "scalar",
  "chr md5 sha1 sha256 to_base format_bytes formatReadableSize formatReadableDecimalSize",
  short,
);
allow(
  "scalar",
  `lcase left left_grapheme lower ltrim nfc_normalize reverse right right_grapheme rtrim strip_accents substr substring
  substring_grapheme trim ucase upper url_decode`,
  first,
);
allow("scalar", "parse_filename parse_dirname parse_dirpath", first);
allow("scalar", "parse_path", pieces);
allow("scalar", "url_encode", multiple(3));
allow("scalar", "regexp_escape hex to_hex", multiple(2));
allow("scalar", "bin to_binary", multiple(8));
allow("scalar", "concat", total);
allow("scalar", "concat_ws", separated);
allow("scalar", "regexp_full_match regexp_matches", fixed, constantPattern);
allow("scalar", "regexp_extract", largest, constantPattern);
allow("scalar", "regexp_extract_all", pieces, constantPattern);
allow("scalar", "regexp_split_to_array string_split_regex str_split_regex", pieces, constantPattern);
allow("scalar", "string_split str_split split string_to_array", pieces);
allow("scalar", "split_part", first);
const constantTexts = {
  check: checkReplacement,
  bounds: "the replaced text and its replacement constants",
};
allow("scalar", "replace", replaced, constantTexts);
allow("scalar", "translate", multiple(4), constantTexts);
allow("scalar", "regexp_replace", patternReplaced, {
  check: checkReplacement,
  bounds: `pattern, replacement and options constants, at most ${PATTERN_LENGTH_MAX} characters each`,
});
allow("scalar", "lpad rpad", padded, {
  check: checkPad,
  bounds: `length a constant, at most ${WIDTH_MAX}`,
});
allow("scalar", "repeat", repeated, {
  check: checkRepeat,
  bounds: `count a constant, at most ${WIDTH_MAX}`,
});
allow("scalar", "bar", bar, { check: checkBar, bounds: `width a constant, at most ${WIDTH_MAX}` });
allow("scalar", "format printf", formatted, {
  check: checkFormat,
  bounds: `format a constant, at most ${PATTERN_LENGTH_MAX} characters, widths of at most 3 digits`,
});
const likePattern = { ...operator, check: checkLike };
allow(
  "scalar",
  "~~ !~~ ~~* !~~* like_escape not_like_escape ilike_escape not_ilike_escape",
  fixed,
  likePattern,
);

// Times
allow(
  "scalar",
  `age ago century date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayofmonth
  dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian last_day
  local_time make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns microsecond millennium millisecond
  minute month nanosecond normalized_interval now quarter second time_bucket timezone timezone_hour timezone_minute
  to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters
  to_seconds to_timestamp to_weeks to_years today utc_time week weekday weekofyear year yearweek current_date
  current_localtime current_localtimestamp`,
  fixed,
);
allow("scalar", "dayname monthname", short);
allow("scalar", "strftime", timeText, constantPattern);
allow("scalar", "strptime try_strptime", fixed, constantPattern);

// Values of any type
allow("scalar", "coalesce constant_or_null ifnull nullif", largest);
allow("scalar", "typeof gen_random_uuid uuid", short);

// Lists, structs and maps
allow("scalar", "list_value list_pack array_value", elements);
allow("scalar", "row struct_pack map", elements);
allow(
  "scalar",
  "map_from_entries map_entries map_keys map_values map_extract struct_keys struct_values",
  multiple(2),
);
allow("scalar", "map_concat struct_insert struct_update", total);
allow(
  "scalar",
  `array_extract element_at list_element list_extract map_extract_value struct_extract struct_extract_at array_slice
  list_slice list_sort list_reverse_sort array_sort array_reverse_sort list_distinct array_distinct list_reverse
  array_reverse list_where array_where array_pop_back array_pop_front list_grade_up array_grade_up grade_up`,
  first,
);
const hashed = { working: multiple(3) };
allow("scalar", "list_intersect array_intersect", largest, hashed);
allow(
  "scalar",
  `list_concat list_cat array_concat array_cat list_append list_prepend array_append array_prepend array_push_back
  array_push_front`,
  total,
);
allow("scalar", "list_zip array_zip", elements);
allow("scalar", "equi_width_bins", binned, {
  check: checkBins,
  bounds: `the number of bins a constant, at most ${BINS_MAX}`,
});
allow("scalar", "flatten", first);
allow(
  "scalar",
  `array_length cardinality list_contains list_has array_contains array_has list_position list_indexof array_position array_indexof map_contains map_contains_entry
  map_contains_value list_unique array_unique struct_contains struct_has struct_position struct_indexof list_distance
  list_cosine_distance list_cosine_similarity list_dot_product list_inner_product`,
  fixed,
);
allow("scalar", "list_has_all list_has_any array_has_all array_has_any list_mad list_entropy", fixed, hashed);
allow("scalar", "&& @> <@", fixed, { ...operator, ...hashed });
allow("scalar", "list_mode", first, hashed);
allow(
  "scalar",
  `list_sum list_avg list_count list_product list_stddev_pop list_stddev_samp list_var_pop list_var_samp
  list_bool_and list_bool_or list_bit_and list_bit_or list_bit_xor list_skewness list_kurtosis
  list_kurtosis_pop list_sem list_approx_count_distinct`,
  fixed,
);
allow("scalar", "list_min list_max list_median list_first list_last list_any_value", first);
allow("scalar", "list_aggregate list_aggr array_aggregate array_aggr aggregate", first, {
  ...hashed,
  check: checkListAggregate,
  bounds: "the aggregate is named in quotation marks and returns one value",
});
allow("scalar", "array_to_string array_to_string_comma_default", joined);
const lambdaBounds = "a lambda cannot contain a lambda or a subquery, and calls few functions";
allow("scalar", "list_transform list_apply array_transform array_apply apply", largest, {
  lambda: "transform",
  bounds: lambdaBounds,
});
allow("scalar", "list_filter array_filter filter", first, { lambda: "filter", bounds: lambdaBounds });
allow("scalar", "list_reduce array_reduce reduce", largest, {
  lambda: "reduce",
  bounds: `at most ${REDUCED_ELEMENTS_MAX} elements; the lambda must not join texts or lists`,
});
allow("scalar", "unnest", first, { bounds: "in SELECT and in FROM" });
allow("scalar", "range generate_series", ranged, {
  check: checkRange,
  bounds: `constant whole numbers, at most ${RANGE_MAX} values; in FROM also times, and any number of values`,
});

// JSON
allow(
  "scalar",
  "json_object json_array to_json row_to_json array_to_json json_quote json json_merge_patch",
  json,
);
const path = { check: checkJsonPath, bounds: "path a constant, without *" };
allow(
  "scalar",
  "json_extract json_extract_path json_extract_string json_extract_path_text json_value",
  first,
  path,
);
allow("scalar", "-> ->>", first, { ...path, isOperator: true });
allow("scalar", "json_keys", pieces, path);
allow("scalar", "json_array_length json_exists", fixed, path);
allow("scalar", "json_type", short, path);
allow("scalar", "json_valid", fixed);

// Aggregates
allow(
  "aggregate",
  `approx_count_distinct avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star
  countif covar_pop covar_samp entropy favg fsum geomean geometric_mean kahan_sum kurtosis kurtosis_pop mean product
  regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev
  stddev_pop stddev_samp sum sum_no_overflow sumkahan var_pop var_samp variance wavg weighted_avg`,
  fixed,
);
allow(
  "aggregate",
  `any_value approx_quantile arbitrary first last mad median mode quantile quantile_cont quantile_disc reservoir_quantile`,
  largest,
);
const countBounds = { bounds: `a count of values is a constant, at most ${COUNT_MAX}` };
allow("aggregate", "min max", counted(1), { check: checkCount(1), ...countBounds });
allow("aggregate", "approx_top_k", counted(1), { check: checkCount(1), ...countBounds });
allow(
  "aggregate",
  "arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin max_by min_by",
  counted(2),
  { check: checkCount(2), ...countBounds },
);
const collects = `at most ${COLLECTED_ELEMENTS_MAX} elements and ${COLLECTED_BYTES_MAX / 1_024} KiB; with OVER, a frame of ROWS`;
allow("aggregate", "list array_agg", collected, { guard: "list", bounds: collects });
allow("aggregate", "histogram", collected, { guard: "map", bounds: collects });
allow("aggregate", "string_agg group_concat listagg json_group_array", collected, {
  guard: "text",
  bounds: `at most ${COLLECTED_BYTES_MAX / 1_024} KiB; with OVER, a frame of ROWS`,
});

allow("window", "cume_dist dense_rank ntile percent_rank rank rank_dense row_number", fixed);
allow("window", "first_value lag last_value lead nth_value fill", largest);

const constants = { check: checkConstants, bounds: "constants only" };
allow("table", "range generate_series", fixed, constants);
allow("table", "unnest", first);

/** The scalar, aggregate or window function of a name in lower case; undefined if it is not allowed. */
export function allowedFunction(name: string): AllowedFunction | undefined {
  return functions.get(name);
}

export function allowedTableFunction(name: string): AllowedFunction | undefined {
  return tableFunctions.get(name);
}

/** The allowed functions without operators, in the order of kind and name. */
export function allowedFunctions(): AllowedFunction[] {
  const key = ({ kind, name }: AllowedFunction) => `${kind} ${name}`;
  return [...functions.values(), ...tableFunctions.values()]
    .filter(({ isOperator }) => isOperator !== true)
    .sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Names of functions in other databases, with the name here. */
export const KNOWN_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["charindex", "instr"],
  ["collect_list", "list"],
  ["convert_tz", "local_time"],
  ["date_format", "strftime"],
  ["dateadd", "date_add"],
  ["every", "bool_and"],
  ["from_unixtime", "to_timestamp"],
  ["getdate", "now"],
  ["iff", "CASE WHEN"],
  ["isnull", "ifnull"],
  ["json_agg", "list"],
  ["json_build_object", "json_object"],
  ["nvl", "coalesce"],
  ["percentile", "quantile_cont"],
  ["percentile_approx", "approx_quantile"],
  ["rand", "random"],
  ["regexp_like", "regexp_matches"],
  ["regexp_substr", "regexp_extract"],
  ["to_char", "strftime"],
  ["to_date", "strptime"],
  ["unix_timestamp", "epoch"],
  ["uniq", "approx_count_distinct"],
]);

/** Names that are not allowed, with the reason. The engine reads them as functions if no column has them. */
const REFUSED_NAMES: ReadonlyMap<string, string> = new Map([
  ...words("current_time get_current_time").map(
    (name) => [name, "use now()::TIME, which is in UTC as ts is"] as const,
  ),
  ...words(
    "current_catalog current_database current_query current_role current_schema current_user session_user",
  ).map((name) => [name, "the engine's own state cannot be queried"] as const),
]);

/** Why a name is not allowed as a column or a function; undefined if it is allowed. */
export function refusedName(name: string): string | undefined {
  return REFUSED_NAMES.get(name);
}
