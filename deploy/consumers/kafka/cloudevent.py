"""An event of twochat-connector from a Kafka record, whatever client read it: the CloudEvents SDK for Python."""

import hashlib
import json

from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def make(attributes, data):
    """The SDK gives an event without a time that of now; this one stays without."""
    has_time = "time" in attributes
    event = CloudEvent(attributes, data)
    if not has_time:
        del event.get_attributes()["time"]
    return event


def read(headers, value):
    """headers are (name, bytes) pairs, as every client for Python has them."""
    message = kafka.KafkaMessage(headers=dict(headers), key=None, value=value)  # the key stands in partitionkey too
    # Not kafka.from_kafka: it takes a record with any ce_ header for one in binary mode, so that with
    # events.headers: true it gives the whole event as data. The content type says what a record is.
    if message.headers["content-type"].startswith(b"application/cloudevents"):
        return kafka.from_structured(message, JSONFormat(), make)
    return kafka.from_binary(message, JSONFormat(), make)


def is_true(event, name):
    """late and repaired are Booleans in structured mode and texts in binary mode, as all headers are."""
    return str(event.get_extension(name)).lower() == "true"


def line(partition, offset, headers, value):
    """What is printed here of an event; your own work goes in its place."""
    event = read(headers, value)
    return json.dumps({
        "partition": partition,
        "offset": offset,
        "id": event.get_id(),  # with source: what to de-duplicate on
        "source": event.get_source(),
        "type": event.get_type(),
        "subject": event.get_subject(),
        "sequence": event.get_extension("sequence"),
        "time": event.get_time() and event.get_time().isoformat(),  # None where the message has none that can be read
        "late": is_true(event, "late"),  # it belongs further up in its chat: put it there by time
        "repaired": is_true(event, "repaired"),
        "data": event.get_data(),
        "sha256": hashlib.sha256(value).hexdigest(),
    })
