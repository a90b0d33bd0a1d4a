package twochat

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// Times outside of these years count as mistakes: WhatsApp did not exist, or a unit was misread.
const (
	firstYear = 2000
	lastYear  = 2100
)

// parseTime reads a time in any form that this API is known to use (connector/README.md, Items): a number of seconds or
// milliseconds since 1970, also inside a string; a date and time with T or a blank between, with or without a fraction,
// in UTC if no zone is given. raw is a valid JSON value.
func parseTime(raw []byte) (time.Time, bool) {
	if len(raw) > 0 && raw[0] == '"' {
		raw = bytes.TrimSpace(unquote(raw))
	}
	return saidTime(raw)
}

// saidTime reads a time that is a number or the content of a string.
func saidTime(text []byte) (time.Time, bool) {
	at, ok := parseDate(text)
	if !ok {
		at, ok = parseEpoch(text)
	}
	if !ok || at.Year() < firstYear || at.Year() > lastYear {
		return time.Time{}, false
	}
	return at, true
}

// millisecondsFrom is the number from which numbers are milliseconds; as seconds, it is the year 5138.
const millisecondsFrom = 1e11

// parseEpoch reads seconds or milliseconds since 1970. It reads the digits themselves, as a float64 would lose
// precision.
func parseEpoch(raw []byte) (time.Time, bool) {
	whole, fraction, _ := bytes.Cut(raw, []byte("."))
	seconds, ok := digits(whole)
	if !ok {
		return parseExponent(raw)
	}
	nanoseconds, ok := parseFraction(fraction)
	if !ok {
		return parseExponent(raw)
	}
	if seconds >= millisecondsFrom {
		return time.Unix(seconds/1000, seconds%1000*1e6+nanoseconds/1000).UTC(), true
	}
	return time.Unix(seconds, nanoseconds).UTC(), true
}

// parseExponent reads the rare numbers that are not plain digits, like 1.670454681e9.
func parseExponent(raw []byte) (time.Time, bool) {
	if len(raw) == 0 || len(raw) > 40 || bytes.IndexByte(raw, 'e') < 0 && bytes.IndexByte(raw, 'E') < 0 {
		return time.Time{}, false
	}
	number, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(number > 0 && number < 1e15) {
		return time.Time{}, false
	}
	if number >= millisecondsFrom {
		number /= 1000
	}
	seconds, fraction := math.Modf(number)
	// A float64 of today's seconds is exact to less than a microsecond.
	return time.Unix(int64(seconds), int64(math.Round(fraction*1e6))*1000).UTC(), true
}

// parseDate reads 2006-01-02T15:04:05, with T or a blank, an optional fraction, and Z, an offset or nothing.
func parseDate(raw []byte) (time.Time, bool) {
	const form = "dddd-dd-ddTdd:dd:dd"
	if len(raw) < len(form) {
		return time.Time{}, false
	}
	for i := range len(form) {
		c := raw[i]
		switch form[i] {
		case 'd':
			if c < '0' || c > '9' {
				return time.Time{}, false
			}
		case 'T':
			if c != 'T' && c != 't' && c != ' ' {
				return time.Time{}, false
			}
		default:
			if c != form[i] {
				return time.Time{}, false
			}
		}
	}
	year := pair(raw[0:])*100 + pair(raw[2:])
	month, day, hour, minute, second := pair(raw[5:]), pair(raw[8:]), pair(raw[11:]), pair(raw[14:]), pair(raw[17:])
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	rest := raw[len(form):]
	var nanoseconds int64
	if len(rest) > 1 && rest[0] == '.' {
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if end == 1 {
			return time.Time{}, false
		}
		nanoseconds, _ = parseFraction(rest[1:end])
		rest = rest[end:]
	}
	offset, ok := parseZone(rest)
	if !ok {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, int(nanoseconds), time.UTC)
	if at.Day() != day {
		return time.Time{}, false // a day that the month does not have
	}
	return at.Add(-offset), true
}

// parseZone reads nothing or Z (UTC), or an offset: +02:00, +0200 or +02.
func parseZone(zone []byte) (time.Duration, bool) {
	zone = bytes.TrimPrefix(zone, []byte(" "))
	if len(zone) == 0 || len(zone) == 1 && zone[0]|0x20 == 'z' {
		return 0, true
	}
	sign := time.Duration(1)
	switch zone[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false
	}
	zone = zone[1:]
	if len(zone) == 5 && zone[2] == ':' {
		zone = []byte{zone[0], zone[1], zone[3], zone[4]}
	}
	number, ok := digits(zone)
	switch {
	case !ok:
		return 0, false
	case len(zone) == 2:
		number *= 100
	case len(zone) != 4:
		return 0, false
	}
	hours, minutes := number/100, number%100
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute), true
}

// pair reads two digits that are known to be digits.
func pair(raw []byte) int { return int(raw[0]-'0')*10 + int(raw[1]-'0') }

// digits reads a number of up to 15 digits.
func digits(raw []byte) (int64, bool) {
	if len(raw) == 0 || len(raw) > 15 {
		return 0, false
	}
	var number int64
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + int64(c-'0')
	}
	return number, true
}

// parseFraction reads the digits after the point as billionths. Digits beyond the ninth are cut off; no digits are
// zero.
func parseFraction(raw []byte) (int64, bool) {
	var number int64
	for i, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		if i < 9 {
			number = number*10 + int64(c-'0')
		}
	}
	for i := len(raw); i < 9; i++ {
		number *= 10
	}
	return number, true
}
