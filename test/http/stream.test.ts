/** When an answer was sent: at once, with the end of its body, when its body fails, or when its client leaves. */
import { expect, test } from "bun:test";
import { isStream, streamResponse, whenSent } from "../../src/http/stream.ts";

/** An answer whose body the test writes, as it is sent. */
function watched() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  let cancelled: unknown;
  const body = new ReadableStream<Uint8Array>(
    {
      start(made) {
        controller = made;
      },
      cancel(reason) {
        cancelled = reason;
      },
    },
    { highWaterMark: 1 },
  );
  let ends = 0;
  const answer = whenSent(streamResponse(body, { "content-type": "text/csv" }), () => ends++) as Response;
  return { controller, answer, ends: () => ends, cancelled: () => cancelled };
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("a complete answer is sent at once, and stays the same object", () => {
  const answer = new Response("x");
  let ends = 0;
  expect(whenSent(answer, () => ends++)).toBe(answer);
  expect(whenSent("no answer", () => ends++)).toBe("no answer");
  expect(ends).toBe(2);
});

test("a stream is sent when its body was read to the end, with its status, headers and mark", async () => {
  const { controller, answer, ends } = watched();
  expect([answer.status, answer.headers.get("content-type"), isStream(answer)]).toEqual([
    200,
    "text/csv",
    true,
  ]);
  controller.enqueue(bytes("a"));
  const reader = answer.body!.getReader();
  expect((await reader.read()).value).toEqual(bytes("a"));
  expect(ends()).toBe(0);
  controller.enqueue(bytes("b"));
  controller.close();
  expect((await reader.read()).value).toEqual(bytes("b"));
  expect((await reader.read()).done).toBe(true);
  expect(ends()).toBe(1);
});

test("a client that leaves ends it, and cancels the body", async () => {
  const { controller, answer, ends, cancelled } = watched();
  controller.enqueue(bytes("a"));
  await answer.body!.cancel("gone");
  expect([ends(), cancelled()]).toEqual([1, "gone"]);
});

test("a body that fails while nobody reads ends it, and fails for the client", async () => {
  const { controller, answer, ends } = watched();
  const reader = answer.body!.getReader();
  controller.error(new Error("the client read nothing"));
  expect(await reader.closed.catch(String)).toBe("Error: the client read nothing");
  expect(ends()).toBe(1);
  expect(await reader.read().catch(String)).toBe("Error: the client read nothing");
});
