package sinktest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Header is a header of a message, by the attribute that it holds. ContentType is that of the message itself.
type Header struct{ Name, Value string }

// ContentType is the name of the header with the format of a message.
const ContentType = "content type"

// Decoder is how a sink reads an event that somebody stored in it.
type Decoder struct {
	// Header returns a header's name and value in the sink's binding. The name is an attribute's, or ContentType.
	Header func(name, value string) (string, string)
	// Decode returns the event of a message in the JSON format.
	Decode func(headers []Header, data []byte) ([]byte, error)
}

// needed are the attributes that an event must have, with their values in the JSON format.
var needed = []Header{{"specversion", "1.0"}, {"id", "i"}, {"source", "//s"}, {"type", "t"}}

const (
	neededJSON = `{"specversion":"1.0","id":"i","source":"//s","type":"t"`
	isJSON     = `,"datacontenttype":"application/json"`
)

// with adds headers to the needed ones, and the content type of data in JSON.
func with(more ...Header) []Header {
	return append(append([]Header{{ContentType, "application/json"}}, needed...), more...)
}

// without omits a header.
func without(name string) []Header {
	var left []Header
	for _, h := range with() {
		if h.Name != name {
			left = append(left, h)
		}
	}
	return left
}

// mixed writes the names of headers in another case, as some clients do.
func mixed(headers []Header) []Header {
	out := make([]Header, len(headers))
	for i, h := range headers {
		out[i] = Header{"\x00" + h.Name, h.Value}
	}
	return out
}

// The faults of a message that is no event.
const (
	noBoolean  = "a Boolean attribute is neither true nor false"
	badValue   = "an attribute has an invalid value"
	twice      = "an attribute is in two headers"
	incomplete = "a required attribute is missing"
	badVersion = "its version of CloudEvents is not 1.0"
	noEvent    = "the message is not a CloudEvent in structured or binary mode"
	badName    = "a header does not name a valid attribute"
	notJSON    = "its data is not JSON"
	badFormat  = "its format is not JSON"
)

// Decoding is the one table for every sink's decoder: for the same input the same bytes, or the same error.
func Decoding(t *testing.T, d Decoder) {
	huge := strings.Repeat("x", 64<<10)
	large := `"` + strings.Repeat("y", 1<<20) + `"`
	const structured = connector.StructuredType
	cases := map[string]struct {
		headers   []Header
		data      string
		want, err string
	}{
		"least": {with(), `{"a":1}`, neededJSON + isJSON + `,"data":{"a":1}}`, ""},
		"data as it is": {
			with(), ` {"n":1.0e+02,"s":"\ud800<"} `,
			neededJSON + isJSON + `,"data": {"n":1.0e+02,"s":"\ud800<"} }`, "",
		},
		"no data": {with(), "", neededJSON + isJSON + `}`, ""},
		"late": {
			with(Header{"late", "true"}), "1",
			neededJSON + isJSON + `,"late":true,"data":1}`, "",
		},
		"not late": {
			with(Header{"late", "false"}), "1",
			neededJSON + isJSON + `,"late":false,"data":1}`, "",
		},
		"late, badly": {with(Header{"late", "True"}), "1", "", noBoolean},
		"late, empty": {with(Header{"late", ""}), "1", "", noBoolean},
		"repaired": {
			with(Header{"repaired", "true"}), "1",
			neededJSON + isJSON + `,"repaired":true,"data":1}`, "",
		},
		"repaired, badly": {with(Header{"repaired", "1"}), "1", "", noBoolean},
		"unknown extensions": {
			with(Header{"zed", "true"}, Header{"abc", "7"}), "1",
			neededJSON + isJSON + `,"abc":"7","zed":"true","data":1}`, "",
		},
		"ours in their order": {
			with(Header{"sequence", "2"}, Header{"subject", "c"}), "1",
			neededJSON + `,"subject":"c"` + isJSON + `,"sequence":"2","data":1}`, "",
		},
		"text that is quoted": {
			with(Header{"subject", `a "b" é % 🙂 \ <`}), "1",
			neededJSON + `,"subject":"a \"b\" é % 🙂 \\ \u003c"` + isJSON + `,"data":1}`, "",
		},
		"percent signs": {
			with(Header{"subject", "%41%zz%"}), "1",
			neededJSON + `,"subject":"%41%zz%"` + isJSON + `,"data":1}`, "",
		},
		"a control character": {with(Header{"subject", "a\x00b"}), "1", "", badValue},
		"invalid UTF-8":       {with(Header{"subject", "a\xffb"}), "1", "", badValue},
		"huge": {
			with(Header{"subject", huge}), large,
			neededJSON + `,"subject":"` + huge + `"` + isJSON + `,"data":` + large + `}`, "",
		},
		"wrong case": {
			mixed(with(Header{"late", "true"})), "1",
			neededJSON + isJSON + `,"late":true,"data":1}`, "",
		},
		"twice":               {with(Header{"id", "i"}), "1", "", twice},
		"twice, in two cases": {append(with(), mixed([]Header{{"id", "j"}})...), "1", "", twice},
		"two content types":   {with(Header{ContentType, structured}), "1", "", twice},
		"its own data type": {
			with(Header{"datacontenttype", "text/json"}), "1",
			neededJSON + `,"datacontenttype":"text/json","data":1}`, "",
		},
		"no content type": {without(ContentType), "1", neededJSON + `,"data":1}`, ""},
		"no id":           {without("id"), "1", "", incomplete},
		"no source":       {without("source"), "1", "", incomplete},
		"no type":         {without("type"), "1", "", incomplete},
		"no version":      {without("specversion"), "1", "", incomplete},
		"another version": {
			append(without("specversion"), Header{"specversion", "0.3"}), "1",
			"", badVersion,
		},
		"no headers":         {nil, "{}", "", noEvent},
		"other headers":      {[]Header{{ContentType, "application/json"}}, "{}", "", noEvent},
		"data as a header":   {with(Header{"data", "1"}), "1", "", badName},
		"no name":            {with(Header{"", "1"}), "1", "", badName},
		"a name with a dash": {with(Header{"sent-by", "1"}), "1", "", badName},
		"data cut off":       {with(), `{"a":`, "", notJSON},
		"text": {
			append(without(ContentType), Header{ContentType, "text/plain"}), "1",
			"", notJSON,
		},
		"structured": {[]Header{{ContentType, structured}}, `{"a":1}`, `{"a":1}`, ""},
		"structured, before": {
			[]Header{{ContentType, "application/cloudevents+json; charset=UTF-8"}, {"late", "true"}},
			`{"a":1}`,
			`{"a":1}`, "",
		},
		"structured, shouted": {
			[]Header{{ContentType, "Application/CloudEvents+JSON;charset=utf-8"}},
			` {"a":1}`,
			` {"a":1}`, "",
		},
		"structured, no JSON": {[]Header{{ContentType, structured}}, `{"a":`, "", noEvent},
		"structured, a list":  {[]Header{{ContentType, structured}}, `[{}]`, "", noEvent},
		"structured, nothing": {[]Header{{ContentType, structured}}, ``, "", noEvent},
		"a batch": {
			[]Header{{ContentType, "application/cloudevents-batch+json"}},
			`[{}]`,
			"", badFormat,
		},
		"another format": {[]Header{{ContentType, "application/cloudevents+avro"}}, `x`, "", badFormat},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var headers []Header
			for _, h := range c.headers {
				attribute, other := strings.CutPrefix(h.Name, "\x00")
				name, value := d.Header(attribute, h.Value)
				if other {
					name = strings.ToUpper(name)
				}
				headers = append(headers, Header{name, value})
			}
			got, err := d.Decode(headers, []byte(c.data))
			switch {
			case c.err != "":
				if err == nil || err.Error() != "decode event: "+c.err {
					t.Errorf("got %.200s, %v, want the error %q", got, err, c.err)
				}
			case err != nil:
				t.Error(err)
			case string(got) != c.want || !json.Valid(got):
				t.Errorf("got  %.200s\nwant %.200s", got, c.want)
			}
		})
	}
	t.Run("our own events", func(t *testing.T) {
		for _, e := range Events(Stream("595981048477"), 1, 40) {
			headers := make([]Header, 0, 16)
			for _, a := range append(e.Attributes(), connector.Attribute{Name: ContentType, Value: "application/json"}) {
				name, value := d.Header(a.Name, a.Value)
				headers = append(headers, Header{name, value})
			}
			if got, err := d.Decode(headers, e.Data); err != nil || !bytes.Equal(got, e.AppendJSON(nil)) {
				t.Fatalf("%v\ngot  %s\nwant %s", err, got, e.AppendJSON(nil))
			}
		}
	})
}
