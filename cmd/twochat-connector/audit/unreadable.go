package audit

import (
	"fmt"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

// unclaimed records what was read among the events of each stream and may be of any: it counts once. It is recorded
// before the lists are read, as it does not depend on them.
func (r *Report) unclaimed(all []*audited) {
	known := make(map[connector.RecordPosition]struct{})
	for _, one := range all {
		for _, at := range one.log.unclaimed {
			if _, twice := known[at]; twice {
				continue
			}
			known[at] = struct{}{}
			if len(r.UnreadableAt) < mostPlaces {
				r.UnreadableAt = append(r.UnreadableAt, at.String())
			}
		}
	}
	r.Unreadable = len(known)
}

const unreadableAdvice = "unreadable records were written by another program, or are damaged: `twochat-connector check` " +
	"shows whether `run` can continue despite them"

// writeUnreadable prints what may be of any stream.
func (r *Report) writeUnreadable(out *strings.Builder) {
	if r.Unreadable == 0 {
		return
	}
	fmt.Fprintf(out, "Among the events of all streams:\n%7s %-13s %s\n", text.Thousands(r.Unreadable), "unreadable",
		"records that are not events and name no stream: what they held is missing from one")
	for _, d := range unreadable(r.UnreadableAt[:min(len(r.UnreadableAt), mostShown)]) {
		fmt.Fprintf(out, "  %-12s  %s\n", d.Kind, d.Text)
	}
	fmt.Fprintf(out, "  → %s\n", unreadableAdvice)
}

// unreadable are the lines about the places of such records.
func unreadable(places []string) (all []detail) {
	for _, place := range places {
		all = append(all, detail{"unreadable", text.Printable(place)})
	}
	return all
}
