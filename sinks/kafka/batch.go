package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// Offsets of the fields of a record batch, format 2, after the size that precedes it in a request.
const (
	batchPrefix      = 4
	batchLength      = 8
	batchLeaderEpoch = 12
	batchMagic       = 16
	batchCRC         = 17
	batchAttributes  = 21
	batchLastOffset  = 23
	batchFirstTime   = 27
	batchMaxTime     = 35
	batchProducerID  = 43
	batchEpoch       = 51
	batchSequence    = 53
	batchRecords     = 57
	batchHeader      = 61
)

// encoder makes record batches, one after the other. Each record goes through the compressor as soon as it is encoded,
// so an encoder holds only one record, the compressor and its output. kafka-go would hold a commit three times: as
// records, encoded, and compressed. The encoder's memory is reused for every batch; the batches belong to the caller.
type encoder struct {
	compressor compressor
	batch      bytes.Buffer
	plain      []byte // the current record, in its encoded form
	draft      draft  // the current event, as a record
}

// keptBuffer is the largest buffer that an encoder keeps. Only a batch of a single large record is larger.
const keptBuffer = 2 * maxChunk

// encode makes a transactional batch of the first records, preceded by its size, and returns the number of records in
// it: as many as fit into limit bytes uncompressed, but at least one. It does not use a record after asking for the
// next one. The batch gets its producer when it is stamped.
func (e *encoder) encode(records iter.Seq[*record], limit int, at time.Time) (batch []byte, n int, err error) {
	e.batch.Reset()
	e.batch.Write(make([]byte, batchPrefix+batchHeader)) // filled in at the end, when the content is known
	w, err := e.compressor.open(&e.batch)
	if err != nil {
		return nil, 0, err
	}
	size := 0
	for r := range records {
		e.plain = appendRecord(e.plain[:0], r, n)
		if size += len(e.plain); n > 0 && size > limit {
			break
		}
		if _, err := w.Write(e.plain); err != nil {
			return nil, 0, fmt.Errorf("compress record batch: %w", err)
		}
		n++
	}
	if err := w.Close(); err != nil {
		return nil, 0, fmt.Errorf("compress record batch: %w", err)
	}
	batch = bytes.Clone(e.batch.Bytes()) // small compared with the input if it is compressed
	putHeader(batch, n, e.compressor.compression, at)
	e.forget()
	return batch, n, nil
}

// forget drops the last event, and any buffer that a large event has made too large to keep.
func (e *encoder) forget() {
	e.draft.value = nil
	if e.batch.Cap() > keptBuffer {
		e.batch = bytes.Buffer{}
	}
	if cap(e.plain) > keptBuffer {
		e.plain = nil
	}
	if cap(e.draft.text) > keptBuffer {
		e.draft = draft{}
	}
}

// putHeader writes the size and the header of a batch of so many records, except the producer and the checksum.
func putHeader(batch []byte, records int, compression compress.Compression, at time.Time) {
	big := binary.BigEndian
	big.PutUint32(batch, uint32(len(batch)-batchPrefix))
	b := batch[batchPrefix:]
	big.PutUint32(b[batchLength:], uint32(len(b)-batchLeaderEpoch))
	big.PutUint32(b[batchLeaderEpoch:], math.MaxUint32) // unknown
	b[batchMagic] = 2
	big.PutUint16(b[batchAttributes:], uint16(protocol.Transactional)|uint16(compression))
	big.PutUint32(b[batchLastOffset:], uint32(records-1))
	big.PutUint64(b[batchFirstTime:], uint64(at.UnixMilli()))
	big.PutUint64(b[batchMaxTime:], uint64(at.UnixMilli()))
	big.PutUint32(b[batchRecords:], uint32(records))
}

// appendRecord appends the i-th record of a batch; its time is the batch's.
func appendRecord(dst []byte, r *record, i int) []byte {
	const noAttributes, noDelay = 0, 0
	size := 2 + varintSize(i) + fieldSize(r.key, r.key == nil) + fieldSize(r.value, r.value == nil) +
		varintSize(len(r.headers))
	for j := range r.headers {
		h := &r.headers[j]
		size += fieldSize(h.Key, false) + fieldSize(h.Value, h.Value == nil)
	}
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, noAttributes, noDelay)
	dst = binary.AppendVarint(dst, int64(i))
	dst = appendField(dst, r.key, r.key == nil)
	dst = appendField(dst, r.value, r.value == nil)
	dst = binary.AppendVarint(dst, int64(len(r.headers)))
	for j := range r.headers {
		h := &r.headers[j]
		dst = appendField(dst, h.Key, false)
		dst = appendField(dst, h.Value, h.Value == nil)
	}
	return dst
}

// appendField appends text preceded by its length; a missing text has the length -1.
func appendField[T []byte | string](dst []byte, text T, none bool) []byte {
	if none {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(text))), text...)
}

func fieldSize[T []byte | string](text T, none bool) int {
	if none {
		return 1
	}
	return varintSize(len(text)) + len(text)
}

// varintSize is the size of a non-negative number as a varint, in bytes.
func varintSize(n int) int {
	size := 1
	for n >= 1<<6 { // the sign takes a bit
		n >>= 7
		size++
	}
	return size
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stampBatch writes the producer and the sequence of the first record into a batch, and then the checksum.
func stampBatch(batch []byte, producer producer, sequence int32) error {
	if len(batch) < batchPrefix+batchHeader {
		return errors.New("stamp record batch: it is too short")
	}
	b := batch[batchPrefix:]
	if int(binary.BigEndian.Uint32(batch)) != len(b) || b[batchMagic] != 2 {
		return errors.New("stamp record batch: it is not one batch of format 2")
	}
	binary.BigEndian.PutUint64(b[batchProducerID:], uint64(producer.id))
	binary.BigEndian.PutUint16(b[batchEpoch:], uint16(producer.epoch))
	binary.BigEndian.PutUint32(b[batchSequence:], uint32(sequence))
	binary.BigEndian.PutUint32(b[batchCRC:], crc32.Checksum(b[batchAttributes:], castagnoli))
	return nil
}

// encodeBatch makes a batch of one record, uncompressed.
func encodeBatch(r *record, at time.Time) ([]byte, error) {
	batch, _, err := new(encoder).encode(slices.Values([]*record{r}), maxChunk, at)
	return batch, err
}
