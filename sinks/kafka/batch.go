package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/compress/gzip"
	"github.com/segmentio/kafka-go/compress/lz4"
	"github.com/segmentio/kafka-go/compress/snappy"
	"github.com/segmentio/kafka-go/compress/zstd"
	"github.com/segmentio/kafka-go/protocol"
)

// record is what is written, and what is read back.
type record struct {
	key     []byte
	value   []byte
	headers []protocol.Header
}

// size is about how many bytes the record takes in a batch, uncompressed.
func (r *record) size() int {
	n := len(r.key) + len(r.value) + 24
	for i := range r.headers {
		n += len(r.headers[i].Key) + len(r.headers[i].Value) + 4
	}
	return n
}

// Places in a record batch, format 2, counted from after the size that precedes it in a request.
const (
	batchPrefix     = 4
	batchLength     = 8
	batchCRC        = 17
	batchAttributes = 21
	batchProducerID = 43
	batchEpoch      = 51
	batchSequence   = 53
	batchHeader     = 61
)

// encodeBatch makes a transactional record batch, with the size in front. It belongs to no producer until it is stamped. codec
// is nil for no compression.
func encodeBatch(records []*record, codec compress.Codec, at time.Time) ([]byte, error) {
	list := make([]protocol.Record, len(records))
	size := batchPrefix + batchHeader
	for i, r := range records {
		list[i] = protocol.Record{Time: at, Key: protocol.NewBytes(r.key), Value: protocol.NewBytes(r.value), Headers: r.headers}
		size += r.size()
	}
	set := protocol.RecordSet{Version: 2, Attributes: protocol.Transactional, Records: protocol.NewRecordReader(list...)}
	plain := bytes.NewBuffer(make([]byte, 0, size))
	if _, err := set.WriteTo(plain); err != nil {
		return nil, fmt.Errorf("encode record batch: %w", err)
	}
	if codec == nil {
		return plain.Bytes(), nil
	}
	return compressBatch(plain.Bytes(), codec)
}

// compressBatch compresses the records of a batch; the header in front of them stays plain. kafka-go's encoder could do it,
// but only with its own choice of levels.
func compressBatch(plain []byte, codec compress.Codec) ([]byte, error) {
	head, records := plain[:batchPrefix+batchHeader], plain[batchPrefix+batchHeader:]
	out := bytes.NewBuffer(make([]byte, 0, len(plain)))
	out.Write(head)
	w := codec.NewWriter(out)
	if _, err := w.Write(records); err != nil {
		return nil, fmt.Errorf("compress record batch: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress record batch: %w", err)
	}
	batch := out.Bytes()
	size := uint32(len(batch) - batchPrefix)
	binary.BigEndian.PutUint32(batch, size)
	binary.BigEndian.PutUint32(batch[batchPrefix+batchLength:], size-batchLength-4)
	attributes := batch[batchPrefix+batchAttributes:]
	binary.BigEndian.PutUint16(attributes, binary.BigEndian.Uint16(attributes)|uint16(codec.Code()))
	return batch, nil
}

// codecOf is the codec of a compression by its name in the configuration; nil is none.
func codecOf(name string) (codec compress.Codec, ok bool) {
	switch name {
	case "none":
		return nil, true
	case "gzip":
		return new(gzip.Codec), true
	case "snappy":
		return new(snappy.Codec), true
	case "lz4":
		return new(lz4.Codec), true
	case "zstd":
		return &zstd.Codec{Level: 1}, true // half the time of the default level, for about the same size
	}
	return nil, false
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stampBatch writes the producer and the sequence of the first record into a batch made by encodeBatch: kafka-go's encoder
// has no way to set them.
func stampBatch(batch []byte, producer producer, sequence int32) error {
	if len(batch) < batchPrefix+batchHeader {
		return errors.New("stamp record batch: it is too short")
	}
	b := batch[batchPrefix:]
	if int(binary.BigEndian.Uint32(batch)) != len(b) || b[16] != 2 {
		return errors.New("stamp record batch: it is not one batch of format 2")
	}
	binary.BigEndian.PutUint64(b[batchProducerID:], uint64(producer.id))
	binary.BigEndian.PutUint16(b[batchEpoch:], uint16(producer.epoch))
	binary.BigEndian.PutUint32(b[batchSequence:], uint32(sequence))
	binary.BigEndian.PutUint32(b[batchCRC:], crc32.Checksum(b[batchAttributes:], castagnoli))
	return nil
}
