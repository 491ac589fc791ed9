/** Passwords of the users of web.yml. The hashes have the lowest cost, so that the tests are fast. */
import { describe, expect, spyOn, test } from "bun:test";
import { WebUsers } from "../../src/web-config/web-users.ts";

const hashOf = (password: string) => Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });

async function usersWith(passwords: Readonly<Record<string, string>>): Promise<WebUsers> {
  const users = new WebUsers();
  const pairs = Object.entries(passwords).map(
    async ([user, password]): Promise<[string, string]> => [user, await hashOf(password)],
  );
  users.set(new Map(await Promise.all(pairs)));
  return users;
}

describe("a password", () => {
  test("is right for its user only", async () => {
    const users = await usersWith({ alice: "right", bob: "other" });
    expect(await users.check("alice", "right")).toBe(true);
    expect(await users.check("alice", "other")).toBe(false);
    expect(await users.check("alice", "")).toBe(false);
    expect(await users.check("bob", "right")).toBe(false);
    expect(await users.check("carol", "right")).toBe(false);
    expect(await users.check("", "right")).toBe(false);
  });

  test("is hashed by htpasswd as $2y$, which is accepted", async () => {
    // htpasswd -nbBC 4 alice weir
    const users = new WebUsers();
    users.set(new Map([["alice", "$2y$04$ze4CCRcFXrnmTjGTC.M8EeXadCrZvpE14AT56EdRWcyo7ojXvVEPG"]]));
    expect(await users.check("alice", "weir")).toBe(true);
  });

  test("counts up to 72 bytes, as with bcrypt in Go", async () => {
    const users = await usersWith({ alice: "x".repeat(72) });
    expect(await users.check("alice", "x".repeat(72))).toBe(true);
    expect(await users.check("alice", `${"x".repeat(72)}more`)).toBe(true);
    expect(await users.check("alice", "x".repeat(71))).toBe(false);
  });

  test("is compared once: the result is remembered, right or wrong", async () => {
    const users = await usersWith({ alice: "right" });
    const verify = spyOn(Bun.password, "verify");
    try {
      for (const [password, result] of [
        ["right", true],
        ["wrong", false],
      ] as const) {
        const first = users.check("alice", password);
        expect(first).toBeInstanceOf(Promise);
        // Those that arrive before the first is done wait for it.
        expect(await Promise.all([first, users.check("alice", password)])).toEqual([result, result]);
        expect(users.check("alice", password)).toBe(result);
      }
      expect(verify).toHaveBeenCalledTimes(2);
    } finally {
      verify.mockRestore();
    }
  });

  test("that was changed or removed is not remembered as right", async () => {
    const users = await usersWith({ alice: "old", bob: "bob" });
    expect(await users.check("alice", "old")).toBe(true);
    users.set(new Map([["alice", await hashOf("new")]]));
    expect(await users.check("alice", "old")).toBe(false);
    expect(await users.check("alice", "new")).toBe(true);
    expect(await users.check("bob", "bob")).toBe(false);
    users.set(new Map());
    expect(await users.check("alice", "new")).toBe(false);
  });
});

test("an unknown user costs a comparison too", async () => {
  const users = await usersWith({ alice: "right" });
  const verify = spyOn(Bun.password, "verify");
  try {
    expect(await users.check("nobody", "right")).toBe(false);
    expect(verify).toHaveBeenCalledTimes(1);
    expect(users.check("nobody", "right")).toBe(false);
  } finally {
    verify.mockRestore();
  }
});

test("one comparison runs at a time, and past 64 that wait, further ones are rejected", async () => {
  const users = await usersWith({ alice: "right" });
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const verify = spyOn(Bun.password, "verify").mockImplementation(async () => {
    running += 1;
    most = Math.max(most, running);
    await gate.promise;
    running -= 1;
    return false;
  });
  try {
    const checks = Array.from({ length: 66 }, (_, at) =>
      Promise.resolve(users.check("alice", `guess ${at}`)).then(
        String,
        (error) => `${error.status} ${error.code}`,
      ),
    );
    expect(await checks[65]).toBe("429 busy");
    gate.resolve();
    expect(await Promise.all(checks.slice(0, 65))).toEqual(Array(65).fill("false"));
    expect(most).toBe(1);
  } finally {
    verify.mockRestore();
  }
});

test("wrong passwords do not displace right ones", async () => {
  const users = await usersWith({ alice: "right" });
  expect(await users.check("alice", "right")).toBe(true);
  const verify = spyOn(Bun.password, "verify").mockResolvedValue(false);
  try {
    for (let at = 0; at < 1_500; at++) await users.check("alice", `guess ${at}`);
    expect(users.check("alice", "right")).toBe(true);
    expect(users.check("alice", "guess 1499")).toBe(false);
    expect(users.check("alice", "guess 0")).toBeInstanceOf(Promise);
  } finally {
    verify.mockRestore();
  }
});
