package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// record is what is written, and what is read back.
type record struct {
	offset  int64 // read back only
	time    time.Time
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
	batchCRC        = 17
	batchAttributes = 21
	batchProducerID = 43
	batchEpoch      = 51
	batchSequence   = 53
	batchHeader     = 61
)

// encodeBatch makes a transactional record batch, with the size in front. It belongs to no producer until it is stamped.
func encodeBatch(records []*record, codec kafkago.Compression, at time.Time) ([]byte, error) {
	list := make([]protocol.Record, len(records))
	for i, r := range records {
		list[i] = protocol.Record{Time: at, Key: protocol.NewBytes(r.key), Value: protocol.NewBytes(r.value), Headers: r.headers}
	}
	set := protocol.RecordSet{Version: 2, Attributes: protocol.Transactional | protocol.Attributes(codec), Records: protocol.NewRecordReader(list...)}
	var out bytes.Buffer
	if _, err := set.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("encode record batch: %w", err)
	}
	return out.Bytes(), nil
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
