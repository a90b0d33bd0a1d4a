package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one problem of the configuration.
type Problem struct {
	Origin Origin
	// Path is the dotted path of the key; empty if the problem concerns the whole file.
	Path string
	// Text is what was expected and, if it helps, the kind of value that was found. It quotes no value.
	Text string
}

// Origin is where a value comes from.
type Origin struct {
	// Name is the file's path, "environment NAME" or "flag --name"; "configuration" if it is not known.
	Name string
	// Line is counted from 1; 0 outside files.
	Line int

	rank rank
}

type rank int

const (
	inFile rank = iota
	inEnvironment
	inFlags
	nowhere
)

// String is `file:line`, or the origin without a line.
func (o Origin) String() string {
	if o.Line > 0 {
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	}
	return o.Name
}

// String is `file:line: dotted.path: text`. The flag of a key's own name makes the path redundant.
func (p Problem) String() string {
	if p.Path == "" || p.Origin.Name == "flag --"+p.Path {
		return fmt.Sprintf("%s: %s", p.Origin, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.Origin, p.Path, p.Text)
}

// Problems are all problems in a stable order: down the file, then environment, flags and the rest. The error's text
// has a line for each.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Origin.rank, b.Origin.rank), cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Name, b.Origin.Name),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
}

// Nearest is the known name with the smallest edit distance, or "" if none is near enough to be meant.
func Nearest(name string, known []string) string {
	best, distance := "", len(name)/2+1
	for _, candidate := range known {
		if d := editDistance(strings.ToLower(name), candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			exchange := last[j-1]
			if a[i-1] != b[j-1] {
				exchange++
			}
			row[j] = min(exchange, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
