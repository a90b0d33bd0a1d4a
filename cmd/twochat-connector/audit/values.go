package audit

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// values are the single values that an event holds, each with its place in the event: the hash of the place in the upper
// half, that of the value in the lower. They are sorted. They tell whether two events agree in what both hold, where
// settings decided that one holds more of its message than the other.
type values []uint64

// valuesOf returns the values of an event's data and of those attributes that come from its message.
func valuesOf(direction, at, sentBy, subject string, data []byte, row bool) values {
	var v values
	for name, value := range map[string]string{"direction": direction, "time": at, "sentby": sentBy} {
		v.add("/"+name, value)
	}
	v.add(subjectPlace, subject)
	if v.addJSON("/data", data); row {
		v = slices.DeleteFunc(v, func(one uint64) bool { return slices.Contains(derived, uint32(one>>32)) })
	}
	slices.Sort(v)
	return v
}

const subjectPlace = "/subject"

// derived are the places of those columns of a row that are made of what the settings leave of its item, or differ with
// each delivery.
var derived = []uint32{half("/data/kind"), half("/data/text"), half("/data/recorded_at")}

// addJSON adds the values of a JSON text.
func (v *values) addJSON(place string, raw []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return false
	}
	v.addValue(place, value)
	return true
}

// addValue adds what a JSON value holds. What an array holds has the place of the array, as an element may be left out.
func (v *values) addValue(place string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			v.addValue(place+"/"+name, inner)
		}
	case []any:
		for _, inner := range value {
			v.addValue(place, inner)
		}
	case string:
		v.addText(place, value)
	case nil: // as if it were left out
	default:
		text, _ := json.Marshal(value) // a number or a truth value
		v.add(place, string(text))
	}
}

// addText adds a text, or what the JSON in it holds.
func (v *values) addText(place, text string) {
	if bare := strings.TrimSpace(text); bare != "" && strings.ContainsRune(`{["`, rune(bare[0])) &&
		v.addJSON(place, []byte(bare)) {
		return
	}
	// Without `drop: media` a text keeps the addresses of files; `text: repaired` replaces this character.
	text = strings.ReplaceAll(text, "\x00", "\ufffd")
	var kept []string
	for word := range strings.FieldsSeq(text) {
		if before, _, found := strings.Cut(word, "http"); found {
			word = before
		}
		if word != "" {
			kept = append(kept, word)
		}
	}
	if text = strings.Join(kept, " "); text != "" {
		v.add(place, text)
	}
}

func (v *values) add(place, value string) {
	*v = append(*v, uint64(half(place))<<32|uint64(half(value)))
}

func half(text string) uint32 {
	sum := fnv.New32a()
	sum.Write([]byte(text))
	return sum.Sum32()
}

// agree reports whether, at each place where both events hold something, one holds all that the other does. The chat is
// not compared if its token was another one before a rekey.
func agree(a, b values, rekeyed bool) bool {
	for len(a) > 0 && len(b) > 0 {
		place := min(a[0]>>32, b[0]>>32)
		here, there := a.at(place), b.at(place)
		a, b = a[len(here):], b[len(there):]
		if rekeyed && uint32(place) == half(subjectPlace) {
			continue
		}
		if len(here) > 0 && len(there) > 0 && !here.within(there) && !there.within(here) {
			return false
		}
	}
	return true
}

// at returns the values of the first place, if it is this one.
func (v values) at(place uint64) values {
	n := 0
	for n < len(v) && v[n]>>32 == place {
		n++
	}
	return v[:n]
}

// within reports whether other values of a place include these.
func (v values) within(other values) bool {
	for len(v) > 0 && len(other) > 0 {
		if v[0] == other[0] {
			v = v[1:]
		}
		other = other[1:]
	}
	return len(v) == 0
}

// resettled reports whether the event of a sequence was written with other settings than these, as far as that is known.
func resettled(c *connector.Checkpoint, sequence uint64, settings string) bool {
	was, former := c.FormerSettings.At(sequence)
	if !former {
		was = c.Settings
	}
	return was != "" && was != settings
}

// anyResettled reports whether any event may have been.
func anyResettled(c *connector.Checkpoint, settings string) bool {
	return c.Settings != "" && c.Settings != settings ||
		slices.ContainsFunc(c.FormerSettings, func(s connector.FormerSettings) bool { return s.Settings != settings })
}
