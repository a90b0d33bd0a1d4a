// Reads the connector's events from JetStream with nats.js, and appends each of them once to a file of JSON lines.
//
//     npm install @nats-io/transport-node @nats-io/jetstream
//     node consume.mjs events.jsonl
//
// The durable consumer stands in the server: the next start goes on where this one stopped. A message is acknowledged
// after it is on disk, so a crash in between brings it again; the file's own keys, (source, id), tell that it is there.
//
// The environment may name NATS_URL, STREAM, SUBJECT, DURABLE, ACK_WAIT (seconds), and UNTIL_IDLE=1, which ends it
// where nothing is left.

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, nanos } from "@nats-io/transport-node";

const { NATS_URL = "nats://127.0.0.1:4222", STREAM = "WHATSAPP", SUBJECT = "whatsapp.>", DURABLE = "dashboard" } =
  process.env;

// decode gives the event of a message in either of the connector's modes. JSON.parse rounds whole numbers beyond 2^53,
// which an item may have: read events.data: row, whose item is a text.
function decode(message) {
  const headers = new Map();
  for (const [name, [value]] of message.headers) headers.set(name.toLowerCase(), value);
  const type = headers.get("content-type");
  if (type.startsWith("application/cloudevents+json")) return message.json(); // structured: the body is the event
  const event = {};
  for (const [name, value] of headers) {
    if (name.startsWith("ce-")) event[name.slice(3)] = decodeURIComponent(value);
  }
  for (const flag of ["late", "repaired"]) {
    if (flag in event) event[flag] = event[flag] === "true";
  }
  return { ...event, datacontenttype: type, data: message.json() };
}

// knownKeys gives the keys of the events in the file, which is cut where a crash left half a line.
function knownKeys(path) {
  if (!existsSync(path)) return new Set();
  const content = readFileSync(path);
  const end = content.lastIndexOf("\n") + 1;
  truncateSync(path, end);
  const lines = content.subarray(0, end).toString().split("\n").slice(0, -1);
  return new Set(lines.map((line) => JSON.parse(line)).map((event) => `${event.source}|${event.id}`));
}

const path = process.argv[2];
const keys = knownKeys(path);
const file = openSync(path, "a");
const client = await connect({ servers: NATS_URL });
const manager = await jetstreamManager(client);
await manager.consumers.add(STREAM, {
  durable_name: DURABLE,
  filter_subject: SUBJECT, // events alone: checkpoints and quarantine lie outside of it
  deliver_policy: DeliverPolicy.All,
  ack_policy: AckPolicy.Explicit,
  ack_wait: nanos(1000 * Number(process.env.ACK_WAIT ?? 30)),
});
const consumer = await jetstream(client).consumers.get(STREAM, DURABLE);

let appended = 0;
let again = 0;
for (;;) {
  const batch = [];
  for await (const message of await consumer.fetch({ max_messages: 100, expires: 2000 })) {
    batch.push(message);
    if (message.info.pending === 0) break; // all that there is for now
  }
  if (batch.length === 0 && process.env.UNTIL_IDLE) break;
  for (const message of batch) {
    const event = decode(message);
    const key = `${event.source}|${event.id}`;
    if (keys.has(key)) {
      again++;
      continue;
    }
    keys.add(key);
    writeSync(file, JSON.stringify(event) + "\n");
    appended++;
  }
  fsyncSync(file);
  for (const message of batch) message.ack();
}
closeSync(file);
await client.drain();
console.log(`${appended} appended, ${again} were there already`);
