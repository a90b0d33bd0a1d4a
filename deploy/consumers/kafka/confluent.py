"""Reads a topic of twochat-connector to its end with confluent-kafka (librdkafka): confluent.py BROKERS TOPIC GROUP"""

import sys

from confluent_kafka import Consumer, KafkaError, KafkaException

import cloudevent

brokers, topic, group = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": group,
    "isolation.level": "read_committed",  # librdkafka's default; without it aborted events are read too
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,  # commit what is done, below
    "enable.partition.eof": True,  # only to stop at the end: offsets alone do not show it, as markers take some
})
assigned, ended = set(), set()
consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.update(p.partition for p in partitions))
while not assigned or ended < assigned:
    record = consumer.poll(1)
    if record is None:
        continue
    if record.error():
        if record.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(record.error())
        ended.add(record.partition())
        continue
    print(cloudevent.line(record.partition(), record.offset(), record.headers(), record.value()))
consumer.commit(asynchronous=False)  # after the work is done: a crash before it reads the events again
consumer.close()
