package twochat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for _, test := range []struct{ raw, want string }{
		{`1670454681.0`, "2022-12-07T23:11:21Z"},
		{`1670454681`, "2022-12-07T23:11:21Z"},
		{`1670454681123`, "2022-12-07T23:11:21.123Z"},
		{`1670454681123.5`, "2022-12-07T23:11:21.1235Z"},
		{`1670454681.123456789`, "2022-12-07T23:11:21.123456789Z"},
		{`1670454681.12345678999`, "2022-12-07T23:11:21.123456789Z"},
		{`1.670454681e9`, "2022-12-07T23:11:21Z"},
		{`1.6704546815E+9`, "2022-12-07T23:11:21.5Z"},
		{`1670454681e3`, "2022-12-07T23:11:21Z"},
		{`"1670454681"`, "2022-12-07T23:11:21Z"},
		{`" 1670454681.25 "`, "2022-12-07T23:11:21.25Z"},
		{`"2022-12-07T23:11:21Z"`, "2022-12-07T23:11:21Z"},
		{`"2022-12-07t23:11:21z"`, "2022-12-07T23:11:21Z"},
		{`"2022-12-07T23:11:21"`, "2022-12-07T23:11:21Z"},
		{`"2022-12-07 23:11:21"`, "2022-12-07T23:11:21Z"},
		{`"2022-12-07 23:11:21.5"`, "2022-12-07T23:11:21.5Z"},
		{`"2022-12-07T23:11:21.123456789012"`, "2022-12-07T23:11:21.123456789Z"},
		{`"2022-12-07T23:11:21.5+02:00"`, "2022-12-07T21:11:21.5Z"},
		{`"2022-12-07T23:11:21-0330"`, "2022-12-08T02:41:21Z"},
		{`"2022-12-07T23:11:21 +00"`, "2022-12-07T23:11:21Z"},
		{`"2022-12-07T23:11:21\u005a"`, "2022-12-07T23:11:21Z"},
		{`"2024-02-29T00:00:00"`, "2024-02-29T00:00:00Z"},
		{`946684800`, "2000-01-01T00:00:00Z"},
		{`4133980799`, "2100-12-31T23:59:59Z"},
		{`946684799`, ""},
		{`4133980800`, ""},
		{`0`, ""},
		{`0.0`, ""},
		{`-1`, ""},
		{`1`, ""},
		{`99999999999`, ""},
		{`1e400`, ""},
		{`1670454681123456`, ""},
		{`null`, ""},
		{`true`, ""},
		{`{}`, ""},
		{`[1670454681]`, ""},
		{`""`, ""},
		{`"x"`, ""},
		{`"1670454681x"`, ""},
		{`"0x63911c59"`, ""},
		{`"NaN"`, ""},
		{`"Inf"`, ""},
		{`"2023-02-29T00:00:00"`, ""},
		{`"2022-13-07T23:11:21"`, ""},
		{`"2022-12-00T23:11:21"`, ""},
		{`"2022-12-07T24:11:21"`, ""},
		{`"2022-12-07T23:60:21"`, ""},
		{`"2022-12-07T23:11:60"`, ""},
		{`"2022-12-07T23:11:21."`, ""},
		{`"2022-12-07T23:11:21.Z"`, ""},
		{`"2022-12-07T23:11:21+2"`, ""},
		{`"2022-12-07T23:11:21+24:00"`, ""},
		{`"2022-12-07T23:11:21+02:60"`, ""},
		{`"2022-12-07T23:11:21 EST"`, ""},
		{`"2022-12-07"`, ""},
		{`"2022-12-07T23:11"`, ""},
		{`"1999-12-31T23:59:59Z"`, ""},
		{`"2101-01-01T00:00:00Z"`, ""},
		{`"0001-01-01T00:00:00Z"`, ""},
		{`"2022/12/07T23:11:21"`, ""},
	} {
		at, ok := parseTime([]byte(test.raw))
		got := ""
		if ok {
			got = at.Format(time.RFC3339Nano)
		} else if !at.IsZero() {
			t.Errorf("parseTime(%s) gives %v and false", test.raw, at)
		}
		if got != test.want {
			t.Errorf("parseTime(%s) = %q, want %q", test.raw, got, test.want)
		}
	}
}

func TestParseTime_AsTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	zones := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -11*3600)}
	for range 5000 {
		want := time.Unix(978307200+random.Int64N(3e9), random.Int64N(1e9)).In(zones[random.IntN(len(zones))])
		for _, raw := range []string{
			`"` + want.Format(time.RFC3339Nano) + `"`, `"` + want.UTC().Format("2006-01-02 15:04:05.999999999") + `"`,
			fmt.Sprintf("%d.%09d", want.Unix(), want.Nanosecond()),
		} {
			if at, ok := parseTime([]byte(raw)); !ok || !at.Equal(want) || at.Location() != time.UTC {
				t.Fatalf("parseTime(%s) = %v, %v, want %v", raw, at, ok, want)
			}
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{
		`1670454681.0`, `"2022-10-31 22:05:44"`, `"2025-08-15T07:56:11.5+02:00"`, `1e9`, `"`,
		`""`, `"\u0031"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || len(raw) == 0 || raw[0] == ' ' {
			return
		}
		at, ok := parseTime(raw)
		if ok != !at.IsZero() {
			t.Fatalf("parseTime(%q) = %v, %v", raw, at, ok)
		}
		if !ok {
			return
		}
		if at.Year() < 2000 || at.Year() > 2100 || at.Location() != time.UTC {
			t.Fatalf("parseTime(%q) = %v", raw, at)
		}
		if again, ok := parseTime([]byte(`"` + at.Format(time.RFC3339Nano) + `"`)); !ok || !again.Equal(at) {
			t.Fatalf("parseTime(%q) = %v, which reads as %v", raw, at, again)
		}
	})
}
