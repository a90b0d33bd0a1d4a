package fleet

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func TestView_Owns(t *testing.T) {
	now := time.Now()
	if !Alone("a", now).Owns("support") {
		t.Error("a replica alone does not own a stream")
	}
	if (View{}).Owns("support") || (View{Self: "a"}).Owns("support") {
		t.Error("a replica without a view owns a stream")
	}
	both := []Member{{ID: "a", Since: now}, {ID: "b", Since: now}}
	if (View{Self: "a", Members: both}).Owns("support") == (View{Self: "b", Members: both}).Owns("support") {
		t.Error("a stream has not exactly one owner")
	}
}

func BenchmarkView_Owner(b *testing.B) {
	v := View{Self: "a"}
	for i := range 100 {
		v = v.with(append(idsOf(v), fmt.Sprintf("twochat-connector-7c9f8d6b5c-%05d:8080.abcdefghijklmnop", i)), time.Now())
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Owner("+595981048477")
	}
}

func idsOf(v View) (ids []string) {
	for _, m := range v.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

// A member that comes takes about its share, and nothing moves between those who were there.
func TestView_Moves(t *testing.T) {
	const streams = 10_000
	v := View{}
	for members := 1; members <= 12; members++ {
		comer := NewID("f", fmt.Sprintf("pod-%d:8080", members), fmt.Sprintf("x%d", members))
		next := v.with(append(idsOf(v), comer), time.Now())
		moved := 0
		for i := range streams {
			stream := fmt.Sprintf("+5959810%05d", i)
			before, after := v.Owner(stream), next.Owner(stream)
			if before == after {
				continue
			}
			moved++
			if slices.Contains(idsOf(v), after) {
				t.Fatalf("%s moved from %s to %s, who was there before", stream, before, after)
			}
		}
		// Five standard deviations of a fair share.
		share := float64(streams) / float64(members)
		if off := math.Abs(float64(moved) - share); off > 5*math.Sqrt(share) {
			t.Errorf("%d of %d streams moved to member %d, want about %.0f", moved, streams, members, share)
		}
		v = next
	}
}

// The score is a promise between releases.
func TestScore_IsFixed(t *testing.T) {
	if got := Score("support", "pod:8080.abc"); got != 0x83644388ca1812f6 {
		t.Errorf("the score is %#x", got)
	}
}
