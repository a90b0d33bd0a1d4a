package twochat

import (
	"bytes"
	"slices"
)

// The kinds of messages in rows.
const (
	kindText        = "text"
	kindImage       = "image"
	kindAudio       = "audio"
	kindVideo       = "video"
	kindDocument    = "document"
	kindSticker     = "sticker"
	kindLocation    = "location"
	kindContact     = "contact"
	kindPoll        = "poll"
	kindOrder       = "order"
	kindListReply   = "list_reply"
	kindButtonReply = "button_reply"
	kindUnknown     = "unknown"
)

// Kinds returns the current values of a row's column kind.
func Kinds() []string {
	return []string{
		kindText, kindImage, kindAudio, kindVideo, kindDocument, kindSticker, kindLocation, kindContact, kindPoll, kindOrder,
		kindListReply, kindButtonReply, kindUnknown,
	}
}

// rowReader extracts the values of a row from an item. An item may have any form: anything unexpected leaves its column
// null. If an object has a member twice, the last one counts, as with encoding/json.
type rowReader struct {
	json scanner
	row  *row
	// The kind of the message by its contents: a member that only one kind has, and its file.
	holds, file string
	title       []byte // of what was chosen or asked, if there is no text
	inner       bool   // the reader is within such a member
}

// item reads the whole item.
func (r *rowReader) item(group bool) {
	var groups []byte
	r.members(0, func(name []byte, value int) {
		switch string(name) {
		case "message":
			r.message(value)
		case "remote_phone_number":
			r.row[columnRemote] = r.said(value)
		case "channel_phone_number":
			r.row[columnChannel] = r.said(value)
		case "participant":
			r.row[columnParticipant] = r.saidBy(value, "phone_number", "id", "jid")
		case "group":
			groups = r.saidBy(value, "uuid", "id")
		}
	})
	switch {
	case group && r.row[columnRemote] != nil:
		r.row[columnGroup] = r.row[columnRemote]
	default:
		r.row[columnGroup] = groups
	}
	r.row[columnKind] = quoted(r.kind())
	if r.row[columnText] == nil {
		r.row[columnText] = r.title
	}
}

// kind returns the message's kind by what was found.
func (r *rowReader) kind() string {
	switch {
	case r.holds != "":
		return r.holds
	case r.file != "":
		return r.file
	case r.row[columnText] != nil:
		return kindText
	}
	return kindUnknown
}

// message reads the content of the message: an object, or just a text.
func (r *rowReader) message(i int) {
	r.holds, r.file, r.title = "", "", nil
	for _, column := range [...]int{columnText, columnMediaURL, columnMediaMIME, columnQuotedUUID} {
		r.row[column] = nil
	}
	if r.json.data[i] != '{' {
		r.row[columnText] = r.said(i)
		return
	}
	var caption []byte
	r.members(i, func(name []byte, value int) {
		switch string(name) {
		case "text":
			r.row[columnText] = r.said(value)
		case "caption":
			caption = r.said(value)
		case "media":
			r.media(value)
		case "quoted_msg", "quoted_message", "quoted":
			r.row[columnQuotedUUID] = r.saidBy(value, "uuid", "id")
		default:
			r.marker(name, value)
		}
	})
	if r.row[columnText] == nil {
		r.row[columnText] = caption
	}
}

// media reads the file of a message.
func (r *rowReader) media(i int) {
	var kind, mime []byte
	r.row[columnMediaURL] = r.saidBy(i, "url")
	if r.json.data[i] == '{' {
		kind, mime = r.saidBy(i, "type"), r.saidBy(i, "mime_type", "mimetype")
	}
	r.row[columnMediaMIME] = mime
	r.file = fileKind(word(kind), word(mime), r.row[columnMediaURL] != nil)
}

// fileKind is the kind of a message with a file, by its type in 2Chat's words, else by its media type; "" if there is
// no file.
func fileKind(kind, mime []byte, found bool) string {
	switch string(kind) {
	case "image":
		return kindImage
	case "audio", "ptt", "voice":
		return kindAudio
	case "video", "gif", "ptv":
		return kindVideo
	case "document", "file":
		return kindDocument
	case "sticker":
		return kindSticker
	case "vcard", "contact", "contacts":
		return kindContact
	case "location":
		return kindLocation
	}
	switch {
	case bytes.HasPrefix(mime, []byte("image/")):
		return kindImage
	case bytes.HasPrefix(mime, []byte("audio/")):
		return kindAudio
	case bytes.HasPrefix(mime, []byte("video/")):
		return kindVideo
	case bytes.HasPrefix(mime, []byte("text/vcard")), bytes.HasPrefix(mime, []byte("text/x-vcard")):
		return kindContact
	case len(mime) > 0, found:
		return kindDocument
	}
	return ""
}

// markerInteractive is the name of a member whose own members show the kind of a message.
const markerInteractive = "interactive"

// markerOf returns the kind of a message by the name of a member that only messages of that kind have, or "" for any
// other member. Names are compared without case and underscores, in which 2Chat's and WhatsApp's own differ.
func markerOf(name []byte) string {
	var room [longestName]byte
	plain := room[:0]
	for _, c := range name {
		switch {
		case len(plain) == longestName:
			return ""
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_' || c == '-':
			continue
		}
		plain = append(plain, c)
	}
	switch string(bytes.TrimSuffix(plain, []byte("message"))) {
	case "order", "orders":
		return kindOrder
	case "location", "livelocation", "pin":
		return kindLocation
	case "contact", "contacts", "contactsarray", "contactcard", "contactcards", "vcard", "vcards":
		return kindContact
	case "poll", "pollcreation":
		return kindPoll
	case "listreply", "listresponse":
		return kindListReply
	case "buttonreply", "buttonsreply", "buttonresponse", "buttonsresponse", "templatebuttonreply":
		return kindButtonReply
	case markerInteractive:
		return markerInteractive
	}
	return ""
}

// marker records the kind of a message if this member is one that only messages of one kind have.
func (r *rowReader) marker(name []byte, i int) {
	kind := markerOf(name)
	if kind == markerInteractive {
		if r.json.data[i] == '{' && !r.inner {
			r.inner = true
			r.members(i, r.marker)
			r.inner = false
		}
		return
	}
	if kind == "" || r.blank(i) {
		return
	}
	r.holds = kind
	if kind == kindListReply || kind == kindButtonReply || kind == kindPoll {
		r.title = r.saidBy(i, "title", "text", "selected_display_text", "selectedDisplayText", "question", "name")
	}
}

// blank reports whether the value at i is null, false, or an empty text, list or object.
func (r *rowReader) blank(i int) bool {
	switch value := r.json.data[i:r.json.value(i, 0)]; value[0] {
	case 'n', 'f':
		return true
	case '"':
		return len(value) == 2
	case '{', '[':
		return r.json.space(i+1) == i+len(value)-1
	}
	return false
}

// members calls each for each member of the object at i.
func (r *rowReader) members(i int, each func(name []byte, value int)) {
	r.json.object(i, 0, func(key span, value int) int {
		each(unquote(key.of(r.json.data)), value)
		return r.json.value(value, 0)
	})
}

// said returns the value at i as a JSON string: a string unchanged, a number in quotes, and nil for anything else.
func (r *rowReader) said(i int) []byte {
	value := r.json.data[i:r.json.value(i, 0)]
	switch {
	case value[0] == '"' && len(value) > 2:
		return value
	case isNumber(value):
		return quoted(string(value))
	}
	return nil
}

// saidBy returns said of the value at i or, if that is an object, of the first named member for which it is not nil.
func (r *rowReader) saidBy(i int, names ...string) []byte {
	if r.json.data[i] != '{' {
		return r.said(i)
	}
	said := make([][]byte, len(names))
	r.members(i, func(name []byte, value int) {
		if n := slices.Index(names, string(name)); n >= 0 {
			said[n] = r.said(value)
		}
	})
	for _, text := range said {
		if text != nil {
			return text
		}
	}
	return nil
}

// word returns the content of a JSON string, or nil.
func word(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	return unquote(text)
}
