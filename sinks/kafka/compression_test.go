package kafka

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
)

// written writes three texts with one compressor, one after another, and passes each to read as it was written.
func written(t *testing.T, compression compress.Compression, read func(n int, compressed []byte) ([]byte, error)) {
	t.Helper()
	c := compressor{compression: compression}
	for n := range 3 {
		text := bytes.Repeat([]byte{'a' + byte(n), 'b', 'c'}, 100_000)
		var out bytes.Buffer
		w, err := c.open(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := read(n, out.Bytes()); err != nil || !bytes.Equal(got, text) {
			t.Errorf("text %d: %d bytes, want %d; %v", n, len(got), len(text), err)
		}
	}
}

// A compressor writes one lz4 frame after another, in blocks of 64 KB (LZ4 frame format 1.6, BD byte: 4 is 64 KB).
func TestCompressor_LZ4(t *testing.T) {
	written(t, compress.Lz4, func(n int, compressed []byte) ([]byte, error) {
		if size := compressed[5] >> 4 & 7; size != 4 {
			t.Errorf("frame %d: blocks of size %d, want 4", n, size)
		}
		return io.ReadAll(lz4.NewReader(bytes.NewReader(compressed)))
	})
}

// A compressor writes one gzip stream after another, each complete.
func TestCompressor_Gzip(t *testing.T) {
	written(t, compress.Gzip, func(_ int, compressed []byte) ([]byte, error) {
		r, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	})
}
