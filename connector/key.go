package connector

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Key identifies a message in memory and in checkpoints: 16 bytes, however long its uuid is.
type Key [16]byte

// uuidPrefix is the prefix of 2Chat's message ids (connector/README.md, Items).
const uuidPrefix = "MSG"

// MessageKey returns the key of a message's uuid: the 16 bytes of the UUID if it has 2Chat's usual form, MSG and a
// lower-case UUID, and otherwise the first 16 bytes of its SHA-256. Two different uuids have different keys.
func MessageKey(uuid string) Key {
	if key, ok := packUUID(uuid); ok {
		return key
	}
	return ContentKey([]byte(uuid))
}

// ContentKey returns the key of a message without a usable uuid: the first 16 bytes of the SHA-256 of its bytes.
func ContentKey(raw []byte) Key {
	sum := sha256.Sum256(raw)
	return Key(sum[:16])
}

func packUUID(uuid string) (key Key, ok bool) {
	if len(uuid) != len(uuidPrefix)+36 || uuid[:len(uuidPrefix)] != uuidPrefix {
		return key, false
	}
	var digits [32]byte
	n := 0
	for i, c := range []byte(uuid[len(uuidPrefix):]) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return key, false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f':
			digits[n] = c
			n++
		default:
			return key, false
		}
	}
	_, err := hex.Decode(key[:], digits[:])
	return key, err == nil
}

// Keys is a list of keys. In JSON it is one base64 string of the concatenated keys.
type Keys []Key

// MarshalJSON packs the keys.
func (k Keys) MarshalJSON() ([]byte, error) {
	packed := make([]byte, 0, len(k)*len(Key{}))
	for i := range k {
		packed = append(packed, k[i][:]...)
	}
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(packed))+2)
	out = append(out, '"')
	out = base64.StdEncoding.AppendEncode(out, packed)
	return append(out, '"'), nil
}

// UnmarshalJSON parses what MarshalJSON wrote.
func (k *Keys) UnmarshalJSON(data []byte) error {
	var packed []byte
	if err := json.Unmarshal(data, &packed); err != nil {
		return fmt.Errorf("unpack keys: %w", err)
	}
	size := len(Key{})
	if len(packed)%size != 0 {
		return fmt.Errorf("unpack keys: %d bytes are not a whole number of keys", len(packed))
	}
	*k = make(Keys, len(packed)/size)
	for i := range *k {
		copy((*k)[i][:], packed[i*size:])
	}
	return nil
}
