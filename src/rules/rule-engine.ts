/**
 * The rules that run: reads their files, evaluates their groups, and reads the files again when they change.
 *
 * Files with an error change nothing: the rules that ran before go on. Groups that did not change go on as they are, and
 * a rule of a changed group keeps its state if its name, labels and question are the same. A new group continues the
 * alerts that its rules have in the store, also after a restart.
 */
import { stat } from "node:fs/promises";
import { RequestError } from "../model/errors.ts";
import type { Service } from "../model/service.ts";
import type { RuleOutcome, UnwrittenSample } from "./evaluation/group-evaluation.ts";
import { belongsTo, type StoredAlert } from "./evaluation/restored-state.ts";
import type { RuleSample } from "./evaluation/rule-state.ts";
import {
  type FileProblem,
  findRuleFiles,
  type GeneratedRules,
  problemText,
  type RuleFiles,
  readRuleFiles,
} from "./files/find-rules.ts";
import type { AlertingRule, GroupRule, ParseExpandable, RuleGroup } from "./files/rule-group.ts";
import type { CheckStatement } from "./files/rule-statements.ts";
import type { LabelValues } from "./label-values.ts";
import {
  type GroupLoopOptions,
  RuleGroupLoop,
  ruleKey,
  type StoredByRule,
} from "./running/rule-group-loop.ts";
import { SampleWriter } from "./running/sample-writer.ts";

/** Where rules come from, as the settings say when they are read. */
export interface RuleSources {
  /** Paths and patterns of rule files. */
  readonly patterns: readonly string[];
  /** Rules that are generated from the settings. */
  readonly generated: readonly GeneratedRules[];
  /** Settings that have changed since the start, and that a reload does not apply. */
  readonly needRestart: readonly string[];
}

interface RuleEngineOptions extends Omit<GroupLoopOptions, "inspect" | "onFault"> {
  /** As the settings were at the start. */
  readonly started: RuleSources;
  /** Reads the settings. Throws a RequestError if they are invalid. */
  readonly sources: () => RuleSources;
  /** Loads the parser of templates, for the first files. */
  readonly templates: () => Promise<ParseExpandable>;
  readonly checkStatement: CheckStatement;
  readonly storedAlerts: (timeMs: number) => Promise<readonly StoredAlert[]>;
  /** Called when rules run that did not run before. */
  readonly onLoaded: (files: RuleFiles) => void;
  /** Called when the files cannot be used. */
  readonly onInvalid: (errors: readonly FileProblem[]) => void;
  /** Called when a rule begins to fail, and for each fault that is not one of a rule. */
  readonly onRuleFailed: (group: RuleGroup | undefined, rule: GroupRule | undefined, error: unknown) => void;
}

/** The files of rules have errors. The earlier rules run. */
export class RulesInvalid extends RequestError {
  override readonly status = 500;
  override readonly code = "rules_invalid";
}

/** Time between two looks at the files. */
const LOOK_INTERVAL_MS = 5_000;
const ERRORS_SHOWN = 10;

/** Series of rules that are gone. They end when no other rule writes them for a while. */
interface EndedSeries {
  readonly atMs: number;
  readonly dueMs: number;
  readonly series: ReadonlyMap<string, LabelValues>;
}

export class RuleEngine implements Service {
  readonly #options: RuleEngineOptions;
  readonly #writer: SampleWriter;
  #loops: readonly RuleGroupLoop[] = [];
  /** The rules of each name that several rules have. Only these can write the same series. */
  #sameName: ReadonlyMap<string, readonly { readonly loop: RuleGroupLoop; readonly index: number }[]> =
    new Map();
  #problems: readonly FileProblem[] = [];
  #signature = "";
  #ended: EndedSeries[] = [];
  #reloading: Promise<void> = Promise.resolve();
  #looking: ReturnType<typeof setInterval> | undefined;
  #isRunning = false;
  #onFault: (error: unknown) => void = () => {};
  #sources: RuleSources;

  constructor(options: RuleEngineOptions) {
    this.#options = options;
    this.#sources = options.started;
    this.#writer = new SampleWriter(options.store);
  }

  /** The groups that run, with the states of their rules. */
  get groups(): readonly RuleGroupLoop[] {
    return this.#loops;
  }

  /** What is wrong in the files since they were last read. Empty if they are in use. */
  get problems(): readonly FileProblem[] {
    return this.#problems;
  }

  /** Settings that have changed since the start, as of the last reload, and that need a restart. */
  get needRestart(): readonly string[] {
    return this.#sources.needRestart;
  }

  /** Reads the files and begins to evaluate. Errors of the files are reported, and do not stop the start. */
  async start(onFault: (error: unknown) => void): Promise<void> {
    this.#isRunning = true;
    this.#onFault = onFault;
    const { patterns, generated } = this.#sources;
    if (patterns.length > 0 || generated.length > 0) await this.#reloadOrReport();
  }

  async #reloadOrReport(): Promise<void> {
    await this.reload().catch((error) => {
      if (!(error instanceof RulesInvalid)) this.#onFault(error);
    });
  }

  /** Looks at the files from now on. */
  #look(): void {
    if (!this.#isRunning || this.#looking !== undefined) return;
    this.#looking = setInterval(() => {
      void this.#hasChanged().then(
        (changed) => (changed ? this.#reloadOrReport() : undefined),
        this.#onFault,
      );
      this.#endSeries().catch(this.#onFault);
    }, LOOK_INTERVAL_MS);
    this.#looking.unref();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    clearInterval(this.#looking);
    this.#looking = undefined;
    await this.#reloading.catch(() => undefined);
    await Promise.all(this.#loops.map((loop) => loop.stop()));
  }

  /**
   * Reads the files again. Resolves when their rules run.
   *
   * @throws RulesInvalid if they have errors
   */
  reload(): Promise<void> {
    const run = this.#reloading.catch(() => undefined).then(() => this.#reload());
    this.#reloading = run;
    return run;
  }

  /** Evaluates all groups at one time, one after the other, whatever their intervals are. */
  async evaluate(timeMs: number): Promise<void> {
    for (const loop of this.#loops) await loop.evaluate(timeMs);
  }

  async #reload(): Promise<void> {
    const { counters, now, onInvalid, onLoaded } = this.#options;
    this.#look();
    const files = await this.#read();
    this.#problems = files.errors;
    if (files.errors.length > 0) {
      counters.reloadFailed();
      onInvalid(files.errors);
      const more =
        files.errors.length > ERRORS_SHOWN ? ` and ${files.errors.length - ERRORS_SHOWN} more` : "";
      const shown = files.errors.slice(0, ERRORS_SHOWN).map(problemText).join("; ");
      throw new RulesInvalid(`the rules have errors, so the earlier ones go on: ${shown}${more}`);
    }
    await this.#use(files.groups);
    counters.reloaded(now());
    onLoaded(files);
  }

  /** Reads the settings and the files. */
  async #read(): Promise<RuleFiles> {
    try {
      this.#sources = this.#options.sources();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const errors = [{ file: "weir.toml", line: 1, column: 1, message: error.message }];
      return { groups: [], files: [], errors, warnings: [] };
    }
    this.#signature = await this.#signatureOf();
    const { patterns, generated } = this.#sources;
    const { checkStatement, templates } = this.#options;
    return await readRuleFiles(patterns, { parseTemplate: await templates(), checkStatement }, generated);
  }

  async #use(groups: readonly RuleGroup[]): Promise<void> {
    const before = new Map(this.#loops.map((loop) => [groupId(loop.group), loop]));
    const stored = groups.some((group) => !before.has(groupId(group)))
      ? await this.#stored(groups)
      : new Map();
    const kept = new Set<RuleGroupLoop>();
    const loops: RuleGroupLoop[] = [];
    const begun: RuleGroupLoop[] = [];
    const replaced: RuleGroupLoop[] = [];
    for (const group of groups) {
      const old = before.get(groupId(group));
      if (old !== undefined && groupKey(old.group) === groupKey(group)) {
        kept.add(old);
        loops.push(old);
        continue;
      }
      // Its last evaluation must be known before its state is taken over.
      await old?.finish();
      if (old !== undefined) replaced.push(old);
      const loop = new RuleGroupLoop(group, this.#loopOptions(), {
        before: old,
        stored: old ? undefined : stored,
      });
      loops.push(loop);
      begun.push(loop);
    }
    const gone = this.#loops.filter((loop) => !kept.has(loop) && !replaced.includes(loop));
    await Promise.all(gone.map((loop) => loop.finish()));
    this.#noteEnded([...gone, ...replaced]);
    this.#loops = loops;
    this.#sameName = rulesOfSameName(loops);
    for (const { group } of gone) this.#options.counters.removed(group);
    for (const loop of begun) {
      this.#options.counters.added(loop.group, loop.intervalMs);
      if (this.#isRunning) loop.start();
    }
  }

  #loopOptions(): GroupLoopOptions {
    const { onRuleFailed } = this.#options;
    return {
      ...this.#options,
      inspect: (_, outcome) => this.#conflictOf(outcome),
      onFault: onRuleFailed,
    };
  }

  /** The stored alerts of each rule. Of two rules that cannot be distinguished neither has any. */
  async #stored(groups: readonly RuleGroup[]): Promise<StoredByRule> {
    const { storedAlerts, now, onRuleFailed } = this.#options;
    const alerting = groups.flatMap(({ rules }) => rules.filter((rule) => rule.kind === "alerting"));
    if (alerting.length === 0) return new Map();
    let stored: readonly StoredAlert[];
    try {
      stored = await storedAlerts(now());
    } catch (error) {
      onRuleFailed(undefined, undefined, error);
      return new Map();
    }
    const byName = Map.groupBy(alerting, ({ name }) => name);
    const byRule = new Map<AlertingRule, StoredAlert[]>();
    for (const alert of stored) {
      const owners = (byName.get(alert.labels.alertname ?? "") ?? []).filter((rule) =>
        belongsTo(rule, alert),
      );
      if (owners.length === 1) byRule.getOrInsertComputed(owners[0]!, () => []).push(alert);
    }
    return byRule;
  }

  /** Another rule that writes a series which this one wrote too. */
  #conflictOf({ rule, state }: RuleOutcome): string | undefined {
    for (const { loop, index } of this.#sameName.get(nameKey(rule)) ?? []) {
      const other = loop.group.rules[index]!;
      if (other === rule) continue;
      const { series } = loop.states[index]!;
      for (const [key, labels] of state.series) {
        if (!series.has(key)) continue;
        const { file, name } = loop.group;
        return (
          `the rule in line ${other.line} of ${file}, group ${JSON.stringify(name)}, writes the same series, such as ` +
          JSON.stringify(labels).slice(0, 300)
        );
      }
    }
    return undefined;
  }

  #noteEnded(loops: readonly RuleGroupLoop[]): void {
    const atMs = this.#options.now();
    for (const loop of loops) {
      const series = new Map(loop.untakenStates().flatMap((state) => [...state.series]));
      // A rule that was renamed or moved writes its series again within this time.
      if (series.size > 0) this.#ended.push({ atMs, dueMs: atMs + 2 * loop.intervalMs, series });
    }
  }

  /** Ends the series of rules that are gone, unless another rule writes them by now. */
  async #endSeries(): Promise<void> {
    const nowMs = this.#options.now();
    const due = this.#ended.filter(({ dueMs }) => dueMs <= nowMs);
    if (due.length === 0) return;
    this.#ended = this.#ended.filter(({ dueMs }) => dueMs > nowMs);
    const written = new Set(
      this.#loops.flatMap(({ states }) => states.flatMap(({ series }) => [...series.keys()])),
    );
    for (const { atMs, series } of due) {
      const samples = [...series]
        .filter(([key]) => !written.has(key))
        .map(([, labels]): RuleSample => ({ labels, timeMs: atMs, value: Number.NaN, isStale: true }));
      const unwritten: readonly UnwrittenSample[] = await this.#writer.write(samples);
      if (unwritten.length > 0) throw new Error(`stale markers were not stored: ${unwritten[0]!.reason}`);
    }
    this.#writer.forgetUnused();
  }

  async #hasChanged(): Promise<boolean> {
    return this.#signature !== (await this.#signatureOf());
  }

  /** Changes when a file changes, comes or goes. */
  async #signatureOf(): Promise<string> {
    const files = await findRuleFiles(this.#sources.patterns);
    const parts = files.map(async (file) => {
      const { mtimeMs, size, ino } = await stat(file).catch(() => ({ mtimeMs: 0, size: -1, ino: 0 }));
      return `${file}\u0000${mtimeMs} ${size} ${ino}`;
    });
    return (await Promise.all(parts)).join("\u0000");
  }
}

function groupId({ file, name }: RuleGroup): string {
  return `${file}\u0000${name}`;
}

/** Equal if nothing of a group changed. */
function groupKey({ rules, ...group }: RuleGroup): string {
  return JSON.stringify([
    group,
    rules.map((rule) => [
      ruleKey(rule),
      rule.line,
      rule.column,
      rule.kind === "alerting" ? [rule.forMs, rule.keepFiringForMs, rule.annotations] : [],
    ]),
  ]);
}

function nameKey({ kind, name }: GroupRule): string {
  return `${kind} ${name}`;
}

function rulesOfSameName(loops: readonly RuleGroupLoop[]) {
  const all = loops.flatMap((loop) =>
    loop.group.rules.map((rule, index) => ({ key: nameKey(rule), loop, index })),
  );
  const byName = Map.groupBy(all, ({ key }) => key);
  return new Map([...byName].filter(([, rules]) => rules.length > 1));
}
