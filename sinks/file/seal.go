package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// A sealed file is one JSON object whose first member is the SHA-256 of all that follows. So a flipped bit on the disk,
// or a lost end, is noticed. The file is still JSON for other readers, such as former versions of the program.
const (
	sealStart = `{"sha256":"`
	sealEnd   = `",`
)

var errBroken = errors.New("its checksum is wrong: it was damaged, or changed by another program")

// Seal adds the checksum to a JSON object, which begins with `{`.
func Seal(object []byte) []byte {
	rest := object[1:]
	sum := sha256.Sum256(rest)
	sealed := make([]byte, 0, len(sealStart)+hex.EncodedLen(len(sum))+len(sealEnd)+len(rest))
	sealed = hex.AppendEncode(append(sealed, sealStart...), sum[:])
	return append(append(sealed, sealEnd...), rest...)
}

// Unseal checks what Seal wrote and returns it. former is the beginning of objects that were written before there were
// checksums: these are accepted unchecked.
func Unseal(sealed []byte, former string) (object []byte, err error) {
	if former != "" && bytes.HasPrefix(sealed, []byte(former)) {
		return sealed, nil
	}
	written, ok := bytes.CutPrefix(sealed, []byte(sealStart))
	length := hex.EncodedLen(sha256.Size)
	if !ok || len(written) < length {
		return nil, errBroken
	}
	rest, ok := bytes.CutPrefix(written[length:], []byte(sealEnd))
	sum := sha256.Sum256(rest)
	if !ok || hex.EncodeToString(sum[:]) != string(written[:length]) {
		return nil, errBroken
	}
	return append([]byte{'{'}, rest...), nil
}
