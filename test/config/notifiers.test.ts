/** The settings `notify` and `inhibit`: the example of the document, defaults, errors, and that no secret is printed. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatSetting, loadConfig } from "../../src/config/config.ts";
import { formatAlertMatcher } from "../../src/model/alerts/alert-matcher.ts";
import { NotificationTemplates } from "../../src/rules/notifications/texts/notification-templates.ts";

const load = (toml: string) => loadConfig([], {}, () => toml);
const DOCUMENT = readFileSync(
  join(import.meta.dir, "..", "..", "src", "rules", "notifications", "README.md"),
  "utf8",
);

test("the example of the document is valid, and has one notifier of each type", () => {
  const config = load(/```toml\n([\s\S]*?)```/.exec(DOCUMENT)![1]!);
  expect(config.notify.map(({ name, target }) => [name, target.type])).toEqual([
    ["chat", "slack"],
    ["phone", "ntfy"],
    ["mail", "email"],
    ["bridge", "webhook"],
    ["script", "exec"],
    ["am-1", "alertmanager"],
    ["am-2", "alertmanager"],
  ]);
  expect(config.notify[1]).toMatchObject({
    groupBy: ["alertname", "instance"],
    groupWaitMs: 10_000,
    groupIntervalMs: 300_000,
    repeatIntervalMs: 3_600_000,
    sendResolved: true,
    continues: true,
    timeoutMs: 10_000,
    target: { url: { text: "https://ntfy.example.org/ops" }, priority: 5, tags: [] },
  });
  expect(config.notify[2]!.matchers.map(formatAlertMatcher)).toEqual(['team=~"ops|db"', 'severity!="info"']);
  expect(config.notify[2]!.target).toMatchObject({
    host: "mail.example.org",
    port: 587,
    isTls: false,
    requireTls: true,
    to: ["ops@example.org"],
    password: { file: "/etc/weir/smtp-password" },
  });
  expect(config.inhibit[0]!.equal).toEqual(["instance"]);
  expect(() => new NotificationTemplates(config.notify)).not.toThrow();
});

test("every key of the document is read, and no other", () => {
  const table = /\| key \| default \| \|\n([\s\S]*?)\n\n/.exec(DOCUMENT)![1]!;
  const keys = [...table.matchAll(/^\| ([^|]*) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([\w]+)`/g)].map(([, key]) => key!),
  );
  expect(keys).toContain("repeat_interval");
  const types = ["alertmanager", "webhook", "slack", "ntfy", "email", "exec"];
  const isKnown = (key: string) =>
    types.some((type) => {
      try {
        load(`[[notify]]\nname = "a"\ntype = "${type}"\nurl = "http://h/t"\nfrom = "a@b"\n${key} = []`);
      } catch (error) {
        return !(error as Error).message.includes("is not a setting");
      }
      return true;
    });
  // `name`, `type` and `from` are given twice then, which is an error of TOML.
  expect(keys.filter((key) => !isKnown(key))).toEqual([]);
});

const webhook = '[[notify]]\nname = "a"\ntype = "webhook"\nurl = "http://127.0.0.1/x"\n';
const bad = (toml: string, message: string) =>
  test(`${JSON.stringify(toml.slice(0, 90))} is rejected`, () => {
    expect(() => load(toml)).toThrow(message);
  });

describe("errors", () => {
  bad("notify = 1", "notify in weir.toml is 1, expected tables [[notify]]");
  bad('[[notify]]\ntype = "webhook"', "name of notify in weir.toml (number 1) is missing.");
  bad(
    '[[notify]]\nname = "a"',
    'type of notify in weir.toml ("a") is missing, expected one of alertmanager,',
  );
  bad('[[notify]]\nname = "a"\ntype = "pager"', 'is "pager", expected one of alertmanager, webhook, slack');
  bad('[[notify]]\nname = "a"\ntype = "webhook"', 'url of notify in weir.toml ("a") is missing.');
  bad(`${webhook}url_file = "/f"`, "and url_file are both given");
  bad(
    `${webhook}group_wit = "1s"`,
    'group_wit of notify in weir.toml ("a") is not a setting; did you mean group_wait?',
  );
  bad(
    `${webhook}group_wait = "soon"`,
    'group_wait of notify in weir.toml ("a") is "soon", expected a duration from 0s to 1d',
  );
  bad(`${webhook}repeat_interval = "0s"`, "expected a duration from 1s to 1y");
  bad(`${webhook}matchers = ["a"]`, 'matchers of notify in weir.toml ("a") is invalid: "a" is not a matcher');
  bad(`${webhook}matchers = ['a=~"("']`, "is not a regular expression");
  bad(`${webhook}group_by = ["...", "a"]`, 'has "..." and other labels');
  bad(`${webhook}group_by = ["a b"]`, 'has "a b", expected names of labels');
  bad(`${webhook}title = "x"`, 'title of notify in weir.toml ("a") is not a setting');
  bad(`${webhook}${webhook}`, 'notify in weir.toml has two tables with the name "a", expected one.');
  bad(
    '[[notify]]\nname = "a"\ntype = "webhook"\nurl = "file:///etc/passwd"',
    "expected http://HOST:PORT/PATH",
  );
  bad('[[notify]]\nname = "a"\ntype = "webhook"\nurl = "http://u:hush@h/"', "expected them in basic_auth");
  bad('[[notify]]\nname = "a"\ntype = "ntfy"\nurl = "http://h/"', "whose path ends with a topic");
  bad(
    '[[notify]]\nname = "a"\ntype = "exec"\ncommand = ["x"]',
    'is "x", expected the absolute path of a program',
  );
  bad(
    '[[notify]]\nname = "a"\ntype = "email"\nurl = "smtp://h"\nfrom = "a@b"\nto = ["x"]',
    'to of notify in weir.toml ("a") is "x", expected an address',
  );
  bad(
    '[[notify]]\nname = "a"\ntype = "email"\nurl = "smtp://h"\nfrom = "a@b\\nBcc: c@d"\nto = ["x@y"]',
    "expected an address",
  );
  bad(
    '[[notify]]\nname = "a"\ntype = "email"\nurl = "smtp://h"\nfrom = "a@b"\nto = ["x@y"]\nusername = "u"',
    "expected both",
  );
  bad(
    '[[inhibit]]\nsource_matchers = ["a=b"]',
    "target_matchers of inhibit in weir.toml (number 1) is missing",
  );
  bad(
    '[[inhibit]]\nsource_matchers = ["a=b"]\ntarget_matchers = ["a=b"]\nequals = []',
    "did you mean equal?",
  );

  test("no error and no listing of the settings has a secret", () => {
    const secret = "hush-5b1c";
    const texts = [
      `url = "http://h/${secret}"\nbearer_token = "${secret}"`,
      `url = "http://h/${secret}"\nbasic_auth = { username = "u", password = "${secret}" }`,
    ].map((rest) => formatSetting(load(`[[notify]]\nname = "a"\ntype = "slack"\n${rest}`), "notify"));
    expect(texts).toEqual(["a=slack:http://h", "a=slack:http://h"]);
    for (const rest of [
      `url = "${secret}"`,
      `url = "http://u:${secret}@h"`,
      `bearer_token = ["${secret}"]`,
    ]) {
      try {
        load(`[[notify]]\nname = "a"\ntype = "slack"\n${rest}`);
        throw new Error("it was accepted");
      } catch (error) {
        expect((error as Error).message).not.toContain(secret);
      }
    }
    expect(() => loadConfig([`--notify=http://h/${secret}`], {}, () => undefined)).toThrow(
      "--notify is a text, expected tables [[notify]] in weir.toml.",
    );
  });
});
