package kafka

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
)

// A compressor writes one lz4 frame after another, in blocks of 64 KB (LZ4 frame format 1.6, BD byte: 4 is 64 KB).
func TestCompressor_LZ4(t *testing.T) {
	c := compressor{compression: compress.Lz4}
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
		if size := out.Bytes()[5] >> 4 & 7; size != 4 {
			t.Errorf("blocks of size %d, want 4", size)
		}
		got, err := io.ReadAll(lz4.NewReader(&out))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("frame %d: %d bytes, want %d; %v", n, len(got), len(text), err)
		}
	}
}

// A compressor writes one gzip stream after another, each whole by itself.
func TestCompressor_Gzip(t *testing.T) {
	c := compressor{compression: compress.Gzip}
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
		r, err := gzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
			t.Errorf("stream %d: %d bytes, want %d; %v", n, len(got), len(text), err)
		}
	}
}
