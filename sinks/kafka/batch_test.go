package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// checkBatch decodes a batch as franz-go does, after checking its checksum with a computation of its own.
func checkBatch(t *testing.T, decompress kgo.Decompressor, raw []byte, who producer, sequence int32, want []*record,
	codec int16, at time.Time,
) {
	t.Helper()
	if int(binary.BigEndian.Uint32(raw)) != len(raw)-4 {
		t.Fatalf("the size in front is %d of %d bytes", binary.BigEndian.Uint32(raw), len(raw)-4)
	}
	var batch kmsg.RecordBatch
	if err := batch.ReadFrom(raw[4:]); err != nil {
		t.Fatal(err)
	}
	if sum := int32(crc32.Checksum(raw[4+21:], crc32.MakeTable(crc32.Castagnoli))); batch.CRC != sum {
		t.Fatalf("checksum %x, want %x", batch.CRC, sum)
	}
	if batch.ProducerID != who.id || batch.ProducerEpoch != who.epoch || batch.FirstSequence != sequence {
		t.Fatalf("producer %d, epoch %d, sequence %d; want %v, %d", batch.ProducerID, batch.ProducerEpoch,
			batch.FirstSequence, who, sequence)
	}
	if batch.Attributes&0x10 == 0 || batch.Attributes&7 != codec || batch.Magic != 2 ||
		int(batch.NumRecords) != len(want) || int(batch.LastOffsetDelta) != len(want)-1 ||
		batch.FirstTimestamp != at.UnixMilli() || batch.MaxTimestamp != at.UnixMilli() {
		t.Fatalf("header: %+v", batch)
	}
	records := batch.Records
	if codec != 0 {
		var err error
		if records, err = decompress.Decompress(records, kgo.CompressionCodecType(codec)); err != nil {
			t.Fatal(err)
		}
	}
	reader := kbin.Reader{Src: records}
	for i, w := range want {
		length := reader.Varint()
		body := reader.Span(int(length))
		var got kmsg.Record
		if err := got.ReadFrom(append(kbin.AppendVarint(nil, length), body...)); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if !bytes.Equal(got.Key, w.key) || !bytes.Equal(got.Value, w.value) || len(got.Headers) != len(w.headers) ||
			int(got.OffsetDelta) != i {
			t.Fatalf("record %d differs", i)
		}
		for j := range w.headers {
			if got.Headers[j].Key != w.headers[j].Key || !bytes.Equal(got.Headers[j].Value, w.headers[j].Value) {
				t.Fatalf("record %d, header %d differs", i, j)
			}
		}
	}
	if reader.Complete() != nil || len(reader.Src) != 0 {
		t.Fatalf("%d bytes after the last record", len(reader.Src))
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "ce_id", []byte("1"), int64(7), int16(3), int32(9), uint8(4), uint8(3))
	f.Add([]byte{}, []byte{}, "", []byte{}, int64(0), int16(0), int32(0), uint8(0), uint8(1))
	f.Add(bytes.Repeat([]byte("k"), 300), bytes.Repeat([]byte("v"), 3_000), "h", []byte{0xff}, int64(1<<62), int16(32767),
		int32(1<<31-1), uint8(1), uint8(40))
	decompress := kgo.DefaultDecompressor()
	f.Fuzz(func(t *testing.T, key, value []byte, name string, header []byte, id int64, epoch int16, sequence int32, codec,
		n uint8,
	) {
		at := time.UnixMilli(1_790_000_000_000)
		records := make([]*record, int(n)+1)
		for i := range records {
			records[i] = &record{
				key: key, value: append(append([]byte{}, value...), byte(i)),
				headers: []protocol.Header{{Key: name, Value: header}}[:i%2],
			}
		}
		compression, _ := compressionOf([]string{"none", "gzip", "snappy", "lz4", "zstd"}[codec%5])
		e := encoder{compressor: compressor{compression: compression}}
		if _, _, err := e.encode(slices.Values(records[:1]), maxChunk, at); err != nil { // it is used again
			t.Fatal(err)
		}
		raw, taken, err := e.encode(slices.Values(records), math.MaxInt, at)
		if err != nil || taken != len(records) {
			t.Fatal(taken, err)
		}
		who := producer{id, epoch}
		if err := stampBatch(raw, who, sequence); err != nil {
			t.Fatal(err)
		}
		checkBatch(t, decompress, raw, who, sequence, records, int16(codec%5), at)
	})
}

// TestEncoder_Limit: a batch ends before the record that would make it too large, and contains at least one record.
func TestEncoder_Limit(t *testing.T) {
	records := make([]*record, 5)
	for i := range records {
		records[i] = &record{key: []byte("k"), value: bytes.Repeat([]byte{'v'}, 100)}
	}
	size := len(appendRecord(nil, records[0], 0))
	for limit, want := range map[int]int{
		1: 1, size: 1, 2*size - 1: 1, 2 * size: 2, 4*size + 1: 4, 5 * size: 5,
		100 * size: 5,
	} {
		at := time.UnixMilli(1_790_000_000_000)
		raw, n, err := new(encoder).encode(slices.Values(records), limit, at)
		if err != nil || n != want {
			t.Fatalf("limit %d: %d records, want %d; %v", limit, n, want, err)
		}
		if err := stampBatch(raw, producer{1, 2}, 3); err != nil {
			t.Fatal(err)
		}
		checkBatch(t, nil, raw, producer{1, 2}, 3, records[:n], 0, at)
	}
}

// TestEncoder_Memory: apart from the batch, an encoder uses no memory that grows with the events, and it keeps none of
// a large batch.
func TestEncoder_Memory(t *testing.T) {
	events := sinktest.Events(sinktest.Stream("595981048477"), 1, 2000)
	all, plain := partitionBatch{}, 0
	for i := range events {
		events[i].Data = bytes.Repeat(events[i].Data, 10)
		all.events = append(all.events, &events[i])
		plain += len(events[i].Data)
	}
	e := encoder{compressor: compressor{compression: compress.Gzip}}
	encode := func(from partitionBatch) {
		if _, n, err := e.encode(from.next(&e.draft, connector.Encoding{}), math.MaxInt, time.Now()); err != nil ||
			n != from.left() {
			t.Fatal(n, err)
		}
	}
	encode(all) // its buffers grow
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	encode(all)
	runtime.ReadMemStats(&after)
	if took := int(after.TotalAlloc - before.TotalAlloc); took > plain/4 {
		t.Errorf("%d bytes of memory for events of %d bytes of data", took, plain)
	}
	large := events[0]
	large.Data = bytes.Repeat([]byte{'1'}, 2*keptBuffer)
	encode(partitionBatch{events: []*connector.Event{&large}})
	if kept := max(e.batch.Cap(), cap(e.plain), cap(e.draft.text)); kept > keptBuffer {
		t.Errorf("%d bytes are kept of a large event", kept)
	}
}

func FuzzStampBatch(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0}, 100))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if stampBatch(raw, producer{1, 2}, 3) == nil && len(raw) < batchPrefix+batchHeader {
			t.Fatal("a batch without a header was stamped")
		}
	})
}

// TestPartitioner compares the partitions with results of Java's client: org.apache.kafka.common.utils.Utils.murmur2,
// as in its own UtilsTest, made positive.
func TestPartitioner(t *testing.T) {
	cases := map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	for key, hash := range cases {
		for _, n := range []int{1, 2, 6, 7, 50} {
			if got, want := newPartitioner(n).of([]byte(key)), (hash&0x7fffffff)%int32(n); got != want {
				t.Errorf("%q of %d: partition %d, want %d", key, n, got, want)
			}
		}
	}
	if got := newPartitioner(6).of(nil); got != newPartitioner(6).of([]byte{}) {
		t.Errorf("no key and an empty key differ: %d", got)
	}
}
