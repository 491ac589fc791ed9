/**
 * Libraries that most starts never use, or not before the first request: each is loaded by the first call of its function, and
 * not when a module that may need it is loaded. `import()` would make every function that parses a text asynchronous.
 *
 * Modules of Node.js are libraries too. In Bun they are JavaScript that is compiled when it is loaded: node:crypto takes 5 ms
 * and 1.4 MB, node:http2 6 ms, node:zlib 2 ms and 1.2 MB, node:util 3 ms and 0.9 MB, node:stream, node:net, node:tls, node:dgram and
 * node:dns 1 to 2 ms each.
 */

export function nodeCrypto(): typeof import("node:crypto") {
  return require("node:crypto");
}

export function nodeZlib(): typeof import("node:zlib") {
  return require("node:zlib");
}

export function nodeHttp2(): typeof import("node:http2") {
  return require("node:http2");
}

export function nodeTls(): typeof import("node:tls") {
  return require("node:tls");
}

export function nodeDgram(): typeof import("node:dgram") {
  return require("node:dgram");
}

export function nodeNet(): typeof import("node:net") {
  return require("node:net");
}

export function nodeStream(): typeof import("node:stream") {
  return require("node:stream");
}

export function nodeDns(): typeof import("node:dns/promises") {
  return require("node:dns/promises");
}

/** Regular expressions of RE2's syntax, in time linear in the text. */
export function re2(): typeof import("re2js") {
  return require("re2js");
}

export function yaml(): typeof import("yaml") {
  return require("yaml");
}

export function toml(): typeof import("smol-toml") {
  return require("smol-toml");
}

/** Compression with snappy's block format. */
export function snappy(): typeof import("snappyjs") {
  return require("snappyjs");
}
