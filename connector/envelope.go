package connector

import "time"

// envelope holds the core attributes of a CloudEvent: of a message, a checkpoint or a reject.
type envelope struct {
	id, source, kind string
	subject          string    // absent if empty
	time             time.Time // absent if zero
	schema           string    // absent if empty
}

// appendTo writes the beginning of an event in the JSON format. Extensions may follow; appendData ends it. Reading
// lines back relies on events that begin with specversion and id and end with their data.
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

// appendData ends an event. It copies data unchanged; encoding/json would reformat numbers and strings.
func appendData(dst, data []byte) []byte {
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	return append(dst, '}')
}

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, time.RFC3339Nano) }
