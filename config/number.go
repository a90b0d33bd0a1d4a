package config

import (
	"errors"
	"regexp"
)

// Number is a phone number as the API expects it: E.164 with its plus sign. It is redacted when printed; string(n) is
// the number.
type Number string

var numberForm = regexp.MustCompile(`^\+[0-9]{6,15}$`)

// UnmarshalText accepts a number written without quotes, whose digits YAML would read as an integer.
func (n *Number) UnmarshalText(text []byte) error {
	number := Number(text)
	if number != "" && !number.valid() {
		return errors.New(`a number such as "+595981048477": a plus sign and 6 to 15 digits`)
	}
	*n = number
	return nil
}

func (n Number) valid() bool { return numberForm.MatchString(string(n)) }

func (n Number) digits() string {
	if n == "" {
		return ""
	}
	return string(n[1:])
}

// String hides the number.
func (n Number) String() string {
	if n == "" {
		return ""
	}
	return "+[redacted]"
}

// GoString hides the number from %#v.
func (n Number) GoString() string { return `"` + n.String() + `"` }

// MarshalText hides the number from JSON and loggers.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }
