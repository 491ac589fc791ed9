/** Where a request carries a token, for each kind of client. */
import { expect, test } from "bun:test";
import { type CredentialPlace, presentedToken } from "../../src/access/credentials.ts";

const of = (headers: Record<string, string>, url = "/x", places: readonly CredentialPlace[] = []) =>
  presentedToken({ headers: new Headers(headers), url }, places);
const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString("base64")}` });

test("finds a token in Authorization and X-API-Key, whatever the case of the scheme", () => {
  expect(of({ authorization: "Bearer abc" })).toBe("abc");
  expect(of({ authorization: "bearer  abc " })).toBe("abc");
  expect(of({ authorization: "Token abc" })).toBe("abc");
  expect(of({ authorization: "Token user:abc" })).toBe("abc");
  expect(of(basic("any user:abc"))).toBe("abc");
  expect(of(basic(":abc"))).toBe("abc");
  expect(of({ "x-api-key": "abc" })).toBe("abc");
  expect(of({ authorization: "Bearer abc", "x-api-key": "def" })).toBe("abc");
});

test("finds none in what is no token", () => {
  for (const authorization of ["", "Bearer", "Bearer ", "abc", "Digest abc", "Basic !", "Basic YWJj"])
    expect(of({ authorization })).toBeUndefined();
  expect(of(basic("user:"))).toBeUndefined();
  expect(of({}, "/x?p=abc&api_key=abc")).toBeUndefined();
});

test("finds a token in the places that a protocol declares, in their order", () => {
  const places = [{ header: "dd-api-key" }, { query: "api_key" }];
  expect(of({ "dd-api-key": "abc" }, "/x?api_key=def", places)).toBe("abc");
  expect(of({}, "http://h/x?a=1&api_key=d%65f", places)).toBe("def");
  expect(of({}, "/x?api_key=", places)).toBeUndefined();
  expect(of({ authorization: "Bearer g" }, "/x?api_key=def", places)).toBe("g");
});

test("finds the cookie of the page for the port of the request, after all other places", () => {
  const cookie = "a=b; weir_token_9091=abc; weir_token=def";
  expect(of({ cookie, host: "edge:9091" })).toBe("abc");
  expect(of({ cookie, host: "[::1]:9091" })).toBe("abc");
  expect(of({ cookie, host: "edge" })).toBe("def");
  expect(of({ cookie, host: "edge:9092" })).toBeUndefined();
  expect(of({ cookie: "weir_token=", host: "edge" })).toBeUndefined();
  expect(of({ cookie, host: "edge", "x-api-key": "key" })).toBe("key");
});
