package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// groupFunc is a broker's group.
type groupFunc func(ctx context.Context, id string, present func([]string), failed func(error)) error

func (f groupFunc) AttendGroup(ctx context.Context, id string, present func([]string), failed func(error)) error {
	return f(ctx, id, present, failed)
}

func TestAttendGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		begun := time.Now()
		changed := func(v View) {
			said := v.Self + ":"
			for _, m := range v.Members {
				said += " " + m.ID + "@" + m.Since.Sub(begun).String()
			}
			told = append(told, said)
		}
		failed := func(err error) {
			if err == nil {
				told = append(told, "works again")
				return
			}
			told = append(told, err.Error())
		}
		ended := errors.New("ended")
		group := groupFunc(func(_ context.Context, _ string, present func([]string), failed func(error)) error {
			failed(errors.New("down"))
			failed(errors.New("still down"))
			present([]string{"a"})
			time.Sleep(time.Second)
			present([]string{"b", "a", "b"})
			present([]string{"a", "b"})
			time.Sleep(time.Second)
			failed(errors.New("down"))
			present([]string{"c", "b"})
			return ended
		})
		if err := AttendGroup(t.Context(), group, "a", changed, failed); !errors.Is(err, ended) {
			t.Error(err)
		}
		want := []string{"down", "works again", "a: a@0s", "a: a@0s b@1s", "down", "works again", "a: b@1s c@2s"}
		if !slices.Equal(told, want) {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Who is refused by the broker for long counts on itself alone, until the broker tells who is there. Silence changes
// nothing.
func TestAttendGroup_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		begun := time.Now()
		tell := func(what string) { told = append(told, time.Since(begun).String()+" "+what) }
		changed := func(v View) { tell(strings.Join(idsOf(v), " ")) }
		failed := func(err error) {
			if err == nil {
				tell("works again")
				return
			}
			tell(err.Error())
		}
		refusal := &connector.Refusal{Thing: "group", Cause: "forbidden", Hint: "allow it"}
		group := groupFunc(func(_ context.Context, _ string, present func([]string), failed func(error)) error {
			present([]string{"a", "b"})
			for range 20 {
				failed(errors.New("down"))
				time.Sleep(time.Second)
			}
			for range 15 {
				failed(refusal)
				time.Sleep(time.Second)
			}
			present([]string{"a", "b"})
			failed(refusal)
			time.Sleep(Lifetime - time.Second)
			failed(refusal)
			return nil
		})
		if err := AttendGroup(t.Context(), group, "a", changed, failed); err != nil {
			t.Error(err)
		}
		want := []string{
			"0s a b", "0s down", "20s group: forbidden; allow it", "30s a", "35s works again", "35s a b",
			"35s group: forbidden; allow it",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}
