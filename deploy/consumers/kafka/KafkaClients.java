// Reads a topic of twochat-connector to its end with kafka-clients: KafkaClients.java BROKERS TOPIC GROUP [ISOLATION]
// Without ISOLATION the client's own default is in force, which is read_uncommitted: name read_committed.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.CloudEventDeserializer;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class KafkaClients {
    static final ObjectMapper json = new ObjectMapper();
    static final CloudEventDeserializer sdk = new CloudEventDeserializer(); // reads either mode

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("group.id", args[2]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        if (args.length > 3) settings.put("isolation.level", args[3]);
        // value.deserializer may be CloudEventDeserializer itself; here the bytes are wanted too.
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(List.of(args[1]));
            Map<TopicPartition, Long> ends = null;
            while (ends == null || ends.keySet().stream().anyMatch(isBehind(consumer, ends))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    out.println(line(record));
                }
                if (ends == null && !consumer.assignment().isEmpty()) ends = consumer.endOffsets(consumer.assignment());
            }
            consumer.commitSync(); // after the work is done: a crash before it reads the events again
        }
        out.flush();
    }

    // The position runs over the markers of transactions too.
    static Predicate<TopicPartition> isBehind(KafkaConsumer<?, ?> consumer, Map<TopicPartition, Long> ends) {
        return partition -> consumer.position(partition) < ends.get(partition);
    }

    static String line(ConsumerRecord<byte[], byte[]> record) throws Exception {
        CloudEvent event = sdk.deserialize(record.topic(), record.headers(), record.value());
        ObjectNode line = json.createObjectNode();
        line.put("partition", record.partition());
        line.put("offset", record.offset());
        line.put("id", event.getId()); // with source: what to de-duplicate on
        line.put("source", event.getSource().toString());
        line.put("type", event.getType());
        line.put("subject", event.getSubject());
        line.put("sequence", (String) event.getExtension("sequence"));
        line.put("time", event.getTime() == null ? null : event.getTime().toString());
        line.put("late", isTrue(event, "late")); // it belongs further up in its chat: put it there by time
        line.put("repaired", isTrue(event, "repaired"));
        JsonNode data = json.readTree(event.getData().toBytes());
        line.set("data", data);
        line.put("sha256", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(record.value())));
        return json.writeValueAsString(line);
    }

    // A Boolean in structured mode, a text in binary mode.
    static boolean isTrue(CloudEvent event, String name) {
        return "true".equals(String.valueOf(event.getExtension(name)));
    }
}
