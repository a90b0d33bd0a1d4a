package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Names are a stream's names in a sink: a rename leaves what was quarantined before under the former name.
type Names struct {
	// Checkpoint is the one in force; the zero value if the sink has none.
	Checkpoint connector.Checkpoint
	// All are the former names, oldest first, and then the present one.
	All []string
}

// NamesOf returns the names of a stream, given its present or a former one. Nothing is taken over.
func NamesOf(ctx context.Context, sink sinks.Sink, name string) (Names, error) {
	c, _, err := peekName(ctx, sink, name)
	for renames := 0; err == nil && c.RenamedTo != "" && renames < connector.MaxFormerNames; renames++ {
		name = c.RenamedTo
		c, _, err = peekName(ctx, sink, name)
	}
	names := Names{Checkpoint: c}
	for _, former := range c.FormerNames {
		if err != nil {
			break
		}
		// A name that did not become this stream's belongs to another list, or is in force again. One without a checkpoint
		// belongs to no other.
		var of connector.Checkpoint
		var found bool
		of, found, err = peekName(ctx, sink, former)
		if !found || of.RenamedTo == name || slices.Contains(c.FormerNames, of.RenamedTo) {
			names.All = append(names.All, former)
		}
	}
	names.All = append(names.All, name)
	return names, err
}

// Present is the name that the stream has now.
func (n Names) Present() string { return n.All[len(n.All)-1] }

// ErasedUnder is what was erased on request under each of a stream's names, one after the other; nothing if the sink
// cannot erase.
func ErasedUnder(ctx context.Context, sink sinks.Sink, names []string) ([]connector.Seen, error) {
	eraser, can := sink.(sinks.Eraser)
	if !can {
		return nil, nil
	}
	var all []connector.Seen
	for _, name := range names {
		erased, err := eraser.Erased(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read what was erased of stream %s: %w", name, err)
		}
		all = append(all, erased...)
	}
	return all, nil
}

// Elsewhere says where the messages are that other sinks have quarantined before the stream's checkpoint was imported
// from there, and how to see them; "" if there are none.
func (n Names) Elsewhere() string {
	count := n.Checkpoint.Counters.Elsewhere
	if count == 0 {
		return ""
	}
	from := "another sink"
	if n.Checkpoint.ImportedFrom != "" {
		from = "another sink, " + n.Checkpoint.ImportedFrom
	}
	what, lists := text.Thousands(count)+" messages are", "lists them"
	if count == 1 {
		what, lists = "1 message is", "lists it"
	}
	return fmt.Sprintf("%s in the quarantine of %s, from which the checkpoint was imported: "+
		"`twochat-connector quarantine list --config FILE`, with a FILE that names that sink, %s", what, text.Printable(from), lists)
}

func peekName(ctx context.Context, sink sinks.Sink, name string) (connector.Checkpoint, bool, error) {
	c, found, err := Peek(ctx, sink, connector.Claim{Stream: connector.Stream{Name: name}})
	if err != nil {
		err = fmt.Errorf("read the checkpoint of stream %s: %w", name, err)
	}
	return c, found, err
}
