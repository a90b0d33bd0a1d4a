package fleet

import (
	"context"
	"time"
)

const (
	// Round is how often a replica announces itself and looks who else is there.
	Round = 3 * time.Second
	// Lifetime is how long an announcement counts. Whoever is not heard of for longer is gone.
	Lifetime = 10 * time.Second
)

// Board is a sink on which replicas announce themselves. It is safe for concurrent use. Each call makes one bounded
// attempt. An error says what failed.
type Board interface {
	// AnnounceMember records for Lifetime that a member is there. What was recorded is seen by every later ListMembers.
	AnnounceMember(ctx context.Context, id string) error
	// WithdrawMember takes back what a member announced, so that it is gone at once.
	WithdrawMember(ctx context.Context, id string) error
	// ListMembers returns the members whose announcements count now, the caller's own included, in any order.
	ListMembers(ctx context.Context) ([]string, error)
	// HearMembers calls heard whenever a member announces itself or withdraws (leaves) from now on, the caller included,
	// until the context ends. Some may be missed. The error says why nothing can be heard any more.
	HearMembers(ctx context.Context, heard func(id string, leaves bool)) error
}

// Group is a sink whose broker itself keeps the list of members.
type Group interface {
	// AttendGroup takes part as this member until the context ends, then leaves the group and returns nil. It calls
	// present, from one goroutine, with all members, itself included, whenever they may have changed. While the broker
	// cannot be reached it calls nothing and tries again, at growing intervals, telling failed each time. The error is a
	// *connector.Refusal if this can never work as things are, for example without the right to the group.
	AttendGroup(ctx context.Context, id string, present func(ids []string), failed func(error)) error
}
