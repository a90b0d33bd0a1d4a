package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

var errDamaged = errors.New("a line that was damaged, or changed by another program")

// envelope is a line of the events' file in the form that this package writes.
type envelope struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	DataSchema      string    `json:"dataschema"`
	PartitionKey    string    `json:"partitionkey"`
	SentBy          string    `json:"sentby"`
	RecordedTime    time.Time `json:"recordedtime"`
	Sequence        string    `json:"sequence"`
	Late            bool      `json:"late"`
	Repaired        bool      `json:"repaired"`
	Traceparent     string    `json:"traceparent"`
}

// verified reads a line that is to be adopted. It accepts the line only if this package would write the same bytes for
// the same event, and if its data names the same message.
func verified(line []byte) (head, error) {
	var read envelope
	if err := json.Unmarshal(withoutData(line), &read); err != nil {
		if _, err := parseHead(line); err != nil {
			return head{}, err
		}
		return head{}, errDamaged
	}
	h, err := newHead(read.ID, read.Source, read.Sequence, read.Late)
	if err != nil {
		return head{}, err
	}
	e := connector.Event{
		ID: read.ID, Source: read.Source, Type: read.Type, Chat: read.Subject, Time: read.Time, Recorded: read.RecordedTime,
		SentBy: read.SentBy, DataSchema: read.DataSchema, Sequence: h.seen.Sequence, Late: read.Late,
		Repaired: read.Repaired, Traceparent: read.Traceparent, Data: []byte("0"),
	}
	mark := []byte(`,"data":`)
	written, _, _ := bytes.Cut(e.AppendJSON(nil), mark)
	before, data, found := bytes.Cut(line, mark)
	data, ended := bytes.CutSuffix(data, []byte("}"))
	if !found || !ended || !bytes.Equal(before, written) || !json.Valid(data) {
		return head{}, errDamaged
	}
	if bytes.Contains(data, fmt.Appendf(nil, `"uuid":"%s"`, read.ID)) {
		return h, nil
	}
	var item struct {
		UUID *string `json:"uuid"`
	}
	if json.Unmarshal(data, &item) == nil && item.UUID != nil && *item.UUID != read.ID {
		return head{}, errDamaged
	}
	return h, nil
}

// lineFault is a line that cannot be adopted, and its place.
type lineFault struct {
	path  string
	at    int64
	cause error
}

func (e *lineFault) Error() string {
	return fmt.Sprintf("%s at byte %d: %v", e.path, e.at, e.cause)
}
func (e *lineFault) Unwrap() error { return e.cause }

// lineAt is the number of the line that begins at a byte of a file, from 1.
func lineAt(path string, at int64) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("count the lines: %w", plain(err))
	}
	defer f.Close() // only read
	line, block := 1, make([]byte, 64<<10)
	for at > 0 {
		n, err := f.Read(block[:min(int64(len(block)), at)])
		line, at = line+bytes.Count(block[:n], []byte("\n")), at-int64(n)
		if err != nil {
			return 0, fmt.Errorf("count the lines: %w", plain(err))
		}
	}
	return line, nil
}

// refuse returns the refusal of a line that cannot be adopted.
func (j *journal) refuse(err error, vouched position) error {
	var fault *lineFault
	if !errors.As(err, &fault) || !errors.Is(err, errForeign) && !errors.Is(err, errDamaged) {
		return err
	}
	refusal := &connector.Refusal{
		Thing: "file " + fault.path, Cause: fmt.Sprintf("it contains %v, at byte %d", fault.cause, fault.at),
		Hint: fmt.Sprintf("set another file in `sink.file.path`, or move this one away: `mv '%s' '%s.other'`", fault.path,
			fault.path),
	}
	switch line, err := lineAt(fault.path, fault.at); {
	case vouched.End == 0 && (err != nil || line == 1): // it may be somebody else's file
	case vouched.End == 0:
		refusal.Hint = fmt.Sprintf("remove line %d, which leaves a copy of the file beside it, and run the same command again: "+
			"`sed -i.copy '%dd' '%s'`", line, line, fault.path)
	case fault.path == j.path: // nothing follows it
		refusal.Hint = fmt.Sprintf("cut off this line and everything after it, which is delivered again: `truncate -s %d '%s'`",
			fault.at, fault.path)
	default:
		refusal.Hint = fmt.Sprintf("restore the file and the folder %s.checkpoint from the same time", j.path)
	}
	return refusal
}
