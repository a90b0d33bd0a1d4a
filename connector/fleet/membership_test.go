package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	self    = "pod:8080.new"
	ghost   = "pod:8080.old"
	nobody  = ""        // it waits
	unaware = "unknown" // it has no view yet
)

// script has a membership go through events at given times.
type script struct {
	*membership
	begin, now time.Time
}

// at lets time pass until then, counted from the begin.
func (s *script) at(t time.Duration) *script {
	s.now = s.begin.Add(t)
	s.tick(s.now)
	return s
}

// round is a round in which everything works at once.
func (s *script) round(ids ...string) (ghosts []string) {
	s.announced(s.now, s.now)
	return s.list(ids...)
}

func (s *script) list(ids ...string) (ghosts []string) { return s.listed(ids, s.now, s.now) }

// refuse has the board refuse what it is asked at these times.
func (s *script) refuse(times ...time.Duration) {
	for _, t := range times {
		s.at(t).refused(s.now)
	}
}

func (s *script) hear(id string)      { s.heard(id, false, s.now) }
func (s *script) hearLeave(id string) { s.heard(id, true, s.now) }

// both is a replica that counts on itself and on b from Round on.
func (s *script) both() {
	s.at(0).round(self, "b")
	s.at(Round).round(self, "b")
}

func TestMembership(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(s *script)
		want string
	}{
		{"begins unaware", func(*script) {}, unaware},
		{"cannot announce itself", func(s *script) { s.at(time.Minute).list("b") }, unaware},
		{"cannot list", func(s *script) { s.announced(s.now, s.now); s.at(2 * Round) }, unaware},
		{"a newcomer that finds nobody takes all at once", func(s *script) { s.round(self) }, self},
		{"a newcomer that finds others waits", func(s *script) { s.round(self, "b"); s.at(Round - 1) }, nobody},
		{"a newcomer waits a round", func(s *script) { s.round(self, "b"); s.at(Round) }, "b " + self},
		{
			"a newcomer waits for others that it only heard",
			func(s *script) { s.announced(s.now, s.now); s.hear("b"); s.list(self) }, nobody,
		},
		{"a newcomer that hears one who came later goes on", func(s *script) { s.round(self); s.hear("b") }, "b " + self},
		{"a ghost is not waited for", func(s *script) { s.round(self, ghost) }, self},
		{"a ghost is still listed", func(s *script) { s.round(self, ghost); s.at(Round).round(self, ghost) }, self},
		{"a ghost is heard", func(s *script) { s.round(self, ghost); s.hear(ghost) }, self + " " + ghost},
		{
			"a ghost is listed for longer than it can be", func(s *script) {
				s.round(self, ghost)
				for at := Round; at <= Lifetime+2*Round; at += Round {
					s.at(at).round(self, ghost)
				}
			}, self + " " + ghost,
		},
		{"a member comes", func(s *script) { s.both(); s.hear("c") }, "b c " + self},
		{"a member comes unheard", func(s *script) { s.both(); s.at(2*Round).round(self, "b", "c") }, "b c " + self},
		{"a member leaves", func(s *script) { s.both(); s.hearLeave("b") }, self},
		{"a member leaves unheard", func(s *script) { s.both(); s.at(2 * Round).round(self) }, self},
		{
			"a member that left is in a list that is older",
			func(s *script) { s.both(); s.hearLeave("b"); s.list(self, "b") }, self,
		},
		{
			"a member that left is back",
			func(s *script) { s.both(); s.hearLeave("b"); s.hear("b"); s.list(self, "b") }, "b " + self,
		},
		{
			"a member that left stays listed", func(s *script) {
				s.both()
				s.hearLeave("b")
				for at := 2 * Round; at <= Round+Lifetime+Round; at += Round {
					s.at(at).round(self, "b")
				}
			}, "b " + self,
		},
		{
			"a member that was heard is not in a list that is older",
			func(s *script) { s.both(); s.hear("c"); s.list(self, "b") }, "b c " + self,
		},
		{
			"a member that was heard is gone", func(s *script) {
				s.both()
				s.hear("b")
				s.at(2 * Round).round(self)
				s.at(3 * Round).round(self)
			}, self,
		},
		{"who is cut off keeps its view", func(s *script) { s.both(); s.at(time.Hour) }, "b " + self},
		{
			"who cannot write takes nothing over from who is gone",
			func(s *script) { s.both(); s.at(Round + Lifetime).list("c") }, "b " + self,
		},
		{
			"who cannot write takes nothing over from who leaves",
			func(s *script) { s.both(); s.at(Round + Lifetime); s.hearLeave("b") }, "b " + self,
		},
		{
			"who cannot write gives up to who comes",
			func(s *script) { s.both(); s.at(Round + Lifetime); s.hear("c") }, "b c " + self,
		},
		{
			"who could not write for less than Lifetime goes on",
			func(s *script) { s.both(); s.at(Round+Lifetime-1).round(self, "b") }, "b " + self,
		},
		{
			"who was absent begins anew",
			func(s *script) { s.both(); s.at(Round+Lifetime).round(self, "b"); s.at(Lifetime + 2*Round - 1) }, nobody,
		},
		{
			"who was absent waits a round",
			func(s *script) { s.both(); s.at(Round+Lifetime).round(self, "c"); s.at(Lifetime + 2*Round) }, "c " + self,
		},
		{
			"who was absent waits for those who were so too",
			func(s *script) { s.both(); s.at(Round + Lifetime).round(self) }, nobody,
		},
		{
			"who was absent, and alone before and after, goes on",
			func(s *script) { s.round(self); s.at(time.Minute).round(self) }, self,
		},
		{
			"who was absent, and alone before, begins anew",
			func(s *script) { s.round(self); s.at(time.Minute).round(self, "b") }, nobody,
		},
		{
			"who was absent while it waited waits again", func(s *script) {
				s.round(self, "b")
				s.now = s.begin.Add(time.Minute)
				s.round(self, "b")
			}, nobody,
		},
		{
			"what was heard while stopped may be old",
			func(s *script) {
				s.both()
				s.at(time.Minute).hear("c")
				s.round(self, "b")
				s.at(time.Minute + Round)
			}, "b " + self,
		},
		{
			"an acknowledgement that arrives after Lifetime says nothing",
			func(s *script) {
				s.both()
				s.at(time.Minute).announced(s.begin, s.now)
				s.list("c")
			}, "b " + self,
		},
		{
			"who is refused for less than Lifetime goes on",
			func(s *script) { s.both(); s.refuse(2*Round, 2*Round+Lifetime-1) }, "b " + self,
		},
		{
			"who is refused for Lifetime owns everything",
			func(s *script) { s.both(); s.refuse(2*Round, 2*Round+Lifetime) }, self,
		},
		{
			"who is refused owns everything in time, also between two rounds",
			func(s *script) { s.both(); s.refuse(2*Round, 4*Round); s.at(2*Round + Lifetime) }, self,
		},
		{
			"who was refused and hears nothing any more goes on", func(s *script) {
				s.both()
				s.refuse(2*Round, 3*Round)
				s.unanswered()
				s.at(time.Minute)
			}, "b " + self,
		},
		{
			"who is refused once in a while goes on", func(s *script) {
				s.both()
				for at := 2 * Round; at < time.Minute; at += 2 * Round {
					s.refuse(at)
					s.at(at+Round).round(self, "b")
				}
			}, "b " + self,
		},
		{
			"a list may still show who is refused", func(s *script) {
				s.both()
				s.refuse(2 * Round)
				s.at(Lifetime).list(self, "b")
				s.at(Lifetime + Round - 1).list("b")
				s.at(Lifetime + Round).list("c")
			}, "b " + self,
		},
		{
			"a list replaces the lost answer also after a refusal", func(s *script) {
				s.both()
				s.refuse(2 * Round)
				s.unanswered()
				for at := 3 * Round; at < time.Minute; at += Round {
					s.at(at).list(self, "b")
				}
				s.hearLeave("b")
			}, self,
		},
		{
			"a newcomer that is refused owns everything",
			func(s *script) { s.round(self, "b"); s.refuse(Round/2, Round/2+Lifetime) }, self,
		},
		{
			"who was refused owns everything until the others have noticed it",
			func(s *script) {
				s.both()
				s.refuse(2*Round, 2*Round+Lifetime)
				s.at(time.Minute).round(self, "b")
				s.at(time.Minute + Round - 1)
			}, self,
		},
		{
			"who was refused has its share when the others have noticed it",
			func(s *script) {
				s.both()
				s.refuse(2*Round, 2*Round+Lifetime)
				s.at(time.Minute).round(self, "b")
				s.hear("c")
				s.at(time.Minute + Round)
			}, "b c " + self,
		},
		{
			"who was refused waits for those who were so too",
			func(s *script) {
				s.both()
				s.refuse(2*Round, 2*Round+Lifetime)
				s.at(time.Minute).round(self)
				s.hear("b")
				s.at(time.Minute + Round)
			}, "b " + self,
		},
		{
			"who is refused again owns everything again",
			func(s *script) {
				s.both()
				s.refuse(2*Round, 2*Round+Lifetime)
				s.at(time.Minute).round(self, "b")
				s.at(time.Minute+Round).round(self, "b")
				s.refuse(time.Minute+2*Round, time.Minute+2*Round+Lifetime)
			}, self,
		},
		{
			"a list that shows the replica replaces the lost answer", func(s *script) {
				s.both()
				for at := 2 * Round; at < time.Minute; at += Round {
					s.at(at).list(self, "b")
				}
				s.hearLeave("b")
			}, self,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Now()
			s := &script{newMembership(self), now, now}
			test.do(s)
			got := unaware
			if view, known := s.view(); known {
				got = strings.Join(idsOf(view), " ")
			}
			if got != test.want {
				t.Errorf("counts on %q, want %q", got, test.want)
			}
		})
	}
}

func TestMembership_Ghosts(t *testing.T) {
	now := time.Now()
	s := &script{newMembership(self), now, now}
	if ghosts := s.round(self, ghost, "pod:8081.old", "other:8080.old"); !slices.Equal(ghosts, []string{ghost}) {
		t.Errorf("withdraws %q", ghosts)
	}
	if ghosts := s.at(Round).round(self, ghost); len(ghosts) > 0 {
		t.Errorf("withdraws %q again", ghosts)
	}
	nameless := &script{newMembership(NewID("f", "", "X7")), now, now}
	if ghosts := nameless.round(nameless.self, NewID("f", "", "Y8")); len(ghosts) > 0 {
		t.Errorf("withdraws %q without a label", ghosts)
	}
}

func TestMembership_TakenForAGhost(t *testing.T) {
	now := time.Now()
	s := &script{newMembership(self), now, now}
	s.both()
	if !s.heard(self, true, s.now) || s.heard(self, false, s.now) || s.heard("b", true, s.now) {
		t.Error("it has to announce itself again if it hears that it left, and only then")
	}
}

// Members keep the time since when they count for as long as they stay.
func TestMembership_Since(t *testing.T) {
	now := time.Now()
	s := &script{newMembership(self), now, now}
	s.both()
	s.at(2*Round).round(self, "b", "c")
	view, _ := s.view()
	for i, want := range []time.Duration{0, 2 * Round, Round} {
		if got := view.Members[i].Since.Sub(now); got != want {
			t.Errorf("%s counts since %v, want %v", view.Members[i].ID, got, want)
		}
	}
}
