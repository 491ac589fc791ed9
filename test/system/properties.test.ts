/**
 * The real gateway (its server on a free port, its DuckDB file) against the reference. fast-check draws pushes,
 * repeats, imports, pruning, restarts and the passing of time. After each of them the rows in SQL, the answers and
 * /metrics equal those of the model. A failure prints the seed and the shortest sequence found.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Event, Reference } from "../reference.ts";
import { runs } from "../runs.ts";
import { type Draft, draft, eventOf, type Framing, framed, framing, written } from "./generators.ts";
import { LIMITS, Subject } from "./subject.ts";

const RUNS = 15;
const COMMANDS_MAX = 25;
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** The start time of a run: mid-morning of some day. */
const BEGIN_MS = Date.UTC(2024, 2, 5, 10, 30, 17, 250);

interface World {
  readonly reference: Reference;
  nowMs: number;
  /** Pushes so far, to be repeated. */
  readonly sent: Sent[];
}

interface Sent {
  readonly key?: string;
  readonly events: readonly Event[];
  readonly lines: readonly string[];
  readonly framing: Framing;
  readonly extraLabels: Readonly<Record<string, string>>;
}

type Step = fc.AsyncCommand<World, Subject>;

/** Checked after each step: SQL and /metrics return what the reference returns. */
async function compare({ reference, nowMs }: World, subject: Subject): Promise<void> {
  expect(await subject.rows()).toEqual(Subject.expectedRows(reference));
  const { must, may } = reference.exposition(nowMs);
  const shown = await subject.exposition();
  const expected = new Map([...must, ...[...may].filter(([line]) => shown.has(line))]);
  expect(inOrder(shown)).toEqual(inOrder(expected));
}

function inOrder(lines: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...lines].sort(([a], [b]) => (a < b ? -1 : 1)));
}

abstract class Command implements Step {
  check(_: Readonly<World>): boolean {
    return true;
  }

  async run(world: World, subject: Subject): Promise<void> {
    await this.act(world, subject);
    await compare(world, subject);
  }

  protected abstract act(world: World, subject: Subject): Promise<void>;
  abstract toString(): string;
}

class Push extends Command {
  private readonly drafts: readonly Draft[];
  private readonly framing: Framing;
  private readonly keyed: boolean;
  private readonly extraLabels: Record<string, string>;

  constructor(
    drafts: readonly Draft[],
    framing: Framing,
    keyed: boolean,
    extraLabels: Record<string, string>,
  ) {
    super();
    this.drafts = drafts;
    this.framing = framing;
    this.keyed = keyed;
    this.extraLabels = extraLabels;
  }

  protected async act({ reference, nowMs, sent }: World, subject: Subject): Promise<void> {
    const { framing, extraLabels } = this;
    const events = this.drafts.map((each) => eventOf(each, nowMs));
    const lines = events.map((event, index) => written(event, this.drafts[index]!.spelling));
    const key = this.keyed ? `key-${sent.length}` : undefined;
    sent.push({ key, events, lines, framing, extraLabels });
    const push = () => reference.push(events, nowMs, { extraLabels });
    const expected = key ? reference.pushOnce(key, lines.join("\n"), nowMs, push) : push();
    expect((await subject.push(framed(lines, framing), { key, extraLabels })).answer).toEqual(expected);
  }

  toString(): string {
    return `Push(${JSON.stringify([this.drafts, this.framing, this.keyed, this.extraLabels])})`;
  }
}

/** A repeat of a push with a key, with the same or another body. */
class Repeat extends Command {
  private readonly which: number;
  private readonly changed: boolean;

  constructor(which: number, changed: boolean) {
    super();
    this.which = which;
    this.changed = changed;
  }

  // After 24 hours a key can be used again. Another command tests that.
  override check({ sent, reference, nowMs }: Readonly<World>): boolean {
    const key = sent[this.which % sent.length]?.key;
    return key !== undefined && reference.knows(key, nowMs);
  }

  protected async act({ reference, nowMs, sent }: World, subject: Subject): Promise<void> {
    const { key, lines, framing, extraLabels } = sent[this.which % sent.length]!;
    const body = this.changed ? [...lines, ...lines] : lines;
    const expected = reference.pushOnce(key!, body.join("\n"), nowMs, () => {
      throw new Error("the key is known");
    });
    const actual = await subject.push(framed(body, framing), { key, extraLabels });
    expect(actual.answer).toEqual(expected);
    if (expected !== "unprocessable") expect(actual.duplicate).toBe(true);
  }

  toString(): string {
    return `Repeat(${this.which}, ${this.changed})`;
  }
}

/** A repeat of a push without a key: the same samples at the same times. */
class Again extends Command {
  private readonly which: number;

  constructor(which: number) {
    super();
    this.which = which;
  }

  override check({ sent }: Readonly<World>): boolean {
    return sent.length > 0;
  }

  protected async act({ reference, nowMs, sent }: World, subject: Subject): Promise<void> {
    const { events, lines, framing, extraLabels } = sent[this.which % sent.length]!;
    const expected = reference.push(events, nowMs, { extraLabels });
    expect((await subject.push(framed(lines, framing), { extraLabels })).answer).toEqual(expected);
  }

  toString(): string {
    return `Again(${this.which})`;
  }
}

/** Lines of a file, as `weir import` sends them: never live. */
class Import extends Command {
  private readonly drafts: readonly Draft[];

  constructor(drafts: readonly Draft[]) {
    super();
    this.drafts = drafts;
  }

  protected async act({ reference, nowMs }: World, subject: Subject): Promise<void> {
    const events = this.drafts.map((each) => eventOf(each, nowMs));
    const lines = events.map((event, index) => written(event, this.drafts[index]!.spelling));
    const expected = reference.push(events, nowMs, { historical: true });
    expect(await subject.import(lines)).toEqual(expected);
  }

  toString(): string {
    return `Import(${JSON.stringify(this.drafts)})`;
  }
}

class Wait extends Command {
  private readonly ms: number;

  constructor(ms: number) {
    super();
    this.ms = ms;
  }

  protected async act(world: World, subject: Subject): Promise<void> {
    world.nowMs += this.ms;
    subject.clock.nowMs = world.nowMs;
  }

  toString(): string {
    return `Wait(${this.ms / SECOND} s)`;
  }
}

class Prune extends Command {
  protected async act({ reference, nowMs }: World, subject: Subject): Promise<void> {
    reference.prune(nowMs);
    await subject.prune();
  }

  toString(): string {
    return "Prune";
  }
}

/** A stop and a start, or a start on a copy of the file that was taken while the gateway ran, as a kill leaves it. */
class Restart extends Command {
  private readonly killed: boolean;

  constructor(killed: boolean) {
    super();
    this.killed = killed;
  }

  protected async act({ reference, nowMs }: World, subject: Subject): Promise<void> {
    await subject.restart(this.killed);
    if (this.killed) reference.kill();
    reference.prune(nowMs);
    // The other views and the other format are checked now and then.
    expect(await subject.exposition("openmetrics")).toEqual(await subject.exposition());
    expect(await subject.series()).toEqual(Subject.expectedSeries(reference));
    for (const metric of new Set(reference.rows.map((row) => row.metric)))
      expect(await subject.metricRows(metric)).toEqual(Subject.expectedMetricRows(reference, metric));
  }

  toString(): string {
    return this.killed ? "Restart(killed)" : "Restart(stopped)";
  }
}

const drafts = fc.array(draft, { minLength: 1, maxLength: 16, size: "max" });
const extraLabels = fc.constantFrom<Record<string, string>[]>(
  {},
  {},
  { instance: "w9" },
  { job: "crawler", region: "north" },
);

const commands = fc.commands(
  [
    fc.tuple(drafts, framing, fc.boolean(), extraLabels).map((each) => new Push(...each)),
    fc.tuple(drafts, framing, fc.boolean(), extraLabels).map((each) => new Push(...each)),
    fc.tuple(drafts, framing, fc.boolean(), extraLabels).map((each) => new Push(...each)),
    fc.tuple(fc.nat(9), fc.boolean()).map((each) => new Repeat(...each)),
    fc.nat(9).map((each) => new Again(each)),
    drafts.map((each) => new Import(each)),
    // Odd times, so that no sum of them equals a limit (5 minutes, 24 hours) exactly.
    fc
      .constantFrom(37, 251, 433, 2_819, 3 * 3_600 + 7, 25 * 3_600 + 11, 73 * 3_600 + 13)
      .map((s) => new Wait(s * SECOND)),
    fc.constant(new Prune()),
    fc.boolean().map((each) => new Restart(each)),
  ],
  { maxCommands: COMMANDS_MAX, size: "max" },
);

test(
  "rows, answers and /metrics are those of the reference, whatever happens",
  async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const world: World = { reference: new Reference(LIMITS), nowMs: BEGIN_MS, sent: [] };
        const subject = await Subject.open(BEGIN_MS);
        try {
          await fc.asyncModelRun(() => ({ model: world, real: subject }), steps);
        } finally {
          await subject.close();
        }
      }),
      {
        ...runs(RUNS),
        // A slow machine makes fewer runs, and a failure is shortened for no longer than this.
        interruptAfterTimeLimit: Number(process.env.WEIR_TEST_MS ?? 60 * SECOND),
      },
    );
  },
  { timeout: HOUR },
);
