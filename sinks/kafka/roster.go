package kafka

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/segmentio/kafka-go/protocol/syncgroup"
)

const (
	// rosterType is the kind of the group. It is none of Kafka's own, whose tools expect consumers of topics.
	rosterType = "twochat-connector"
	// rosterProtocol is what its members agree on. Another one would be needed if replicas of two releases could not
	// read each other's cards and rosters.
	rosterProtocol = "roster"
)

// card is what a member tells the leader.
type card struct {
	ID string `json:"id"`
}

// roster is what the leader tells each member.
type roster struct {
	Members []string `json:"members"`
}

func writeCard(id string) ([]byte, error) {
	written, err := json.Marshal(card{id})
	return written, wrap("write the member's id", err)
}

// assignRoster gives every member the list of all; none if this one is not the leader.
func assignRoster(all []joingroup.ResponseMember) ([]syncgroup.RequestAssignment, error) {
	var list roster
	for _, m := range all {
		var read card
		if err := json.Unmarshal(m.Metadata, &read); err != nil {
			return nil, fmt.Errorf("read a member's id: %w", err)
		}
		list.Members = append(list.Members, read.ID)
	}
	slices.Sort(list.Members)
	list.Members = slices.Compact(list.Members)
	written, err := writeRoster(list)
	if err != nil {
		return nil, fmt.Errorf("write the list of members: %w", err)
	}
	var assigned []syncgroup.RequestAssignment
	for _, m := range all {
		assigned = append(assigned, syncgroup.RequestAssignment{MemberID: m.MemberID, Assignment: written})
	}
	return assigned, nil
}

// writeRoster compresses the list, because the broker keeps all copies in one record of limited size (1 MB, as is
// usual): otherwise a hundred members would not fit.
func writeRoster(list roster) ([]byte, error) {
	var written bytes.Buffer
	packed, err := flate.NewWriter(&written, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(packed).Encode(list); err != nil {
		return nil, err
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	return written.Bytes(), nil
}

// maxRoster limits how long a list may get that a member reads.
const maxRoster = 4 << 20

func readRoster(written []byte) ([]string, error) {
	var list roster
	err := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(written)), maxRoster)).Decode(&list)
	return list.Members, wrap("read the list of members", err)
}
