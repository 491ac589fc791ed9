/** `weir rules ACTION`: works with rule files, without a gateway. Each action is a module beside this one. */
import { readArguments } from "../arguments.ts";
import { type Command, type Io, UsageError } from "../command.ts";
import { checkRuleFiles } from "./check-rules.ts";
import { testRules } from "./test-rules.ts";

const CHECK_OPTIONS = { strict: { type: "boolean", default: false } } as const;

const TEST_OPTIONS = {
  run: { type: "string", multiple: true, default: [] as string[] },
  junit: { type: "string" },
} as const;

const ACTIONS: Readonly<Record<string, (argv: readonly string[], io: Io) => Promise<number>>> = {
  check: async (argv, io) => {
    const { values, positionals } = readArguments(argv, CHECK_OPTIONS, true);
    return await checkRuleFiles(positionals, values, io);
  },
  test: async (argv, io) => {
    const { values, positionals } = readArguments(argv, TEST_OPTIONS, true);
    return await testRules(positionals, values, io);
  },
};

export const command: Command = {
  name: "rules",
  summary: "checks rule files, and runs their unit tests",
  usage: `Usage: weir rules check [--strict] FILE…
       weir rules test [--run REGEXP]… [--junit FILE] FILE…

"check" reads files of alerting and recording rules as the gateway does, and prints each error with file, line
and column. It needs no gateway, so it does not know whether metrics exist: "weir check --rules FILE" does.

  weir rules check scripts/deploy/prometheus/rules/*.rules.yml

  --strict           fails for warnings too, such as two rules with the same name and labels

"test" runs unit tests of alerting and recording rules, in the format of "promtool test rules". It needs no
gateway: the series of a test are in its file. The rules are evaluated as the gateway evaluates them.

  weir rules test scripts/deploy/prometheus/rules/*.rules.test.yml
  weir rules test --run 'disk' alerts.test.yml

  --run REGEXP       runs only tests whose names match. Can be given more than once
  --junit FILE       also writes the results as JUnit's XML, for a build server

Each failed test is printed with its line. Lines that begin with "-" were expected, lines with "+" were found,
and others are the same in both. src/rules/unit-tests/README.md says what differs from promtool.

The exit code is 0 if all files are good or all tests passed. It is 1 if one failed or a file cannot be used,
and 2 if the arguments are invalid.`,
  async run([action, ...argv], io) {
    const known = Object.keys(ACTIONS).join(", ");
    if (action === undefined) throw new UsageError(`expected an action: ${known}.`);
    if (!Object.hasOwn(ACTIONS, action)) {
      throw new UsageError(`The action is ${JSON.stringify(action)}, expected one of ${known}.`);
    }
    return await ACTIONS[action](argv, io);
  },
};
