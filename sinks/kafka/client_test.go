package kafka

import (
	"errors"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
)

func TestAnswerAs(t *testing.T) {
	beat := &heartbeat.Response{ErrorCode: 27}
	tests := []struct {
		name   string
		answer protocol.Message
		err    error
		want   *heartbeat.Response
		cause  error
	}{
		{"the answer", beat, nil, beat, nil},
		{"an answer to another request", &leavegroup.Response{}, nil, nil, errNoAnswer},
		{"none", nil, nil, nil, errNoAnswer},
		{"none, and why", nil, io.EOF, nil, io.EOF},
	}
	for _, test := range tests {
		got, err := answerAs[*heartbeat.Response](test.answer, test.err)
		if got != test.want || !errors.Is(err, test.cause) || (test.cause == nil) != (err == nil) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}
