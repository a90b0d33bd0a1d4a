package fleet

import (
	"crypto/sha256"
	"encoding/binary"
)

// Score is how strongly a stream is drawn to a member: the first eight bytes of SHA-256 over both. The stream belongs to
// the member with the highest score (rendezvous hashing), so a member that comes or goes moves no stream between the
// others. Every release has to compute the same, as replicas of two releases run side by side during an update.
func Score(stream, member string) uint64 {
	var room [128]byte // so that usual names need no allocation: a change of members scores every stream with each
	sum := sha256.Sum256(append(append(append(room[:0], stream...), 0), member...))
	return binary.BigEndian.Uint64(sum[:])
}
