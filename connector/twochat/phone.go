package twochat

import "bytes"

const (
	// fewestDigits is the number of digits in a row, with or without separators, from which a text counts as a phone
	// number.
	fewestDigits = 7
	// fewestOwn is the number of digits that one of the item's own numbers needs so that its digits alone identify it.
	fewestOwn = 5
	// mostDigits is how many digits a phone number has at most (E.164).
	mostDigits = 15
	// mostSeparators is how many separators in a row there may be between the digits of one number.
	mostSeparators = 4
	// keptDigits bounds how many digits of a run are kept.
	keptDigits = 64
)

// own is a number that the item itself names, in a member for numbers or in a WhatsApp id, with its token.
type own struct {
	digits string
	token  string
}

// reading is a phone number that was found in a text.
type reading struct {
	digits []byte // in ASCII, as written
	end    int    // the place after it
	groups int
	plus   bool
}

// readDigits reads the digits that begin at i, or at a plus sign there: groups of digits with separators between them,
// up to as many groups as one number can have. It ends earlier if the digits so far are one of the item's own numbers.
func readDigits(text []byte, i int, owns []own, room []byte) reading {
	got := reading{digits: room[:0], end: i}
	separators, groups := 0, 1
	var group int // where the last group begins in digits
	for at := i; ; {
		u := unitAt(text, at)
		switch u.kind {
		case unitDigit:
			if separators > 0 && len(got.digits) > 0 {
				groups++
				group = len(got.digits)
			}
			separators = 0
			if len(got.digits) < keptDigits {
				got.digits = append(got.digits, u.digit)
			}
			if len(got.digits) > mostDigits && group > 0 {
				// Two numbers side by side: the last group is not part of this one.
				got.digits = got.digits[:group]
				return got
			}
			at = u.end
			next := unitAt(text, at)
			for next.kind == unitInvisible {
				next = unitAt(text, next.end)
			}
			if next.kind != unitDigit {
				if next.kind == unitOther && group >= fewestDigits {
					// The last group begins a word: true_15550106666_3EB0.
					got.digits = got.digits[:group]
					return got
				}
				got.end, got.groups = at, groups
				if exactly(owns, got.digits) != "" {
					return got
				}
			}
			continue
		case unitPlus:
			if len(got.digits) == 0 {
				got.plus = true
				at = u.end
				continue
			}
			// A blank in a URL's query, unless it begins the next number.
			if separators > 0 || len(got.digits) >= 10 {
				return got
			}
			separators++
		case unitSeparator:
			if separators++; separators > mostSeparators {
				return got
			}
		case unitInvisible:
		default:
			return got
		}
		at = u.end
	}
}

// exactly returns the token of the item's own number with exactly these digits, or "".
func exactly(owns []own, digits []byte) string {
	for i := range owns {
		if owns[i].digits == string(digits) {
			return owns[i].token
		}
	}
	return ""
}

// ownToken is the token of the item's own number that these digits represent: exactly, with a dialling prefix, or
// without the country code; "" if they are another number.
func ownToken(owns []own, digits []byte) string {
	if token := exactly(owns, digits); token != "" {
		return token
	}
	national := bytes.TrimLeft(digits, "0")
	for i := range owns {
		whole := owns[i].digits
		if len(whole) < fewestDigits {
			continue
		}
		dialled := len(digits) > len(whole) && len(digits) <= len(whole)+4 && string(digits[len(digits)-len(whole):]) == whole
		short := len(national) >= fewestDigits && len(national) < len(whole) &&
			whole[len(whole)-len(national):] == string(national)
		if dialled || short {
			return owns[i].token
		}
	}
	return ""
}

// waID is one of WhatsApp's ids in a text: 595981048477:7@s.whatsapp.net.
type waID struct {
	user   []byte // the digits, or for a group digits-digits
	domain []byte
	device int // where the part between user and domain begins: a device, or nothing
	at     int // the position of the @
	end    int // after the domain
}

// readID reads the id that begins with the digit at i.
func readID(text []byte, i int) (waID, bool) {
	j := i
	for j < len(text) && isDigit(text[j]) {
		j++
	}
	if j < len(text)-1 && text[j] == '-' && isDigit(text[j+1]) { // a group: its founder's number and a time
		k := j + 1
		for k < len(text) && isDigit(text[k]) {
			k++
		}
		if k < len(text) && text[k] == '@' {
			j = k
		}
	}
	id := waID{user: text[i:j], device: j}
	for parts := 0; parts < 2 && j < len(text)-1 && (text[j] == ':' || text[j] == '.' || text[j] == '_') &&
		isDigit(text[j+1]); parts++ {
		for j++; j < len(text) && isDigit(text[j]); j++ {
		}
	}
	// The @ may be escaped as in a URL.
	id.at = j
	switch {
	case j < len(text) && text[j] == '@':
		j++
	case j+2 < len(text) && string(text[j:j+3]) == "%40":
		j += 3
	default:
		return waID{}, false
	}
	from := j
	for j < len(text) && (isLetter(text[j]) || isDigit(text[j]) || text[j] == '-' || text[j] == '.' && j+1 < len(text) &&
		isLetter(text[j+1])) {
		j++
	}
	id.domain, id.end = text[from:j], j
	return id, len(id.user) > 0 && j > from && isLetter(text[from])
}

// ofWhatsApp reports whether the domain is one of WhatsApp's own; then any digits before it are an id.
func (id waID) ofWhatsApp() bool {
	switch string(id.domain) {
	case "c.us", "s.whatsapp.net", "g.us", "lid", "hosted", "hosted.lid", "bot", "msgr", "broadcast", "newsletter", "call",
		"interop", "status":
		return true
	}
	return false
}

// identifier is what the id's token is computed from: for a person the digits alone, as for the number in any other
// spelling. Ids of other kinds are not phone numbers, though they may have the same digits as one, and keep their
// domain.
func (id waID) identifier(room []byte) []byte {
	switch string(id.domain) {
	case "hosted.lid":
		return append(append(room[:0], id.user...), "@lid"...)
	case "g.us", "lid", "newsletter", "broadcast", "call":
		return append(append(append(room[:0], id.user...), '@'), id.domain...)
	}
	return append(room[:0], id.user...)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
