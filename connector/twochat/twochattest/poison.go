package twochattest

import (
	"fmt"
	"strings"
)

// Poison is a kind of item that cannot become an event. A reader has to set it aside and continue with the rest of the
// page.
type Poison string

// The kinds of poison.
const (
	PoisonNoID        Poison = "no id"         // an object with neither uuid nor id
	PoisonBadID       Poison = "bad id"        // a uuid that is a number, empty, or has blanks in it
	PoisonNotObject   Poison = "not an object" // a number, a string or an array
	PoisonInvalidUTF8 Poison = "invalid UTF-8" // an object with bytes in a text that are not UTF-8
	PoisonTooLarge    Poison = "too large"     // an object of more than 1 MiB
)

var poisons = []Poison{"", PoisonNoID, PoisonBadID, PoisonNotObject, PoisonInvalidUTF8, PoisonTooLarge}

// Poisons lists every kind.
func Poisons() []Poison { return append([]Poison(nil), poisons[1:]...) }

func poisonNumber(p Poison) uint8 {
	for i := 1; i < len(poisons); i++ {
		if poisons[i] == p {
			return uint8(i)
		}
	}
	panic(fmt.Sprintf("twochattest: no poison %q", p))
}

func (n *list) appendPoison(dst []byte, index uint32, r row) []byte {
	l, key := n.look(index), n.chats[r.chat].sessionKey
	rest := fmt.Sprintf(`"timestamp":%d.0,"session_key":%q,"message":{"text":"poison %d"},"sent_by":"user"}`, r.at, key,
		index)
	switch poisons[r.poison] {
	case PoisonNoID:
		return append(append(dst, '{'), rest...)
	case PoisonBadID:
		return append(append(dst, [...]string{`{"uuid":12345,`, `{"uuid":"",`, `{"uuid":"has blanks",`}[l.salt%3]...),
			rest...)
	case PoisonNotObject:
		return fmt.Appendf(dst, [...]string{`%d`, `"item %d"`, `[%d]`}[l.salt%3], index)
	case PoisonInvalidUTF8:
		return fmt.Appendf(dst, `{"uuid":"%s","message":{"text":"caf%s"},"sent_by":"user","timestamp":%d.0}`, l.uuid(),
			"\xe9 \xff", r.at)
	default:
		return fmt.Appendf(dst, `{"uuid":"%s","message":{"text":"%s"},"sent_by":"user","timestamp":%d.0}`, l.uuid(),
			strings.Repeat("x", 1<<20), r.at)
	}
}
