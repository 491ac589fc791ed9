/** The walker accepts what JSON.parse accepts, and reads the same values. */
import { describe, expect, test } from "bun:test";
import { JsonWalker, VALUE_BYTES_MAX } from "../../../src/wire/json/json-walker.ts";

/** Reads a body value by value: objects and lists are entered if they are larger than a byte. */
function read(text: string): unknown {
  const walker = new JsonWalker(Buffer.from(text));
  const value = readValue(walker);
  walker.end();
  return value;
}

function readValue(walker: JsonWalker): unknown {
  const first = walker.bytes[walker.at];
  if (first === 0x7b) {
    const members: Record<string, unknown> = {};
    for (let has = walker.enter("{"); has; has = walker.next("{")) members[walker.name()] = readValue(walker);
    return members;
  }
  if (first !== 0x5b) return walker.value();
  const items: unknown[] = [];
  for (let has = walker.enter("["); has; has = walker.next("[")) items.push(readValue(walker));
  return items;
}

describe("reads", () => {
  const ok = (text: string) => test(text, () => expect(read(text)).toEqual(JSON.parse(text)));
  ok("{}");
  ok("[]");
  ok(' { "a" : [ 1 , 2.5e3 , -0 ] , "b\\n\\u0041" : { } , "c" : "}]," } ');
  ok('[[[]],{"a":null},true,false,"x"]');
  ok('"only a text"');
  ok("12");
});

describe("rejects", () => {
  const bad = (text: string, message: string) =>
    test(text, () => {
      expect(() => JSON.parse(text)).toThrow();
      expect(() => read(text)).toThrow(`the body is not JSON: ${message}`);
    });
  bad("", "byte 0 is the end, where a JSON value was expected");
  bad("[1", "it ends where a comma or ] was expected");
  bad("[1,]", 'byte 3 has "]" where a JSON value was expected');
  bad("[1 2]", 'byte 3 has "2]" where a comma or ] was expected');
  bad('{"a" 1}', 'byte 5 has "1}" where a colon was expected');
  bad("{a:1}", 'byte 1 has "a:1}" where a name in quotation marks was expected');
  bad('{"a":1', "it ends where a comma or } was expected");
  bad('{"a":1}}', 'byte 7 has "}" where the end of the body was expected');
  bad("[01]", 'byte 1 has "01]" where a JSON value was expected');
  bad('["\\x"]', 'byte 2 has "\\\\x\\"]" where an escape such as \\n or \\u00e9 was expected');
});

test("a value that is too large to be parsed at once is rejected by its position", () => {
  const walker = new JsonWalker(Buffer.from(`[1,"${"x".repeat(VALUE_BYTES_MAX)}"]`));
  walker.enter("[");
  expect(walker.value()).toBe(1);
  walker.next("[");
  expect(() => walker.value()).toThrow("the value at byte 3 of the body has more than 1048576 bytes");
});

test("a list is large if it has more bytes than asked", () => {
  const walker = new JsonWalker(Buffer.from(`{"a":[${"1,".repeat(100)}1],"b":[]}`));
  walker.enter("{");
  walker.name();
  expect([walker.isLarge(100), walker.isLarge(1_000)]).toEqual([true, false]);
});
