// A session with ioredis: arguments are the port, and who makes the pipelines.
const assert = require("node:assert/strict");
const readline = require("node:readline");
const Redis = require("ioredis");

const [port, pipelining] = [Number(process.argv[1]), process.argv[2]];
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function connect(options = {}) {
  const client = new Redis({
    port,
    enableAutoPipelining: pipelining === "auto",
    retryStrategy: (times) => Math.min(times * 20, 200),
    maxRetriesPerRequest: 100,
    ...options,
  });
  client.on("error", () => {}); // told for each attempt while the server is away
  return client;
}

async function strings(redis) {
  assert.equal(await redis.ping(), "PONG");
  assert.equal(await redis.set("greeting", "hello"), "OK");
  assert.equal(await redis.get("greeting"), "hello");
  assert.equal(await redis.get("nothing"), null);
  assert.equal(await redis.set("greeting", "x", "NX"), null);
  assert.equal(await redis.set("greeting", "bye", "GET"), "hello");
  assert.equal(await redis.incrby("count", 41), 41);
  assert.equal(await redis.incr("count"), 42);
  assert.equal(await redis.append("text", "abc"), 3);
  assert.equal(await redis.mset({ a: 1, b: 2, c: 3 }), "OK");
  assert.deepEqual(await redis.mget("a", "b", "nothing"), ["1", "2", null]);
  assert.equal(await redis.msetnx({ a: 1, z: 2 }), 0);
  assert.deepEqual(await redis.getBuffer("text"), Buffer.from("abc"));
  const bytes = Buffer.from([0, 255, 13, 10, 128]);
  await redis.set("bytes", bytes);
  assert.deepEqual(await redis.getBuffer("bytes"), bytes);
  await assert.rejects(redis.incr("greeting"), /not an integer/);
}

async function keys(redis) {
  assert.equal(await redis.exists("a", "b", "z"), 2);
  assert.equal(await redis.rename("a", "renamed"), "OK");
  assert.equal(await redis.copy("renamed", "copied"), 1);
  assert.equal(await redis.type("copied"), "string");
  assert.equal(await redis.expire("copied", 100), 1);
  const ttl = await redis.ttl("copied");
  assert.ok(ttl > 0 && ttl <= 100, `${ttl}`);
  assert.equal(await redis.persist("copied"), 1);
  assert.equal(await redis.del("copied", "renamed", "nothing"), 2);
  assert.deepEqual((await redis.keys("*e*")).sort(), ["bytes", "greeting", "text"]);
  const seen = new Set();
  for await (const batch of redis.scanStream({ match: "*", count: 2 })) {
    batch.forEach((key) => seen.add(key));
  }
  assert.deepEqual([...seen].sort(), ["b", "bytes", "c", "count", "greeting", "text"]);
  assert.equal(await redis.dbsize(), 6);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.set(`p${i}`, i);
  for (let i = 0; i < 1000; i++) pipeline.get(`p${i}`);
  pipeline.incr("greeting");
  const replies = await pipeline.exec();
  assert.equal(replies.length, 2001);
  replies.slice(0, 1000).forEach((reply) => assert.deepEqual(reply, [null, "OK"]));
  replies.slice(1000, 2000).forEach((reply, i) => assert.deepEqual(reply, [null, `${i}`]));
  assert.match(replies[2000][0].message, /not an integer/);
  const together = await Promise.all(Array.from({ length: 500 }, (_, i) => redis.get(`p${i}`)));
  together.forEach((reply, i) => assert.equal(reply, `${i}`));
}

async function crowd() {
  const clients = Array.from({ length: 8 }, () => connect());
  await Promise.all(clients.map(async (client) => {
    for (let i = 0; i < 100; i++) await client.incr("shared");
  }));
  assert.equal(await clients[0].get("shared"), "800");
  await Promise.all(clients.map((client) => client.quit()));
}

async function settings() {
  const other = connect({ db: 3, connectionName: "tester" });
  assert.equal(await other.get("greeting"), null);
  await other.set("greeting", "three");
  assert.equal(await other.client("GETNAME"), "tester");
  assert.equal(await other.dbsize(), 1);
  assert.deepEqual(await other.config("GET", "appendonly"), ["appendonly", "yes"]);
  assert.match(await other.info("server"), /redis_mode:standalone/);
  assert.ok((await other.client("LIST")).includes("name=tester"));
  return other;
}

// The server is killed and comes back: both clients find it again, in their database and under their name.
async function restart(redis, other) {
  const reconnected = new Promise((resolve) => other.once("reconnecting", resolve));
  console.log("restart");
  await answers.next();
  await reconnected;
  assert.equal(await redis.get("count"), "42");
  assert.equal(await redis.get("shared"), "800");
  assert.equal(await redis.get("p999"), "999");
  assert.deepEqual(await redis.getBuffer("bytes"), Buffer.from([0, 255, 13, 10, 128]));
  assert.equal(await other.get("greeting"), "three");
  assert.equal(await other.client("GETNAME"), "tester");
  assert.equal(await other.incr("after"), 1);
}

async function main() {
  const redis = connect();
  await redis.flushall();
  await strings(redis);
  await keys(redis);
  await pipelines(redis);
  await crowd();
  const other = await settings();
  await restart(redis, other);
  redis.disconnect();
  other.disconnect();
  console.log("all well");
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
