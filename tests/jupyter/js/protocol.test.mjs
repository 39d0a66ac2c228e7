import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, MAX_REQUEST_CHARACTERS, PROTOCOL_VERSION } from "../../../sam2_jupyter/js/protocol.mjs";

function connected(options = {}) {
  const sent = [];
  const links = [];
  const events = [];
  const client = new Client((message) => sent.push(message), {
    view: "a", patience: 15, onLink: (link) => links.push(link), onEvent: (...event) => events.push(event), ...options,
  });
  const answer = (id, type, rest = {}) => client.receive({ v: PROTOCOL_VERSION, type, view: "a", id, ...rest }, rest.buffers ?? []);
  return { client, sent, links, events, answer };
}
const until = async (condition) => {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.ok(condition());
};

test("each answer goes to its request, in any order", async () => {
  const { client, sent, answer } = connected();
  const first = client.request("tile", { frame: 1 });
  const second = client.request("tile", { frame: 2 });
  assert.deepEqual(sent.map((message) => [message.v, message.view, message.id]), [[1, "a", 1], [1, "a", 2]]);
  answer(2, "ok", { payload: "two", buffers: [7] });
  answer(1, "ok", { payload: "one" });
  assert.equal((await first).payload, "one");
  assert.deepEqual(await second, { payload: "two", buffers: [7] });
  assert.ok(!client.isBusy);
  client.close();
});

test("answers to other views, and to requests that were given up, are left alone", async () => {
  const { client, sent, answer } = connected();
  const controller = new AbortController();
  const request = client.request("tile", {}, { signal: controller.signal });
  client.receive({ v: 1, type: "ok", view: "b", id: 1, payload: "wrong" });
  controller.abort();
  await assert.rejects(request, { name: "Cancelled" });
  assert.equal(sent.at(-1).kind, "cancel");
  answer(1, "ok", { payload: "late" });
  await assert.rejects(client.request("tile", {}, { signal: controller.signal }), { name: "Cancelled" });
  client.close();
});

test("an error says what it said in Python", async () => {
  const { client, answer } = connected();
  const request = client.request("draw");
  answer(1, "error", { error: { kind: "StateError", message: "no such object", details: "where" } });
  await assert.rejects(request, { name: "StateError", message: "no such object", details: "where" });
  client.close();
});

test("progress is told, and events are passed on with their number", async () => {
  const { client, events, answer } = connected();
  const told = [];
  const request = client.request("export", {}, { onProgress: (payload) => told.push(payload) });
  answer(1, "progress", { payload: 3 });
  client.receive({ v: 1, type: "event", kind: "changed", seq: 9, payload: { frames: [] } }, ["b"]);
  answer(1, "ok", { payload: {} });
  await request;
  assert.deepEqual(told, [3]);
  assert.deepEqual(events, [["changed", { frames: [] }, ["b"], 9]]);
  client.close();
});

test("a kernel that does not answer is waited for, and the wait ends when it does", async () => {
  const { client, links, answer } = connected();
  const request = client.request("hello");
  await until(() => links.includes("waiting"));
  answer(1, "ok", { payload: {} });
  await request;
  assert.deepEqual(links, ["waiting", "ok"]);
  client.close();
});

test("after a connection was cut, silence means that the kernel is gone", async () => {
  const { client, links } = connected();
  const request = client.request("draw");
  client.doubt();
  await assert.rejects(request, { name: "KernelGone" });
  assert.equal(links.at(-1), "gone");
  client.close();
});

test("a connection that cannot send is gone", () => {
  const links = [];
  const client = new Client(() => { throw new Error("closed"); }, { view: "a", onLink: (link) => links.push(link) });
  client.request("hello").catch(() => {});
  assert.deepEqual(links, ["gone"]);
  client.close();
});

test("too large a message is not sent", async () => {
  const { client, sent } = connected();
  await assert.rejects(client.request("draw", { points: "x".repeat(MAX_REQUEST_CHARACTERS) }), { name: "TooLarge" });
  assert.equal(sent.length, 0);
  client.close();
});

test("another version of the protocol is told, and what makes no sense is left alone", async () => {
  const { client } = connected();
  const request = client.request("hello");
  client.receive(null);
  client.receive({ method: "something else" });
  client.receive({ v: 99, type: "ok", view: "a", id: 1 });
  await assert.rejects(request, { name: "VersionError" });
  client.close();
});
