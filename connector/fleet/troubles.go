package fleet

import (
	"errors"

	"github.com/twochat-connector/twochat-connector/connector"
)

// troubles are the calls of the board that fail now.
type troubles struct {
	errs [hearing + 1]error
	told operation
	why  string // the refusal that was told; empty if it was none
}

// operation is a call of the board; the zero value is none.
type operation int

// The first that fails is told: it matters most.
const (
	none operation = iota
	announcing
	listing
	hearing
)

func (t *troubles) set(o operation, err error) { t.errs[o] = err }

// changed returns what fails, nil if nothing does, and whether that is another operation or refusal than at the last
// call. Without a refusal the texts differ from call to call, and say the same.
func (t *troubles) changed() (error, bool) {
	now := none
	for o := hearing; o > none; o-- {
		if t.errs[o] != nil {
			now = o
		}
	}
	why := refusalText(t.errs[now])
	changed := now != t.told || why != t.why
	t.told, t.why = now, why
	return t.errs[now], changed
}

// refusalText is what a refusal says; empty if err is none: then nobody answered, or somebody says that it may work later.
func refusalText(err error) string {
	if refusal := (*connector.Refusal)(nil); errors.As(err, &refusal) {
		return refusal.Error()
	}
	return ""
}
