"""Reads a topic of twochat-connector to its end with aiokafka: aio.py BROKERS TOPIC GROUP"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

import cloudevent


async def read(brokers, topic, group):
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=brokers,
        group_id=group,
        isolation_level="read_committed",  # not the default
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    print(cloudevent.line(record.partition, record.offset, record.headers, record.value))
        await consumer.commit()
    finally:
        await consumer.stop()


asyncio.run(read(*sys.argv[1:]))
