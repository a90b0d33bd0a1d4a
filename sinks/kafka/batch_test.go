package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkBatch decodes a batch as franz-go does, after holding its checksum against a computation of its own.
func checkBatch(t *testing.T, decompress kgo.Decompressor, raw []byte, who producer, sequence int32, want []*record, codec int16, at time.Time) {
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
		t.Fatalf("producer %d, epoch %d, sequence %d; want %v, %d", batch.ProducerID, batch.ProducerEpoch, batch.FirstSequence, who, sequence)
	}
	if batch.Attributes&0x10 == 0 || batch.Attributes&7 != codec || batch.Magic != 2 || int(batch.NumRecords) != len(want) || int(batch.LastOffsetDelta) != len(want)-1 ||
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
		if !bytes.Equal(got.Key, w.key) || !bytes.Equal(got.Value, w.value) || len(got.Headers) != len(w.headers) || int(got.OffsetDelta) != i {
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
	f.Add(bytes.Repeat([]byte("k"), 300), bytes.Repeat([]byte("v"), 3_000), "h", []byte{0xff}, int64(1<<62), int16(32767), int32(1<<31-1), uint8(1), uint8(40))
	decompress := kgo.DefaultDecompressor()
	f.Fuzz(func(t *testing.T, key, value []byte, name string, header []byte, id int64, epoch int16, sequence int32, codec, n uint8) {
		at := time.UnixMilli(1_790_000_000_000)
		records := make([]*record, int(n)+1)
		for i := range records {
			records[i] = &record{key: key, value: append(append([]byte{}, value...), byte(i)), headers: []protocol.Header{{Key: name, Value: header}}[:i%2]}
		}
		compression, _ := codecOf([]string{"none", "gzip", "snappy", "lz4", "zstd"}[codec%5])
		raw, err := encodeBatch(records, compression, at)
		if err != nil {
			t.Fatal(err)
		}
		who := producer{id, epoch}
		if err := stampBatch(raw, who, sequence); err != nil {
			t.Fatal(err)
		}
		checkBatch(t, decompress, raw, who, sequence, records, int16(codec%5), at)
	})
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

// TestPartitioner holds the partitions against results of Java's client: org.apache.kafka.common.utils.Utils.murmur2, as its
// own UtilsTest has them, made positive.
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
