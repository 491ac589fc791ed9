/**
 * Grouping, deduplication, repetition, silences and inhibition over hours of simulated time. The times are worked out by
 * hand from Alertmanager's rules: a group is due group_wait after its first alert, and then each group_interval.
 */
import { describe, expect, test } from "bun:test";
import { parseAlertMatchers } from "../../../src/model/alerts/alert-matcher.ts";
import { HOUR, inhibit, MINUTE, NOON, notifier, SECOND, Simulation } from "./simulated-time.ts";

const silence = (text: string, startsAt: number, endsAt: number) => ({
  matchers: parseAlertMatchers(text),
  startsAt,
  endsAt,
  createdBy: "me",
  comment: "test",
});

describe("a group", () => {
  test("is sent group_wait after its first alert, with all alerts until then", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=b");
    time.run(20 * SECOND);
    time.fire("Hot instance=a");
    time.run(HOUR);
    expect(time.take()).toEqual([[30, "n", ["Hot a", "Hot b"]]]);
  });

  test("is sent at the next group_interval when an alert begins or ends, and not in between", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    // Due at 30, 330, 630, 930 …
    time.run(40 * SECOND);
    time.fire("Hot instance=b");
    time.run(360 * SECOND);
    expect(time.take()).toEqual([
      [30, "n", ["Hot a"]],
      [330, "n", ["Hot a", "Hot b"]],
    ]);
    time.resolve("Hot instance=a");
    time.run(10 * MINUTE);
    // The resolved alert alone is a reason once, although its sender repeats it for 15 minutes.
    expect(time.take()).toEqual([[630, "n", ["-Hot a", "Hot b"]]]);
    time.resolve("Hot instance=b");
    time.run(30 * MINUTE);
    expect(time.take()).toEqual([[1230, "n", ["-Hot a", "-Hot b"]]]);
  });

  test("has one group for each value of group_by, and one for all alerts without it", () => {
    const time = new Simulation([
      notifier({ name: "by name" }),
      notifier({ name: "together", groupBy: [] }),
      notifier({ name: "each", groupBy: "all" }),
    ]);
    time.fire("Hot instance=a");
    time.fire("Hot instance=b");
    time.fire("Full instance=a");
    time.run(MINUTE);
    expect(time.take()).toEqual([
      [30, "by name", ["Hot a", "Hot b"]],
      [30, "by name", ["Full a"]],
      [30, "together", ["Full a", "Hot a", "Hot b"]],
      [30, "each", ["Hot a"]],
      [30, "each", ["Hot b"]],
      [30, "each", ["Full a"]],
    ]);
  });

  test("is sent at once if its first alert began longer ago than group_wait", () => {
    const time = new Simulation([notifier()]);
    time.core.receive(
      [
        {
          labels: { alertname: "Old" },
          annotations: {},
          startsAt: NOON - MINUTE,
          endsAt: NOON + HOUR,
          generatorURL: "",
        },
      ],
      NOON,
    );
    time.run(MINUTE);
    expect(time.take()).toEqual([[0, "n", ["Old"]]]);
  });

  test("that is over before group_wait is never sent", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(10 * SECOND);
    time.resolve("Hot instance=a");
    time.run(HOUR);
    expect(time.take()).toEqual([]);
  });

  test("is repeated at the first group_interval after repeat_interval has passed", () => {
    const time = new Simulation([notifier({ repeatIntervalMs: HOUR })]);
    time.fire("Hot instance=a");
    time.run(3 * HOUR);
    // Sent at 30. At 3,630 exactly an hour has passed, and not more, so the next one is at 3,930.
    expect(time.take().map(([at]) => at)).toEqual([30, 3_930, 7_830]);
  });

  test("with an alert that nobody sends again is resolved when its time is over", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.abandon("Hot instance=a");
    time.run(HOUR);
    // Last sent at 60, valid for 4 minutes: over at 300, before the group is due at 330.
    expect(time.take()).toEqual([
      [30, "n", ["Hot a"]],
      [330, "n", ["-Hot a"]],
    ]);
  });

  test("waits group_wait again when all of its alerts have ended", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.resolve("Hot instance=a");
    // The sender repeats resolved alerts for 15 minutes.
    time.run(30 * MINUTE);
    time.take();
    time.fire("Hot instance=a");
    time.run(MINUTE);
    expect(time.take()).toEqual([[1890, "n", ["Hot a"]]]);
  });

  test("without send_resolved is sent for new alerts only, also after all have ended", () => {
    const time = new Simulation([notifier({ sendResolved: false })]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.resolve("Hot instance=a");
    time.run(10 * MINUTE);
    time.fire("Hot instance=a");
    time.run(10 * MINUTE);
    expect(time.take().map(([, , alerts]) => alerts)).toEqual([["Hot a"], ["Hot a"]]);
  });

  test("that could not be sent is sent at its next time, with what is true then", () => {
    const time = new Simulation([notifier()]);
    time.isUp = false;
    time.fire("Hot instance=a");
    time.fire("Hot instance=b");
    time.run(6 * MINUTE);
    time.resolve("Hot instance=b");
    time.isUp = true;
    time.run(HOUR);
    expect(time.take()).toEqual([[630, "n", ["Hot a", "-Hot b"]]]);
  });

  test("whose end could not be sent is sent later, although the alert was known to be firing", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.isUp = false;
    time.resolve("Hot instance=a");
    time.run(10 * HOUR);
    time.isUp = true;
    time.run(5 * MINUTE);
    expect(time.take()).toEqual([
      [30, "n", ["Hot a"]],
      [36_330, "n", ["-Hot a"]],
    ]);
  });
});

describe("notifiers", () => {
  test("all get the alerts that match, unless one does not continue", () => {
    const time = new Simulation([
      notifier({ name: "critical" }, 'severity="critical"'),
      notifier({ name: "gpu", continues: false }, "{job=~gpu.*}"),
      notifier({ name: "rest" }),
    ]);
    time.fire("Hot job=gpu-1 severity=critical");
    time.fire("Slow job=web");
    time.run(MINUTE);
    expect(time.take()).toEqual([
      [30, "critical", ["Hot gpu-1 critical"]],
      [30, "gpu", ["Hot gpu-1 critical"]],
      [30, "rest", ["Slow web"]],
    ]);
  });

  test("keep apart the times of their groups", () => {
    const time = new Simulation([
      notifier({ name: "fast", groupWaitMs: 0, groupIntervalMs: 10 * SECOND, repeatIntervalMs: MINUTE }),
      notifier({ name: "slow" }),
    ]);
    time.fire("Hot instance=a");
    time.run(100 * SECOND);
    expect(time.take().map(([at, name]) => `${name} ${at}`)).toEqual(["fast 0", "slow 30", "fast 70"]);
  });
});

describe("a silence", () => {
  test("mutes the alerts that match from its start to its end", () => {
    const time = new Simulation([notifier()]);
    time.core.setSilence(silence("instance=a", NOON + MINUTE, NOON + HOUR), NOON);
    time.run(2 * MINUTE);
    time.fire("Hot instance=a");
    time.run(50 * MINUTE);
    expect(time.take()).toEqual([]);
    time.fire("Hot instance=b");
    time.run(10 * MINUTE);
    // Due at 150 + n · 300: the other alert at 3,150, and the silenced one at 3,750, after its end at 3,600.
    expect(time.take()).toEqual([[3_150, "n", ["Hot b"]]]);
    time.run(5 * MINUTE);
    expect(time.take()).toEqual([[3_750, "n", ["Hot a", "Hot b"]]]);
  });

  test("that is expired mutes no longer", () => {
    const time = new Simulation([notifier()]);
    const id = time.core.setSilence(silence('alertname=~"H.*"', NOON, NOON + HOUR), NOON);
    time.fire("Hot instance=a");
    time.run(2 * MINUTE);
    time.core.expireSilence(id, time.nowMs);
    time.run(5 * MINUTE);
    expect(time.take()).toEqual([[330, "n", ["Hot a"]]]);
    expect(() => time.core.expireSilence(id, time.nowMs)).toThrow("has expired already");
  });

  test("with negative matchers mutes alerts without the label", () => {
    const time = new Simulation([notifier()]);
    time.core.setSilence(silence('alertname="Hot",env!="prod",team!~"db|web"', NOON, NOON + HOUR), NOON);
    time.fire("Hot env=test");
    time.fire("Hot env=prod");
    time.fire("Hot team=web");
    time.run(MINUTE);
    expect(time.take()).toEqual([[30, "n", ["Hot prod", "Hot web"]]]);
  });

  test("is replaced when its matchers change, and changed in place when its end changes", () => {
    const { core } = new Simulation([]);
    const id = core.setSilence(silence("a=1", NOON, NOON + HOUR), NOON);
    expect(core.setSilence({ id, ...silence("a=1", NOON, NOON + 2 * HOUR) }, NOON + MINUTE)).toBe(id);
    expect(core.silences.get(id).endsAt).toBe(NOON + 2 * HOUR);
    const other = core.setSilence({ id, ...silence("a=2", NOON, NOON + 2 * HOUR) }, NOON + MINUTE);
    expect(other).not.toBe(id);
    expect(core.silences.get(id).endsAt).toBe(NOON + MINUTE);
    expect(core.silences.get(other).startsAt).toBe(NOON + MINUTE);
  });

  test.each([
    ["", 0, HOUR, "matchers is empty"],
    ['a=~".*"', 0, HOUR, "matchers match every alert"],
    ["a=1", HOUR, 0, "expected a time after startsAt"],
    ["a=1", -2 * HOUR, -HOUR, "expected a time in the future"],
  ])("with the matchers %p from %p to %p is rejected: %s", (text, from, to, message) => {
    const { core } = new Simulation([]);
    expect(() => core.setSilence(silence(text, NOON + from, NOON + to), NOON)).toThrow(message);
  });

  test("is forgotten five days after its end", () => {
    const { core } = new Simulation([]);
    const id = core.setSilence(silence("a=1", NOON, NOON + HOUR), NOON);
    core.prune(NOON + HOUR + 120 * HOUR - 1);
    expect(core.silences.get(id).comment).toBe("test");
    core.prune(NOON + HOUR + 120 * HOUR);
    expect(() => core.silences.get(id)).toThrow("There is no silence");
    expect(core.takeChanges()).toEqual([{ key: `silence/${id}`, definition: null }]);
  });
});

describe("inhibition", () => {
  test("mutes targets while a source with equal labels is firing", () => {
    const time = new Simulation(
      [notifier()],
      [inhibit("alertname=NodeDown", 'severity="warning"', ["instance"])],
    );
    time.fire("NodeDown instance=a");
    time.fire("Slow instance=a severity=warning");
    time.fire("Slow instance=b severity=warning");
    time.run(2 * MINUTE);
    expect(time.take()).toEqual([
      [30, "n", ["NodeDown a"]],
      [30, "n", ["Slow b warning"]],
    ]);
    time.resolve("NodeDown instance=a");
    time.run(5 * MINUTE);
    expect(time.take()).toEqual([
      [330, "n", ["-NodeDown a"]],
      [330, "n", ["Slow a warning", "Slow b warning"]],
    ]);
  });

  test("does not let alerts that match both sides mute each other", () => {
    const time = new Simulation(
      [notifier()],
      [inhibit("severity=~critical|warning", "severity=~critical|warning")],
    );
    time.fire("A severity=critical");
    time.fire("B severity=warning");
    time.run(MINUTE);
    expect(time.take().map(([, , alerts]) => alerts)).toEqual([["A critical"], ["B warning"]]);
  });

  test("takes an absent label as equal to an empty one", () => {
    const time = new Simulation([notifier()], [inhibit("alertname=A", "alertname=B", ["cluster"])]);
    time.fire("A x=1");
    time.fire("B x=2");
    time.run(MINUTE);
    expect(time.take()).toEqual([[30, "n", ["A 1"]]]);
  });
});

describe("after a kill", () => {
  test("nothing is sent twice that was logged, and the times of the groups go on", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(2 * MINUTE);
    time.kill();
    time.fire("Hot instance=b");
    time.run(10 * MINUTE);
    expect(time.take()).toEqual([
      [30, "n", ["Hot a"]],
      [330, "n", ["Hot a", "Hot b"]],
    ]);
  });

  test("an alert that waited for its group is sent", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(10 * SECOND);
    time.kill();
    time.run(MINUTE);
    // Its group waits again: nobody knows how long it had waited.
    expect(time.take()).toEqual([[40, "n", ["Hot a"]]]);
  });

  test("the end of an alert that ended during the outage of its receiver is sent, and nothing else is lost", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.isUp = false;
    time.resolve("Hot instance=a");
    time.run(HOUR);
    time.kill();
    time.isUp = true;
    time.run(MINUTE);
    expect(time.take().map(([, , alerts]) => alerts)).toEqual([["Hot a"], ["-Hot a"]]);
  });

  test("an alert is not taken for resolved because nobody could send it again", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.take();
    // The gateway is away for an hour.
    time.nowMs += HOUR;
    time.kill();
    time.run(20 * MINUTE);
    expect(time.take()).toEqual([]);
    time.resolve("Hot instance=a");
    time.run(10 * MINUTE);
    expect(time.take().map(([, , alerts]) => alerts)).toEqual([["-Hot a"]]);
  });

  test("an alert that ended because its sender is gone does not fire again", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.abandon("Hot instance=a");
    // It ended by itself after four or five minutes, and that was sent at the next time of its group.
    time.run(9 * MINUTE);
    expect(time.take()).toEqual([
      [30, "n", ["Hot a"]],
      [330, "n", ["-Hot a"]],
    ]);
    time.kill();
    time.run(HOUR);
    expect(time.take()).toEqual([]);
  });

  test("an alert that ended by itself while it was silenced does not fire again", () => {
    const time = new Simulation([notifier()]);
    time.core.setSilence(silence("instance=a", NOON, NOON + 10 * MINUTE), NOON);
    time.fire("Hot instance=a");
    time.abandon("Hot instance=a");
    time.run(9 * MINUTE);
    time.core.prune(time.nowMs);
    time.keep();
    time.nowMs += MINUTE;
    time.kill();
    time.run(HOUR);
    expect(time.take()).toEqual([]);
  });

  test("the end of an alert is sent that ended between a kill during its delivery and the next attempt", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(29 * SECOND);
    time.nowMs += SECOND;
    // The receiver gets it, and the process is killed before that is stored.
    expect(time.core.takeDue(time.nowMs)).toHaveLength(1);
    time.keep();
    time.kill();
    time.resolve("Hot instance=a");
    time.run(HOUR);
    expect(time.take().map(([, , alerts]) => alerts)).toEqual([["-Hot a"]]);
  });

  test("an alert that ended while its receiver was down is reported once", () => {
    const time = new Simulation([notifier()]);
    time.isUp = false;
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.resolve("Hot instance=a");
    time.run(HOUR);
    time.isUp = true;
    time.run(2 * HOUR);
    expect(time.take().map(([, , alerts]) => alerts)).toEqual([["-Hot a"]]);
  });

  test("silences and their ends are as they were", () => {
    const time = new Simulation([notifier()]);
    const id = time.core.setSilence(silence("instance=a", NOON, NOON + HOUR), NOON);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.kill();
    expect(time.core.silences.get(id)).toMatchObject({
      endsAt: NOON + HOUR,
      comment: "test",
      createdBy: "me",
    });
    time.run(HOUR);
    expect(time.take()).toHaveLength(1);
  });

  test("the records of alerts and groups that are over are deleted", () => {
    const time = new Simulation([notifier()]);
    time.fire("Hot instance=a");
    time.run(MINUTE);
    time.resolve("Hot instance=a");
    time.run(HOUR);
    expect([...time.stored.keys()]).toEqual(['sent/n/{}/{}:{alertname="Hot"}']);
    time.nowMs += 121 * HOUR;
    time.core.prune(time.nowMs);
    time.run(SECOND);
    expect([...time.stored.keys()]).toEqual([]);
  });
});

test("an Alertmanager gets each state of each alert that matches, silenced or not, in batches of 64", () => {
  const target = { type: "alertmanager", url: { text: "http://127.0.0.1:1" } } as const;
  const time = new Simulation([notifier({ target }, "alertname=Hot"), notifier({ name: "other" })]);
  time.core.setSilence(silence("alertname=Hot", NOON, NOON + HOUR), NOON);
  for (let host = 0; host < 70; host++) time.fire(`Hot host=${host}`);
  time.fire("Cold host=1");
  const queue = time.core.queues.get("n")!;
  expect(queue.size).toBe(70);
  const batch = queue.batch();
  expect(batch.map(({ labels }) => labels.host)).toEqual(Array.from({ length: 64 }, (_, host) => `${host}`));
  // One of them changes while the request is in progress.
  time.resolve("Hot host=3");
  queue.sent(batch);
  expect(queue.batch().map(({ labels }) => labels.host)).toEqual(["64", "65", "66", "67", "68", "69", "3"]);
});
