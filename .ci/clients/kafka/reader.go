package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// reader runs the page's commands against a world, and compares what they print with what the topics hold.
type reader struct {
	world  *world
	found  *reference
	folder string        // of the page
	turns  chan struct{} // its capacity limits how many commands run at once
	groups atomic.Int32
}

// run runs a command on a topic, and returns its result in words.
func (r *reader) run(ctx context.Context, command, topic string) (string, error) {
	group := fmt.Sprintf("group-%d", r.groups.Add(1))
	line := strings.NewReplacer(printedBroker, r.world.broker, modesTopic, topic, printedGroup, group).Replace(command)
	r.turns <- struct{}{}
	defer func() { <-r.turns }()
	began := time.Now()
	out, err := shell(ctx, r.folder, line)
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	got, err := r.compare(out, topic, uncommitted(command))
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	lag, err := r.lag(ctx, group, topic)
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	name := program(command)
	if got.rounded > 0 && name != "kafkajs.js" {
		return "", fmt.Errorf("%s: %d whole numbers lost digits", line, got.rounded)
	}
	if lag != 0 {
		return "", fmt.Errorf("%s: everything was read, and the lag is %d", line, lag)
	}
	if uncommitted(command) {
		name += " (default isolation)"
	}
	text := fmt.Sprintf("%-32s %s: %d events", name, topic, got.events)
	if got.aborted > 0 {
		text += fmt.Sprintf(", %d aborted ones among them", got.aborted)
	}
	if got.rounded > 0 {
		text += fmt.Sprintf(", %d whole numbers rounded", got.rounded)
	}
	return fmt.Sprintf("%s; lag 0 once committed; %.1f s", text, took.Seconds()), nil
}

// outcome counts what a client printed.
type outcome struct{ events, aborted, rounded int }

// compare checks that each event of a topic was printed once, in the order of its partition, as the topic has it.
func (r *reader) compare(out []byte, topic string, all bool) (outcome, error) {
	var got outcome
	next := map[int32]int64{}
	seen := map[place]bool{}
	for line := range bytes.Lines(out) {
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		var e event
		if err := decoder.Decode(&e); err != nil {
			return got, fmt.Errorf("%w: %.200s", err, line)
		}
		at := place{topic, e.Partition, e.Offset}
		if e.Offset < next[e.Partition] {
			return got, fmt.Errorf("%v is doubled or out of order", at)
		}
		next[e.Partition] = e.Offset + 1
		got.events++
		if r.found.aborted[at] {
			if got.aborted++; !all {
				return got, fmt.Errorf("%v was aborted", at)
			}
			continue
		}
		want, found := r.found.events[at]
		if !found {
			return got, fmt.Errorf("%v holds no event", at)
		}
		seen[at] = true
		rounded, err := same(e, want)
		if err != nil {
			return got, fmt.Errorf("%v: %w", at, err)
		}
		got.rounded += rounded
	}
	for at := range r.found.events {
		if at.Topic == topic && !seen[at] {
			return got, fmt.Errorf("%v is missing", at)
		}
	}
	aborted := 0
	for at := range r.found.aborted {
		if at.Topic == topic {
			aborted++
		}
	}
	if all && got.aborted != aborted {
		return got, fmt.Errorf("%d of %d aborted events were read", got.aborted, aborted)
	}
	return got, nil
}

// same checks that two events are equal. Times are compared as times; data may differ only in the form of numbers.
func same(got, want event) (rounded int, err error) {
	if (got.Time == nil) != (want.Time == nil) || got.Time != nil && !got.Time.Equal(*want.Time) {
		return 0, fmt.Errorf("its time is %v, and not %v", got.Time, want.Time)
	}
	gotData, wantData := got.Data, want.Data
	got.Time, got.Data, want.Time, want.Data = nil, nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		return 0, fmt.Errorf("it is %+v, and not %+v", got, want)
	}
	g, err := decode(gotData)
	if err != nil {
		return 0, err
	}
	w, err := decode(wantData)
	if err != nil {
		return 0, err
	}
	return sameData(g, w)
}

func decode(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var out any
	err := decoder.Decode(&out)
	return out, err
}

// sameData counts whole numbers that lost digits, because some readers have only floating-point numbers.
func sameData(got, want any) (rounded int, err error) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			break
		}
		for name := range w {
			n, err := sameData(g[name], w[name])
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			rounded += n
		}
		return rounded, nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		for i := range w {
			n, err := sameData(g[i], w[i])
			if err != nil {
				return 0, err
			}
			rounded += n
		}
		return rounded, nil
	case json.Number:
		g, ok := got.(json.Number)
		if !ok {
			break
		}
		gf, _ := g.Float64()
		wf, _ := w.Float64()
		if gf != wf {
			break
		}
		gr, _ := new(big.Rat).SetString(g.String())
		wr, _ := new(big.Rat).SetString(w.String())
		if wr.IsInt() && gr.Cmp(wr) != 0 {
			return 1, nil
		}
		return 0, nil
	default:
		if got == want {
			return 0, nil
		}
	}
	return 0, fmt.Errorf("its data has %.80v, and not %.80v", got, want)
}
