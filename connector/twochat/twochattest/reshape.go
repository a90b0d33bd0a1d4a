package twochattest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Reshape changes the members of every item that a list shows, and of the answer around them, as another release of the
// API would. The zero Reshape changes nothing.
type Reshape struct {
	// Add are members with their values: they replace an item's own of that name, or else follow all others.
	Add map[string]json.RawMessage `json:"add"`
	// Drop are the names of members that are removed from all items.
	Drop []string `json:"drop"`
	// Around are members of the answer around the items, like Add.
	Around map[string]json.RawMessage `json:"around"`
}

// SetShape gives the items of a number's list another shape from now on, including those that were shown before.
func SetShape(f *Fake, number string, shape Reshape) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number(number)
	n.reshaped = append(slices.Clip(n.reshaped), shape) // messages in the truth keep the former ones
}

// lastShape is the shape in force; nil if it is the usual one.
func lastShape(shapes []Reshape) *Reshape {
	if len(shapes) == 0 {
		return nil
	}
	return &shapes[len(shapes)-1]
}

func (r *Reshape) item(item []byte) []byte { return reshape(item, r.Add, r.Drop) }

// reshape changes the members of an object, and leaves anything else unchanged. What it keeps is unchanged byte for
// byte.
func reshape(object []byte, add map[string]json.RawMessage, drop []string) []byte {
	decoder := json.NewDecoder(bytes.NewReader(object))
	open, err := decoder.Token()
	if err != nil || open != json.Delim('{') || !json.Valid(object) || len(add)+len(drop) == 0 {
		return object
	}
	left := maps.Clone(add)
	out := []byte("{")
	write := func(name string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(appendQuoted(out, name, false), ':'), value...)
	}
	for decoder.More() {
		name, _ := decoder.Token() // it is valid
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return object
		}
		key, _ := name.(string)
		if given, found := add[key]; found {
			value = given
			delete(left, key)
		}
		if !slices.Contains(drop, key) {
			write(key, value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(left)) {
		write(key, left[key])
	}
	return append(out, '}')
}
