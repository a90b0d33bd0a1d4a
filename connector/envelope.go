package connector

import "time"

// envelope is what a CloudEvent has beside its data and extensions: that of a message, of a checkpoint and of a reject.
type envelope struct {
	id, source, kind string
	subject          string    // absent where it is empty
	time             time.Time // absent where it is zero
	schema           string    // absent where it is empty
}

// appendTo begins an event in the JSON format. Extensions may follow; appendData ends it. That an event begins with
// specversion and id, and ends with its data, is what reading lines back relies on.
func (e *envelope) appendTo(dst []byte) []byte {
	dst = append(dst, `{"specversion":"1.0","id":`...)
	dst = appendString(dst, e.id)
	dst = append(dst, `,"source":`...)
	dst = appendString(dst, e.source)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, e.kind)
	if e.subject != "" {
		dst = append(dst, `,"subject":`...)
		dst = appendString(dst, e.subject)
	}
	if !e.time.IsZero() {
		dst = append(dst, `,"time":"`...)
		dst = append(appendTime(dst, e.time), '"')
	}
	dst = append(dst, `,"datacontenttype":"application/json"`...)
	if e.schema != "" {
		dst = append(dst, `,"dataschema":`...)
		dst = appendString(dst, e.schema)
	}
	return dst
}

// appendData ends an event. Data goes in as it is: encoding/json would write its numbers and strings again.
func appendData(dst, data []byte) []byte {
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	return append(dst, '}')
}

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, time.RFC3339Nano) }
