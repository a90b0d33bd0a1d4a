package kafka

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// identityVersion is the first version of a metadata request in which brokers (2.8 and newer) report a topic's id.
// kafka-go does not know that version, so the message is kmsg's.
const identityVersion = 10

// identities requests the topics' ids: a topic that was deleted and recreated has another one. It is sent over
// kafka-go's connection as a raw message.
type identities struct {
	request kmsg.MetadataRequest
	answer  *kmsg.MetadataResponse
}

var _ protocol.RawExchanger = (*identities)(nil)

func (*identities) ApiKey() protocol.ApiKey                 { return protocol.Metadata }
func (*identities) Required(map[protocol.ApiKey]int16) bool { return true }

func (i *identities) RawExchange(conn io.ReadWriter) (protocol.Message, error) {
	const correlation = 0x2c4a7
	raw := binary.BigEndian.AppendUint16(make([]byte, 4), uint16(protocol.Metadata))
	raw = binary.BigEndian.AppendUint16(raw, identityVersion)
	raw = binary.BigEndian.AppendUint32(raw, correlation)
	raw = binary.BigEndian.AppendUint16(raw, 0) // an empty client id
	raw = append(raw, 0)                        // no tags
	raw = i.request.AppendTo(raw)
	binary.BigEndian.PutUint32(raw, uint32(len(raw)-4))
	if _, err := conn.Write(raw); err != nil {
		return nil, err
	}
	var head [9]byte // size, correlation, no tags
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 5 || size > maxMetadata || binary.BigEndian.Uint32(head[4:]) != correlation || head[8] != 0 {
		return nil, errNoAnswer
	}
	body := make([]byte, size-5)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	i.answer = kmsg.NewPtrMetadataResponse()
	i.answer.SetVersion(identityVersion)
	if err := i.answer.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("decode metadata: %w", err)
	}
	return i, nil
}

// maxMetadata limits the answer, which is about three topics.
const maxMetadata = 16 << 20
