package sinktest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// TypePrefix begins the types of the suite's events; an Encoding of the sink under test has to use it.
const TypePrefix = "co.2chat.whatsapp"

// Privacy is the privacy mode of the suite's claims.
const Privacy = "hashed"

// day is when the suite's messages were written.
var day = time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)

// Stream makes a stream of this name, with a source key of its own.
func Stream(name string) connector.Stream {
	number := fmt.Sprintf("+1555%07d", int(sha256.Sum256([]byte(name))[0]))
	return connector.Stream{Name: name, Number: number, SourceKey: connector.SourceKey("https://api.example", name, "")}
}

// Claim makes an owner's claim of a stream of this name, with a window of 20,000.
func Claim(name, instance string) connector.Claim {
	return connector.Claim{
		Stream: Stream(name), Privacy: Privacy, Instance: instance, TypePrefix: TypePrefix,
		Window: 20_000,
	}
}

// Events makes n events of a stream, with the sequences from, from+1, and so on. The same arguments give the same
// events. They differ in every attribute, some are late, some have no time, and their data is hard to transport
// unchanged.
func Events(stream connector.Stream, from uint64, n int) []connector.Event {
	return eventsOf("", stream, from, n)
}

// eventsOf makes the events that one of several owners would write: other messages at the same sequences.
func eventsOf(owner string, stream connector.Stream, from uint64, n int) []connector.Event {
	events := make([]connector.Event, n)
	for i := range events {
		sequence := from + uint64(i)
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", owner, stream.Name, sequence))
		uuid := fmt.Sprintf("MSG%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
		if sequence%11 == 0 {
			uuid = fmt.Sprintf("%x|%%\"=%d", sum[:6], sequence) // no UUID, and with characters that need encoding in headers
		}
		message := connector.Message{
			UUID: uuid, Key: connector.MessageKey(uuid), Time: day.Add(time.Duration(sequence) * 1_500 * time.Millisecond),
			SentBy: []string{"user", "api", "agent", ""}[sequence%4], Chat: connector.HashToken([16]byte{byte(sequence % 5)}),
			Data: data(uuid, sequence), Repaired: sequence%8 == 0,
		}
		if sequence%7 == 0 {
			message.Time = time.Time{}
		}
		settings := connector.EventSettings{TypePrefix: TypePrefix}
		if sequence%3 == 0 {
			settings.DataSchema = "https://example.com/schemas/message-1.json"
		}
		events[i] = connector.NewEvent(stream, message, settings, day.Add(time.Hour+time.Duration(sequence)*time.Nanosecond),
			sequence, sequence%5 == 0)
		if sequence%6 == 1 {
			events[i].Traceparent = fmt.Sprintf("00-%x-%x-01", sum[:16], sum[16:24])
		}
	}
	return events
}

// data is an item that changes if it is decoded and encoded again: large numbers, escapes, key order, blanks, a lone
// surrogate.
func data(uuid string, sequence uint64) []byte {
	quoted := strings.ReplaceAll(uuid, `"`, `\"`)
	return fmt.Appendf(nil, `{ "uuid":"%s","n":%d, "big":12345678901234567890,"f":1.0e+02,`+
		`"text":"a\u0000 <b> \ud800 ü \/ 🙂\n","b":1,"a":{"b":[ ]} }`, quoted, sequence)
}

// Reject makes a reject, the nth of a stream.
func Reject(stream connector.Stream, n int) connector.Reject {
	raw := fmt.Appendf(nil, "\xff\xfe{not JSON %d of %s", n, stream.Name)
	return connector.Reject{
		Key: connector.ContentKey(raw), Reason: "not valid UTF-8", Raw: raw, Length: len(raw) + n*1_000,
		Hash: fmt.Sprintf("%x", sha256.Sum256(raw)), Recorded: day.Add(time.Duration(n) * time.Second),
	}
}

// tailBelow is how many keys of certified events a checkpoint carries.
const tailBelow = 128

// Next is the checkpoint of a commit of events and rejects on top of c, certified up to the sequence given.
func Next(
	c connector.Checkpoint, events []connector.Event, rejects []connector.Reject, certified uint64,
) connector.Checkpoint {
	next := c
	next.Started, next.Certified = true, certified
	next.Floor = connector.Keys{connector.MessageKey("floor")}
	next.Horizon = connector.Keys{connector.MessageKey("horizon"), connector.MessageKey("beyond")}
	next.GroundTime = day
	next.Written = day.Add(time.Duration(c.Sequence) * time.Second)
	next.Tail, next.TailLate = slices.Clone(c.Tail), slices.Clone(c.TailLate)
	for i := range events {
		if events[i].Late {
			next.TailLate = append(next.TailLate, len(next.Tail))
			next.Counters.Late++
		}
		next.Tail = append(next.Tail, events[i].Key)
		next.Sequence = events[i].Sequence
	}
	if cut := len(next.Tail) - tailBelow - int(next.Sequence-certified); cut > 0 {
		next.Tail = next.Tail[cut:]
		var late []int
		for _, place := range next.TailLate {
			if place >= cut {
				late = append(late, place-cut)
			}
		}
		next.TailLate = late
	}
	next.Counters.Held += 3
	next.Rejects = slices.Clone(c.Rejects)
	for i := range rejects {
		next.Rejects = append(next.Rejects, rejects[i].Key)
		next.Counters.Rejected++
	}
	return next
}
