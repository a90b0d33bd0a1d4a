package reader

import "github.com/twochat-connector/twochat-connector/connector"

// classify sorts the messages of a walk (rule 4) by what the reader knows (known.go):
//
//   - A duplicate, a message that is known, is dropped here: it was delivered before, or is not wanted. (A sweep drops
//     duplicates in sweep.go, and a row that the list shows twice never gets here: see addMessages in walk.go.)
//   - A message above everything known is new, unless the walk began below known messages.
//   - A message below a known one is late (see late.go). It is delivered if an event that was delivered in order is
//     below it and nothing newer than that event was forgotten or erased, or if the reader has forgotten nothing at all.
//   - Otherwise it is held, as it may have been delivered and forgotten.
//
// It returns what is to be delivered, oldest first, and how many messages are held.
func (r *Reader) classify(order []found, belowKnown bool) (delivery, int) {
	below := make([]*connector.Key, len(order))
	anchors := r.known.anchors(len(order), func(i int) connector.Key { return order[i].Key })
	var anchor *connector.Key
	for i := len(order) - 1; i >= 0; i-- {
		below[i] = anchor
		if anchors[i] || r.chain.holds(order[i].Key) {
			anchor = &order[i].Key
		}
	}
	var b delivery
	held, late := 0, belowKnown
	for i := range order {
		switch f := &order[i]; {
		case r.known.has(f.Key): // a duplicate is dropped
			late = true
		case !late, below[i] != nil && (r.known.wholeAbove(*below[i]) || r.chain.holds(*below[i])), below[i] == nil &&
			!r.known.forgetful():
			if late {
				b.addLate(f, lownessOf(&r.known.recorded, below[i]))
			} else {
				b.add(f, false)
			}
		default:
			held += r.known.countHeld(f.Key)
		}
	}
	b.oldestFirst()
	return b, held
}
