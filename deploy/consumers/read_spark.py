"""Turns a file of the connector's events, items or rows, into Parquet with Spark: one row a message, a folder a day.

pip install pyspark
python read_spark.py events.jsonl messages
"""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

# Columns with types, so that nothing is inferred of a sample. An object where a text is asked for stays a JSON text.
EVENT = """source STRING, id STRING, type STRING, sequence STRING, subject STRING, sentby STRING, time STRING,
    recordedtime STRING, late BOOLEAN, repaired BOOLEAN, data STRING"""
ROW = """kind STRING, text STRING, media_url STRING, media_mime STRING, channel STRING, remote STRING,
    participant STRING, `group` STRING, quoted_uuid STRING, recorded_at STRING, item STRING"""


def messages(events):
    is_row = f.col("row.recorded_at").isNotNull() & f.col("row.item").isNotNull()
    named = ["kind", "text", "media_url", "media_mime", "channel", "remote", "participant", "quoted_uuid"]
    return (
        events.withColumn("row", f.from_json("data", ROW))
        .select(
            "source",
            "id",
            f.col("sequence").cast("long").alias("sequence"),
            f.regexp_extract("type", "[a-z]+$", 0).alias("direction"),
            f.col("subject").alias("chat"),
            f.col("sentby").alias("sent_by"),
            f.to_timestamp("time").alias("occurred_at"),
            f.to_timestamp("recordedtime").alias("recorded_at"),
            f.coalesce("late", f.lit(False)).alias("late"),
            f.coalesce("repaired", f.lit(False)).alias("repaired"),
            *(f.when(is_row, f.col(f"row.{name}")).alias(name) for name in named),
            f.when(is_row, f.col("row.group")).alias("group_id"),
            f.when(is_row, f.col("row.item")).otherwise(f.col("data")).alias("item"),
            f.substring("recordedtime", 1, 10).alias("recorded_on"),
        )
        .dropDuplicates(["source", "id"])
    )


def main():
    source, folder = sys.argv[1:]
    spark = SparkSession.builder.appName("twochat").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    events = spark.read.schema(EVENT).option("mode", "FAILFAST").json(source)
    messages(events).write.mode("overwrite").partitionBy("recorded_on").parquet(folder)
    spark.stop()


if __name__ == "__main__":
    main()
