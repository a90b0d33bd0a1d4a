// Reads a topic of twochat-connector to its end with KafkaJS and the CloudEvents SDK: kafkajs.js BROKERS TOPIC GROUP
import { createHash } from 'node:crypto';
import { CloudEvent, Kafka as binding } from 'cloudevents';
import { Kafka, logLevel } from 'kafkajs';

const [brokers, topic, group] = process.argv.slice(2);

// The SDK wants headers that are texts; KafkaJS has buffers. And an event may have no time: then binding.toEvent throws
// in structured mode ("Invalid time value"), and any CloudEvent takes the time of now. So both are taken from here.
function read({ headers, key, value }) {
  const texts = Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, text.toString()]));
  if (texts['content-type'].startsWith('application/cloudevents')) {
    const attributes = JSON.parse(value.toString());
    return { event: new CloudEvent(attributes), time: attributes.time ?? null };
  }
  const event = binding.toEvent({ headers: texts, key: key.toString(), value: value.toString() });
  return { event, time: texts.ce_time ?? null };
}

function line(partition, record) {
  const { event, time } = read(record);
  return JSON.stringify({
    partition,
    offset: Number(record.offset),
    id: event.id, // with source: what to de-duplicate on
    source: event.source,
    type: event.type,
    subject: event.subject,
    sequence: event.sequence, // a text of 20 digits: as a number it would be rounded one day
    time,
    late: String(event.late) === 'true', // a Boolean in structured mode, a text in binary mode
    repaired: String(event.repaired) === 'true',
    data: event.data, // JSON.parse rounds whole numbers above 2^53: `events.data: row` has them as they came, in item
    sha256: createHash('sha256').update(record.value).digest('hex'),
  });
}

const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.ERROR });
const admin = kafka.admin();
await admin.connect();
const ends = new Map();
for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
  if (high !== low) ends.set(partition, Number(high));
}
await admin.disconnect();

const consumer = kafka.consumer({ groupId: group, readUncommitted: false }); // false is KafkaJS's default
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await new Promise((done, fail) => {
  // What passes, KafkaJS begins anew after by itself.
  consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || fail(payload.error));
  // After each batch, once its last message was handled, and for the markers of transactions, which come to no handler.
  // KafkaJS's own commit leaves these out, so that the lag of a group that has read everything would not be 0.
  consumer.on(consumer.events.END_BATCH_PROCESS, async ({ payload: { partition, lastOffset } }) => {
    const offset = Number(lastOffset) + 1;
    await consumer.commitOffsets([{ topic, partition, offset: String(offset) }]).catch(fail);
    if (offset >= ends.get(partition)) ends.delete(partition);
    if (ends.size === 0) done();
  });
  consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => console.log(line(partition, message)),
  }).catch(fail);
});
await consumer.disconnect();
