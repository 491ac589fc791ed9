/** `weir init`: writes weir.toml, and on request a unit of systemd and a first token, and prints how to go on. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { SCOPES, TOKEN_NAME } from "../../access/access-token.ts";
import { newToken, storeToken, TokenExists } from "../../access/token-changes.ts";
import { readTokenFile } from "../../access/token-file.ts";
import { addressThatNeedsToken, type Config, loadConfig, tokenPaths } from "../../config/config.ts";
import { formatListen } from "../../config/values.ts";
import { openDataFolder } from "../../data-folder.ts";
import { shellWord } from "../../model/errors.ts";
import { programCommand } from "../../program/program-command.ts";
import { isBundled, isOneFile, programPath } from "../../program/program-files.ts";
import { oneOf, readArguments } from "../arguments.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";
import { Questions } from "./questions-asked.ts";
import { isStateFolder, serviceUnit } from "./service-unit.ts";
import { serviceWarnings } from "./service-user.ts";

const OPTIONS = {
  listen: { type: "string" },
  "retention-days": { type: "string" },
  data: { type: "string" },
  token: { type: "string" },
  service: { type: "string" },
  config: { type: "string" },
  unit: { type: "string" },
  user: { type: "string" },
  program: { type: "string" },
  yes: { type: "boolean", default: false },
  force: { type: "boolean", default: false },
  "print-unit": { type: "boolean", default: false },
} as const;

const SERVICES = ["none", "systemd"] as const;
const UNIT = "/etc/systemd/system/weir.service";
const DEFAULTS = {
  listen: "127.0.0.1:9091",
  retention: "7",
  none: { data: "data", config: "weir.toml" },
  systemd: { data: "/var/lib/weir", config: "/etc/weir/weir.toml" },
} as const;

/** What is written, and for which service manager. */
interface Place {
  readonly service: (typeof SERVICES)[number];
  readonly config: string;
  readonly unit: string;
}

/** What the answers and the flags say. */
interface Plan extends Place {
  readonly listen: string;
  readonly retention: string;
  readonly data: string;
  /** The name of a token to make. Undefined for none. */
  readonly token: string | undefined;
  /** The user of the service who gets the data folder. Undefined if systemd makes the folder, or nobody runs a service. */
  readonly owner: string | undefined;
}

export const command: Command = {
  name: "init",
  summary: "writes weir.toml, a unit of systemd and a first token",
  usage: `Usage: weir init [OPTIONS]

Asks for the service manager, the address, the retention and a token, writes the files, and prints three commands to
go on with. A question that a flag answers is not asked. Without a terminal, and with --yes, none is.

  --listen ADDRESS   HOST:PORT or unix:PATH (default ${DEFAULTS.listen}). Other machines can reach it only if there
                     is a token, or TLS with certificates of clients
  --retention-days N
                     how many days are kept (default ${DEFAULTS.retention})
  --data DIR         the data folder (default ./${DEFAULTS.none.data}; for systemd ${DEFAULTS.systemd.data}). For systemd, one
                     that is not below /var/lib needs --user
  --token NAME       makes a token with this name and all scopes, and prints it; "none" makes none. The default is
                     "admin" if other machines can reach the address and there is no token, else "none"
  --service MANAGER  none (default) or systemd: also writes a unit
  --config FILE      the file of settings (default ./${DEFAULTS.none.config}; for systemd ${DEFAULTS.systemd.config})
  --unit FILE        the unit (default ${UNIT})
  --user NAME        the user of the service, who must exist. By default, systemd makes one while it runs
  --program FILE     the program that the unit starts; default: this one
  --yes              asks nothing
  --force            replaces files that exist
  --print-unit       prints the unit, and writes nothing

The exit code is 0 if the files were written, 1 if one exists or cannot be written, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    const asks = io.stdinIsTerminal && io.stderr.isTerminal && !values.yes && !values["print-unit"];
    const questions = asks ? new Questions(io) : undefined;
    const place = await placeOf(values, questions);
    const { service, config: configPath, unit: unitPath } = place;
    const paths = service === "systemd" ? [configPath, unitPath] : [configPath];
    // Before further questions, whose answers would be lost.
    const existing =
      values["print-unit"] || values.force ? undefined : paths.find((path) => existsSync(path));
    if (existing !== undefined) {
      await io.stderr.write(`weir init: ${existing} exists already; --force replaces it.\n`);
      return exitCode.failure;
    }
    const plan = await planOf(values, place, questions, io);
    const { data, token } = plan;
    const { user } = values;
    const program = values.program === undefined ? serveCommand() : [values.program, "serve"];
    const isClone = values.program === undefined && !isBundled;
    const unit =
      service === "systemd"
        ? serviceUnit({
            ...{ program, config: configPath, data, user },
            readme: isClone ? programPath("README.md") : undefined,
          })
        : undefined;
    if (values["print-unit"]) {
      if (unit === undefined) throw new UsageError("--print-unit needs --service systemd.");
      await io.stdout.write(unit);
      return exitCode.ok;
    }
    const text = settingsText(plan);
    // The same checks as at a start, before anything is written.
    const config = loadConfig(["--config", configPath], {}, (path) =>
      path === configPath ? text : io.readFile(path),
    );
    const names = tokenNames(config);
    requireToken(config, token, names);
    if (token !== undefined && names.includes(token)) throw new TokenExists(token);
    const files: [path: string, content: string][] = [[configPath, text]];
    if (unit !== undefined) files.push([unitPath, unit]);
    for (const [path, content] of files) write(path, content);
    if (plan.owner !== undefined) openDataFolder(config.data);
    await io.stderr.write(files.map(([path]) => `Wrote ${path}\n`).join(""));
    if (unit !== undefined)
      for (const warning of serviceWarnings(user, [program[0]!, configPath]))
        await io.stderr.write(`weir init: warning: ${warning}\n`);
    if (token !== undefined) await makeToken(token, config, io);
    const hasTokens = token !== undefined || names.length > 0;
    const installs = isClone && user === undefined;
    await io.stdout.write(
      nextSteps(plan, config, { program: values.program ?? programName(), hasTokens, installs }),
    );
    return exitCode.ok;
  },
};

type Given = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

/** The answer of a flag, else that of a person, else the default. */
async function ask<T>(
  questions: Questions | undefined,
  question: string,
  flag: string | undefined,
  preset: string,
  read: (text: string) => T,
): Promise<T> {
  return flag !== undefined || questions === undefined
    ? read(flag ?? preset)
    : await questions.ask(question, preset, read);
}

async function placeOf(given: Given, questions: Questions | undefined): Promise<Place> {
  const service = await ask(questions, "Service manager, none or systemd?", given.service, "none", (text) =>
    oneOf("--service", text, SERVICES),
  );
  const config = given.config ?? DEFAULTS[service].config;
  return {
    service,
    // A service has another working directory than this command.
    config: service === "none" ? config : resolve(config),
    unit: given.unit ?? UNIT,
  };
}

async function planOf(given: Given, place: Place, questions: Questions | undefined, io: Io): Promise<Plan> {
  const { service } = place;
  // As flags, so that an error names them.
  const checkedSetting = (flag: string) => (text: string) => {
    loadConfig([flag, text], {}, io.readFile);
    return text;
  };
  const listen = await ask(
    questions,
    "Address to listen on?",
    given.listen,
    DEFAULTS.listen,
    checkedSetting("--listen"),
  );
  const retention = await ask(
    questions,
    "Days to keep samples?",
    given["retention-days"],
    DEFAULTS.retention,
    checkedSetting("--retention-days"),
  );
  const named = given.data ?? DEFAULTS[service].data;
  const checked = loadConfig(["--listen", listen, "--data", named], {}, io.readFile);
  const data = service === "none" ? named : resolve(named);
  const isOwned = service === "systemd" && !isStateFolder(data);
  if (isOwned && given.user === undefined)
    throw new UsageError(
      `--data is ${JSON.stringify(data)}, which is not below /var/lib: give --user NAME, a user of the system who shall own it.`,
    );
  const needsToken = addressThatNeedsToken(checked) !== undefined && tokenNames(checked).length === 0;
  const token = await ask(
    questions,
    "Name of a first token, or none?",
    given.token,
    needsToken ? "admin" : "none",
    (text) => {
      const name = text === "none" ? undefined : tokenName(text);
      if (questions !== undefined) requireToken(checked, name, tokenNames(checked));
      return name;
    },
  );
  return {
    ...place,
    ...{ listen, retention, data, token },
    owner: isOwned ? given.user : undefined,
  };
}

function tokenName(name: string): string {
  if (TOKEN_NAME.test(name)) return name;
  throw new UsageError(
    `--token is ${JSON.stringify(name)}, expected up to 64 letters, digits, and characters of "._-".`,
  );
}

/** The tokens that there are. */
function tokenNames(config: Config): string[] {
  return (readTokenFile(tokenPaths(config).tokens) ?? []).map(({ name }) => name);
}

function requireToken(config: Config, token: string | undefined, names: readonly string[]): void {
  const open = addressThatNeedsToken(config);
  if (open === undefined || token !== undefined || names.length > 0) return;
  throw new UsageError(
    `--listen is ${JSON.stringify(open.address)}, which other machines may reach, and there is no token: give --token NAME.`,
  );
}

function settingsText({ listen, retention, data }: Plan): string {
  return `# The settings of the gateway. "weir check --config FILE" prints all that are in effect, and "weir serve --help" describes them.
listen = [${JSON.stringify(listen)}]
retentionDays = ${/^[0-9]+$/.test(retention) ? retention : JSON.stringify(retention)}
data = ${JSON.stringify(data)}
`;
}

/** Not secret, since the token is in a file of its own. The user of the service reads the settings, whatever the umask of this one. */
function write(path: string, content: string): void {
  const made = mkdirSync(dirname(path), { recursive: true });
  for (let folder = dirname(path); made !== undefined; folder = dirname(folder)) {
    chmodSync(folder, 0o755);
    if (resolve(folder) === resolve(made)) break;
  }
  writeFileSync(path, content);
  chmodSync(path, 0o644);
}

async function makeToken(name: string, config: Config, io: Io): Promise<void> {
  const { tokens } = tokenPaths(config);
  openDataFolder(config.data);
  const wanted = { name, scopes: [...SCOPES], labels: new Map(), expiresInMs: undefined };
  const { token, text } = newToken(wanted, Date.now());
  await storeToken(tokens, token);
  await io.stderr.write(
    `The token ${JSON.stringify(name)}, which is not shown again (its hash is in ${tokens}), as the commands read it:\n`,
  );
  await io.stdout.write(`\n  export WEIR_TOKEN=${text}\n\n`);
}

/** How this program is started as a gateway, by a unit. */
function serveCommand(): string[] {
  return isBundled ? programCommand("serve") : [programPath("scripts/serve")];
}

/** How people start this program. */
function programName(): string {
  if (isOneFile) return shellWord(process.execPath);
  return isBundled ? "npx weir" : shellWord(programPath("scripts/weir"));
}

function nextSteps(
  { service, config: path, data, owner }: Plan,
  config: Config,
  /** `installs`: a service of another user needs the packages of a clone, and may not install them itself. */
  { program, hasTokens, installs }: { program: string; hasTokens: boolean; installs: boolean },
): string {
  const header = hasTokens ? '-H "Authorization: Bearer $WEIR_TOKEN" ' : "";
  const at = config.listen[0]!;
  const address =
    at.path !== undefined
      ? `--unix-socket ${shellWord(at.path)} http://localhost`
      : `http://${formatListen(/^(0\.0\.0\.0|::)$/.test(at.hostname) ? { ...at, hostname: "127.0.0.1" } : at)}`;
  const query = `curl ${header}${address}/api/v1/sql -d 'SELECT * FROM metrics'`;
  const shown = (...steps: string[]) => steps.map((step) => `  ${step}\n`).join("");
  if (service === "none") {
    const there = hasTokens
      ? "and in another terminal, with the same WEIR_TOKEN:"
      : "and in another terminal:";
    return (
      `Go on with:\n\n${shown(`${program} serve --config ${shellWord(path)}`)}\n` +
      `${there}\n\n${shown(`${program} doctor --config ${shellWord(path)}`, query)}`
    );
  }
  const before =
    owner !== undefined
      ? `sudo chown -R ${owner}: ${shellWord(data)} && `
      : installs
        ? `sudo ${shellWord(programPath("scripts/install"))} && `
        : "";
  return `Go on with:\n\n${shown(`${before}sudo systemctl daemon-reload`, "sudo systemctl enable --now weir", query)}`;
}
