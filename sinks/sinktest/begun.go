package sinktest

import (
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
)

// begunLabel marks goroutines with the case that began them.
const begunLabel = "begun by"

// begun finds the goroutines that a case began, and those that they began. All others belong to the storage, or to a
// case that runs at the same time.
type begun struct{ mark string }

// by runs a part of a case whose goroutines are to be found.
func (b *begun) by(s *scene, part func()) {
	b.mark = fmt.Sprintf("%s %p", s.Name(), b)
	pprof.Do(context.Background(), pprof.Labels(begunLabel, b.mark), func(context.Context) { part() })
}

// running lists the stacks of the goroutines that have not ended, apart from the case's own.
func (b *begun) running(s *scene) string {
	s.Helper()
	var all strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		s.Fatal(err)
	}
	var left []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", begunLabel, b.mark)) && !strings.Contains(stack, "(*begun).running") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
