package file

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// lineStart is the beginning of every line that this package writes (Event.AppendJSON, Reject.AppendJSON).
const lineStart = `{"specversion":"1.0","id":`

// appendLine appends an event as one line. Line breaks in its data can only be between JSON's tokens, so they become
// blanks.
func appendLine(dst []byte, e *connector.Event) []byte {
	begin := len(dst)
	dst = e.AppendJSON(dst)
	for line := dst[begin:]; ; {
		at := bytes.IndexAny(line, "\n\r")
		if at < 0 {
			return append(dst, '\n')
		}
		line[at] = ' '
		line = line[at+1:]
	}
}

// head holds the attributes of a line that precede its data.
type head struct {
	stream string
	id     string
	seen   connector.Seen
}

var errForeign = errors.New("a line that is not an event of this connector")

// parseHead reads a line of the events' file.
func parseHead(line []byte) (head, error) {
	var attributes struct {
		ID       string `json:"id"`
		Source   string `json:"source"`
		Sequence string `json:"sequence"`
		Late     bool   `json:"late"`
	}
	if err := json.Unmarshal(withoutData(line), &attributes); err != nil {
		return head{}, errForeign
	}
	return newHead(attributes.ID, attributes.Source, attributes.Sequence, attributes.Late)
}

func newHead(id, source, number string, late bool) (head, error) {
	stream, ours := strings.CutPrefix(source, connector.Stream{}.Source())
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ours || err != nil || sequence == 0 || id == "" {
		return head{}, errForeign
	}
	return head{
		stream: stream, id: id,
		seen: connector.Seen{Key: connector.MessageKey(id), Sequence: sequence, Late: late},
	}, nil
}

// streamNamedIn is the stream that a damaged line names as its source; unclaimed means that it names none.
func streamNamedIn(line []byte) (stream string, unclaimed bool) {
	_, rest, found := bytes.Cut(withoutData(line), []byte(`"source":"`+connector.Stream{}.Source()))
	name, _, ended := bytes.Cut(rest, []byte(`"`))
	return string(name), !found || !ended
}

// withoutData cuts off a line before its data, which this package writes last, so that most of a line need not be
// parsed. The mark cannot occur inside a JSON string, as its quotes would be escaped.
func withoutData(line []byte) []byte {
	if at := bytes.Index(line, []byte(`,"data":`)); at > 0 {
		return append(append(make([]byte, 0, at+1), line[:at]...), '}')
	}
	return line
}

// scan visits the complete lines of a file from an offset on. rest is what follows the last line break.
func scan(ctx context.Context, f *os.File, from int64, visit func(line []byte) error) (rest []byte, err error) {
	if f == nil { // opened only for a check, and missing
		return nil, nil
	}
	reader := bufio.NewReaderSize(io.NewSectionReader(f, from, 1<<62), 256<<10)
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line, err := reader.ReadBytes('\n')
		switch {
		case err == nil:
			if err := visit(line[:len(line)-1]); err != nil {
				return nil, err
			}
		case errors.Is(err, io.EOF):
			return line, nil
		default:
			return nil, plain(err) // it names the operation
		}
	}
}

// backward visits the complete lines of a file from its end, newest first, until visit ends it.
func backward(
	ctx context.Context, f *os.File, size int64, visit func(line []byte) (more bool, err error),
) (more bool, err error) {
	const block = 64 << 10
	var pending []byte // begins in the middle of a line
	torn := true       // what follows the last line break is not a line
	for end := size; end > 0; {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		begin := max(0, end-block)
		data := make([]byte, end-begin, int(end-begin)+len(pending))
		if _, err := f.ReadAt(data, begin); err != nil {
			return false, plain(err)
		}
		pending = append(data, pending...)
		end = begin
		for {
			at := bytes.LastIndexByte(pending, '\n')
			if at < 0 {
				break
			}
			line := pending[at+1:]
			pending = pending[:at]
			if torn {
				torn = false
				continue
			}
			if more, err := visit(line); err != nil || !more {
				return more, err
			}
		}
	}
	if torn || size == 0 {
		return true, nil
	}
	return visit(pending)
}
