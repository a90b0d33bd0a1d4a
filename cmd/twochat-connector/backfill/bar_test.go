package backfill

import (
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

// Samples of what a bar has to show.
var (
	barSmall = progress{
		stream: "support-history", sequence: 12_345, total: 30_000, begun: true, calls: 345, speed: 81.2,
		left: 220 * time.Second,
	}
	barLarge = progress{
		stream: "a-shop-with-a-rather-long-name-history", sequence: 1_234_567, total: 2_345_678,
		begun: true, calls: 123_456, speed: 1234, left: 119 * time.Minute,
	}
	barHeld = progress{
		stream: "support-history", sequence: 12_345, total: 30_000, begun: true, calls: 345, speed: 81.2,
		left: time.Minute, held: waitReason{word: heldByCredits},
	}
	barLimited = progress{
		stream: "support-history", sequence: 1_234_567, total: 2_345_678, begun: true, calls: 123_456,
		speed: 1, held: waitReason{word: heldByLimit},
	}
	barStarts  = progress{stream: "support-history", total: 30_000, calls: 345}
	barMeasure = progress{stream: "support-history", measuring: true, calls: 12, perMinute: 3}
	barWaits   = progress{
		stream: "support-history", measuring: true, calls: 12, perMinute: 3,
		held: waitReason{word: heldByLimit},
	}
	barDone = progress{
		stream: "support-history", sequence: 30_000, total: 30_000, begun: true, calls: 345, speed: 8.1,
		done: true,
	}
)

// How a bar looks at usual widths. The last column stays free.
func TestProgress_Bar(t *testing.T) {
	for name, row := range map[string]struct {
		progress
		at60, at80, at120 string
	}{
		"small": {
			barSmall,
			" 41% · 12k/30k messages · 81/s · 345 credits · 3 min left",
			"████░░░░░░░░  41% · 12,345/30,000 messages · 81/s · 345 credits · 3 min left",
			"support-history █████████░░░░░░░░░░░░░░░  41% · 12,345 of about 30,000 messages · 81/s · 345 credits · 3 min left",
		},
		"large": {
			barLarge,
			" 52% · 1.2M/2.3M · 1,234/s · 123k credits · 119 min left",
			" 52% · 1,234,567/2,345,678 messages · 1,234/s · 123,456 credits · 119 min left",
			"██████░░░░░░  52% · 1,234,567/2,345,678 messages · 1,234/s · 123,456 credits · 119 min left",
		},
		"held": {
			barHeld,
			" 41% · 12k/30k · waits for credits, then goes on",
			" 41% · 12,345/30,000 messages · 345 credits · waits for credits, then goes on",
			"support-history ████░░░░░░░░  41% · 12,345/30,000 messages · 345 credits · waits for credits, then goes on by itself",
		},
		"limited": {
			barLimited,
			" 52% · 1.2M/2.3M · waits for the rate limit, then goes on",
			" 52% · 1.2M/2.3M · 123k credits · waits for the rate limit, then goes on",
			"██████░░░░░░  52% · 1,234,567/2,345,678 messages · 123,456 credits · waits for the rate limit, then goes on by itself",
		},
		"starts": {
			barStarts,
			"  0% · 0/30k · 345 credits · looking for the beginning",
			"░░░░░░░░░░░░   0% · 0/30,000 messages · 345 credits · looking for the beginning",
			"support-history ░░░░░░░░░░░░░░░░░░░░░░░░   0% · 0 of about 30,000 messages · 345 credits · looking for the beginning",
		},
		"measure": {
			barMeasure,
			"measuring · 12 credits · at most 3 calls a minute",
			"support-history measuring · 12 credits · at most 3 calls a minute",
			"support-history measuring · 12 credits · at most 3 calls a minute",
		},
		"waits": {
			barWaits,
			"measuring · waits for the rate limit, then goes on",
			"measuring · 12 credits · waits for the rate limit, then goes on by itself",
			"support-history measuring · 12 credits · waits for the rate limit, then goes on by itself",
		},
		"done": {
			barDone,
			"████████████ 100% · 30,000 messages · 8.1/s · 345 credits",
			"support-history ████████████ 100% · 30,000 messages · 8.1/s · 345 credits",
			"support-history ████████████████████████ 100% · 30,000 messages · 8.1/s · 345 credits",
		},
	} {
		for columns, want := range map[int]string{60: row.at60, 80: row.at80, 120: row.at120} {
			if got := row.bar(columns - 1); got != want {
				t.Errorf("%s at %d columns:\ngot  %s\nwant %s", name, columns, got, want)
			}
		}
	}
}

// No part of a bar is cut at any width, and a wider terminal shows more.
func TestProgress_BarIsNeverCut(t *testing.T) {
	for _, p := range []progress{barSmall, barLarge, barHeld, barLimited, barStarts, barMeasure, barWaits, barDone} {
		whole := make(map[string]bool)
		for _, style := range barStyles {
			for _, part := range p.parts(style) {
				whole[part.text] = true
			}
		}
		for columns := range 200 {
			line := p.bar(columns)
			if width := text.Width(line); width > columns {
				t.Errorf("%d columns of %d: %s", width, columns, line)
			}
			for part := range strings.SplitSeq(line, " · ") {
				if columns >= len("measuring") && !whole[part] {
					t.Errorf("%q is cut at %d columns: %s", part, columns, line)
				}
			}
		}
	}
}
