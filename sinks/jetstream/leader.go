package jetstream

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error codes of JetStream that decide what an answer means.
const (
	codeAccountFull         = 10002
	codeNoPeers             = 10005
	codeClusterUnavailable  = 10008
	codeClusterNotLeader    = 10009
	codeNoResources         = 10023
	codeMemoryFull          = 10028
	codeNoMessage           = 10037
	codeNotEnabledInAccount = 10039
	codeNoSequence          = 10043
	codeStorageFull         = 10047
	codeTooLarge            = 10054
	codeNameTaken           = 10058
	codeStreamMissing       = 10059
	codeOtherStream         = 10060
	codeSubjectsTaken       = 10065
	codeWrongSequence       = 10071
	codeNoReplicas          = 10074
	codeNotEnabled          = 10076
	codeStoreFailed         = 10077
	codeSealed              = 10109
	codeBytesRequired       = 10113
	codeBytesExceeded       = 10122
	codeWrongSequencePlain  = 10164
	codeTTLDisabled         = 10166
	codeBatchesDisabled     = 10174
	codeBatchIncomplete     = 10176
	codeDuplicateInBatch    = 10201
	codeTooManyBatches      = 10210
)

// stored is a message as the stream's leader holds it. Only the leader is asked: a replica may lag.
type stored struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Head     []byte `json:"hdrs"`
	Data     []byte `json:"data"`
}

func (m *stored) header() (natsgo.Header, error) {
	if len(m.Head) == 0 {
		return nil, nil
	}
	header, err := natsgo.DecodeHeadersMsg(m.Head)
	if err != nil {
		return nil, fmt.Errorf("decode headers: %w", err)
	}
	return header, nil
}

// query selects one message: the newest one on the subject Last, which may have wildcards, or the first one on the
// subject Next at or after the stream sequence From.
type query struct {
	Last string `json:"last_by_subj,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	From uint64 `json:"seq,omitempty"`
}

// get asks the stream's leader for a message; found is false if there is none.
func (k *link) get(ctx context.Context, stream string, q query) (m stored, found bool, err error) {
	var answer struct {
		Message stored `json:"message"`
	}
	err = k.ask(ctx, "STREAM.MSG.GET."+stream, q, &answer)
	var api *apiError
	if errors.As(err, &api) && api.Code == codeNoMessage {
		return stored{}, false, nil
	}
	return answer.Message, err == nil, err
}

// streamInfo asks for the stream's configuration and state.
func (k *link) streamInfo(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	var info jetstream.StreamInfo
	if err := k.ask(ctx, "STREAM.INFO."+stream, nil, &info); err != nil {
		return nil, err
	}
	return &info, nil
}

// count asks how many messages the leader holds under a subject, if they are few. ok is false if the answer does not
// fit into one page.
func (k *link) count(ctx context.Context, stream, subject string) (n uint64, ok bool, err error) {
	var answer struct {
		Total int `json:"total"`
		Limit int `json:"limit"`
		State struct {
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	request := struct {
		Filter string `json:"subjects_filter"`
	}{subject}
	if err := k.ask(ctx, "STREAM.INFO."+stream, request, &answer); err != nil {
		return 0, false, err
	}
	for _, messages := range answer.State.Subjects {
		n += messages
	}
	return n, answer.Total <= len(answer.State.Subjects), nil
}

// purge removes all but the newest message of a subject.
func (k *link) purge(ctx context.Context, stream, subject string) error {
	request := struct {
		Filter string `json:"filter"`
		Keep   int    `json:"keep"`
	}{subject, 1}
	var answer struct{}
	return k.ask(ctx, "STREAM.PURGE."+stream, request, &answer)
}
