// KafkaJS reads gzip by itself. For what else sink.kafka.compression may be: node --import ./kafkajs-codecs.js …
// These packages are plain JavaScript; @kafkajs/zstd and kafkajs-lz4 are compiled where they are installed.
import * as zstd from 'fzstd';
import kafkajs from 'kafkajs';
import snappy from 'kafkajs-snappy';
import lz4 from 'lz4js';

const { CompressionCodecs, CompressionTypes } = kafkajs;
CompressionCodecs[CompressionTypes.ZSTD] = () => ({ decompress: async (bytes) => Buffer.from(zstd.decompress(bytes)) });
CompressionCodecs[CompressionTypes.LZ4] = () => ({ decompress: async (bytes) => Buffer.from(lz4.decompress(bytes)) });
CompressionCodecs[CompressionTypes.Snappy] = snappy;
