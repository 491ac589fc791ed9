/**
 * The functions that a stranger's statement may call; every other is refused.
 *
 * A scalar call heeds neither an interrupt nor the memory limit while it works on one vector of 2,048 rows, so
 * what is listed here takes and gives values of bounded size: nothing that repeats, pads, formats, generates
 * lists, runs lambdas, reads settings or reaches outside. `LIKE` backtracks, so its patterns are bounded too.
 */
import { BadInput, Forbidden } from "../errors.ts";

/** A node of the syntax tree, as parsed from JSON. */
export type Node = Readonly<Record<string, unknown>>;

const PATTERN_LENGTH_MAX = 128;

const words = (text: string): string[] => text.trim().split(/\s+/);

const operators = words("+ - * / // % ^ ** || = == <> != < > <= >= ! @ ^@ & | << >> ~ ");

const numbers = words(`
  abs acos acosh add asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees divide even exp fdiv floor
  fmod gcd greatest isfinite isinf isnan lcm least ln log log10 log2 mod multiply pi pow power radians random
  round round_even sign signbit sin sinh sqrt subtract tan tanh trunc xor`);

const texts = words(`
  ascii bit_length char_length character_length chr concat concat_ws contains ends_with hash instr
  lcase left length len lower ltrim md5 ord position prefix regexp_extract regexp_full_match
  regexp_matches right rtrim sha256 split_part starts_with string_split strip_accents strlen strpos
  substr substring suffix trim ucase unicode upper json_extract_string`);

const times = words(`
  age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
  dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_ns epoch_us hour isodow isoyear last_day make_date
  make_time make_timestamp make_timestamp_ms make_timestamp_ns microsecond millisecond minute month monthname now
  quarter second strftime strptime time_bucket timezone to_centuries to_days to_decades to_hours to_microseconds
  to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years try_strptime week
  weekday weekofyear year yearweek`);

const nested = words(`
  array_extract array_length cardinality element_at list_contains list_element list_extract list_value map
  map_contains map_entries map_extract map_extract_value map_keys map_values row struct_extract struct_pack unnest`);

const values = words("coalesce constant_or_null ifnull nullif typeof");

const likes = words("~~ !~~ ~~* !~~* like_escape not_like_escape ilike_escape not_ilike_escape");

const aggregates = words(`
  any_value approx_count_distinct approx_quantile arbitrary arg_max arg_max_null arg_min arg_min_null argmax argmin
  avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop covar_samp entropy
  favg first fsum geomean geometric_mean kahan_sum kurtosis last mad max max_by mean median min min_by mode product
  quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope sem
  skewness stddev stddev_pop stddev_samp sum sumkahan var_pop var_samp variance`);

const windows = words(`
  cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number`);

const allowed: ReadonlySet<string> = new Set([
  ...operators,
  ...numbers,
  ...texts,
  ...times,
  ...nested,
  ...values,
  ...likes,
  ...aggregates,
  ...windows,
]);

/** Functions that stand in FROM; they give their rows bit by bit, and so heed an interrupt. */
const tableFunctions: ReadonlySet<string> = new Set(["range", "generate_series", "unnest"]);

/** Functions whose result is as large as all their arguments together; other results are as large as one. */
const growing: ReadonlySet<string> = new Set([
  "||",
  "concat",
  "concat_ws",
  "list_value",
  "map",
  "row",
  "struct_pack",
]);

/** Names that the engine takes for functions when no column has them; times among them have another type than ts. */
const valueFunctions: ReadonlyMap<string, string> = new Map([
  ...words("current_timestamp get_current_timestamp transaction_timestamp localtimestamp").map(
    (name) => [name, "use now(), which is a TIMESTAMP in UTC as ts is"] as const,
  ),
  ...words("current_date current_time localtime today").map(
    (name) => [name, "use now()::DATE or now()::TIME, which are in UTC as ts is"] as const,
  ),
  ...words(
    "current_catalog current_database current_query current_role current_schema current_user session_user",
  ).map((name) => [name, "the engine's own state is not to be queried"] as const),
]);

/** Throws `Forbidden` when the name, which stands where a column does, would be taken for a value function. */
export function checkColumnName(name: string): void {
  const reason = valueFunctions.get(name.toLowerCase());
  if (reason !== undefined) throw new Forbidden(`${name} is not allowed: ${reason}`, "sql");
}

export function isGrowing(name: string): boolean {
  return growing.has(name);
}

/** Throws unless a table function may be called with these arguments: all must be constants. */
export function checkTableFunction(name: string, children: readonly Node[]): void {
  if (!tableFunctions.has(name))
    throw new Forbidden(
      `${name}() is not allowed in FROM; only range, generate_series and unnest are`,
      "sql",
    );
  if (name !== "unnest" && !children.every(isConstant))
    throw new Forbidden(`${name}() in FROM takes constants only`, "sql");
}

/** Throws unless the function may be called with these arguments. */
export function checkFunction(name: string, children: readonly Node[]): void {
  if (!allowed.has(name)) {
    const instead = valueFunctions.get(name);
    if (instead !== undefined) throw new Forbidden(`${name}() is not allowed: ${instead}`, "sql");
    throw new Forbidden(`the function ${name}() is not allowed here`, "sql");
  }
  special.get(name)?.(name, children);
}

type Check = (name: string, children: readonly Node[]) => void;

const special: ReadonlyMap<string, Check> = new Map<string, Check>([
  ...likes.map((name) => [name, checkLike] as const),
  ...words("regexp_extract regexp_full_match regexp_matches").map((name) => [name, checkPattern] as const),
  // With a count these keep that many values a group.
  ...words("min max").map((name) => [name, atMost(1)] as const),
  ...words("arg_max arg_min argmax argmin arg_max_null arg_min_null max_by min_by").map(
    (name) => [name, atMost(2)] as const,
  ),
  ["json_extract_string", checkJsonPath],
  ["strftime", checkPattern],
  ["strptime", checkPattern],
  ["try_strptime", checkPattern],
]);

function atMost(count: number): Check {
  return (name, children) => {
    if (children.length > count)
      throw new Forbidden(`${name}() takes at most ${count} argument${count === 1 ? "" : "s"} here`, "sql");
  };
}

/** The text of a constant, or undefined. */
function text(node: Node | undefined): string | undefined {
  if (node?.class !== "CONSTANT") return undefined;
  const value = (node.value as Node | undefined)?.value;
  return typeof value === "string" ? value : undefined;
}

function pattern(name: string, node: Node | undefined): string {
  const constant = text(node);
  if (constant === undefined)
    throw new Forbidden(`the pattern of ${name} must be written out as a text in quotation marks`, "sql");
  if (constant.length > PATTERN_LENGTH_MAX)
    throw new BadInput(
      `the pattern of ${name} has ${constant.length} characters; ${PATTERN_LENGTH_MAX} are allowed`,
      "sql",
    );
  return constant;
}

/** Patterns stand second, but for strftime's, which may stand first. */
function checkPattern(name: string, children: readonly Node[]): void {
  if (name === "strftime" && text(children[0]) !== undefined) pattern(name, children[0]);
  else pattern(name, children[1]);
}

/**
 * The engine tries every way to spread a value over the `%` of a pattern: with two that are followed by more,
 * the time grows with the square of the value's length, and so on. Plain `a%b%c` is fast, but only without `_`,
 * case folding or an escape.
 */
function checkLike(name: string, children: readonly Node[]): void {
  const constant = pattern("LIKE", children[1]);
  const runs = constant.replace(/%+$/, "").split(/%+/).length - 1;
  const plain = (name === "~~" || name === "!~~") && !constant.includes("_");
  const runsMax = plain ? 16 : 1;
  if (runs > runsMax) {
    throw new Forbidden(
      `the LIKE pattern has ${runs} places for any text before its end; ${runsMax} ${runsMax === 1 ? "is" : "are"} allowed` +
        `${plain ? "" : " with _, ILIKE or ESCAPE"}; regexp_matches may do`,
      "sql",
    );
  }
}

function checkJsonPath(name: string, children: readonly Node[]): void {
  if (pattern(name, children[1]).includes("*"))
    throw new Forbidden("the path of json_extract_string must not hold a *", "sql");
}

/** True for what depends on no row: constants, parameters, now(), and casts and arithmetic over these. */
function isConstant(node: Node): boolean {
  switch (node.class) {
    case "CONSTANT":
    case "PARAMETER":
      return true;
    case "CAST":
      return isConstant(node.child as Node);
    case "FUNCTION":
      return ((node.children as readonly Node[] | undefined) ?? []).every(isConstant);
    default:
      return false;
  }
}
