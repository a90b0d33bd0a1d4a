package fleet

// troubles are the calls of the board that fail now.
type troubles struct {
	errs [hearing + 1]error
	told operation
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

// changed returns what fails, nil if nothing does, and whether that is another operation than at the last call.
func (t *troubles) changed() (error, bool) {
	now := none
	for o := hearing; o > none; o-- {
		if t.errs[o] != nil {
			now = o
		}
	}
	changed := now != t.told
	t.told = now
	return t.errs[now], changed
}
