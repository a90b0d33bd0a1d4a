package poller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// colours are the colours of the drawing.
var colours = []struct{ purpose, colour string }{
	{forSearch, "#8e6bb0"},
	{forEnd, "#c2714f"},
	{forEnds, "#d9a520"},
	{forPages, "#6fa8dc"},
	{forProof, "#4f9d69"},
	{forCommit, "#777777"},
	{forElse, "#d04040"},
}

// draw returns the catch-up as an SVG image: a lane for each request that may be in flight, and one for the commits.
// Each request has the number of its page.
func (c *catchUp) draw() string {
	const high, left, perMillisecond = 16, 70, 2.0
	x := func(at time.Duration) float64 { return left + at.Seconds()*1000*perMillisecond }
	wide, tall := x(c.took)+20, (c.inFlight+5)*high
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" font-family="sans-serif" font-size="9">
<rect width="100%%" height="100%%" fill="white"/>
`, wide, tall)
	for at := time.Duration(0); at < c.took; at += 100 * time.Millisecond {
		fmt.Fprintf(&svg, `<line x1="%.0f" y1="0" x2="%.0f" y2="%d" stroke="#ddd"/><text x="%.0f" y="%d">%.1f s</text>
`, x(at), x(at), tall-high, x(at)+2, tall-high-4, at.Seconds())
	}
	bar := func(a action, lane int, text string) {
		colour := ""
		for _, of := range colours {
			if of.purpose == a.purpose {
				colour = of.colour
			}
		}
		y := lane * high
		fmt.Fprintf(&svg, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>
`, x(a.from), y+1, x(a.to)-x(a.from)-.5, high-2, colour, x(a.from)+2, y+high-4, text)
	}
	free := make([]time.Duration, c.inFlight) // when each lane becomes free
	requests := slices.Clone(c.requests)
	slices.SortStableFunc(requests, func(a, b action) int { return cmp.Compare(a.from, b.from) })
	for _, r := range requests {
		lane := slices.IndexFunc(free, func(from time.Duration) bool { return from <= r.from })
		if lane < 0 {
			continue // it ended at the same instant as the one before
		}
		free[lane] = r.to
		bar(r, lane, fmt.Sprint(r.page))
	}
	for _, commit := range c.commits {
		bar(commit, c.inFlight+1, fmt.Sprint(commit.events))
	}
	fmt.Fprintf(&svg, `<text x="2" y="12">requests</text><text x="2" y="%d">commits</text>
`, (c.inFlight+2)*high-4)
	for i, of := range colours {
		fmt.Fprintf(&svg, `<rect x="%d" y="%d" width="9" height="9" fill="%s"/><text x="%d" y="%d">%s</text>
`, left+150*i, tall-12, of.colour, left+12+150*i, tall-4, of.purpose)
	}
	svg.WriteString("</svg>\n")
	return svg.String()
}
