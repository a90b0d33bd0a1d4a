"""Reads a topic of twochat-connector to its end with kafka-python: kafka-python.py BROKERS TOPIC GROUP"""

import sys

from kafka import KafkaConsumer

import cloudevent

brokers, topic, group = sys.argv[1:]
consumer = KafkaConsumer(
    topic,
    bootstrap_servers=brokers.split(","),
    group_id=group,
    isolation_level="read_committed",  # not the default
    auto_offset_reset="earliest",
    enable_auto_commit=False,
)
ends = {}
while not ends or any(consumer.position(p) < end for p, end in ends.items()):
    for records in consumer.poll(timeout_ms=1000).values():
        for record in records:
            print(cloudevent.line(record.partition, record.offset, record.headers, record.value))
    if not ends and consumer.assignment():
        ends = consumer.end_offsets(consumer.assignment())
consumer.commit()
consumer.close()
