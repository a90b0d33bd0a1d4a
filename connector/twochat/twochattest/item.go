package twochattest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// appendItem writes one version of a row as the API shows it.
func (n *list) appendItem(dst []byte, index uint32, r row, version uint8, shape *Reshape) []byte {
	if shape != nil {
		return append(dst, shape.item(n.appendItem(nil, index, r, version, nil))...)
	}
	if r.poison != 0 {
		return n.appendPoison(dst, index, r)
	}
	w := writer{dst: dst, look: n.look(index), chat: &n.chats[r.chat], row: r, version: version, number: n.name}
	if n.shapes != ShapesMixed && w.kind >= kindEmpty {
		w.kind = kindText
	}
	return w.item()
}

// writer writes one item.
type writer struct {
	dst []byte
	look
	chat    *chat
	row     row
	version uint8
	number  string
	fields  int
}

func (w *writer) item() []byte {
	w.raw("{")
	uuid := w.uuid()
	if w.id == idBoth || w.id == idID {
		w.text("id", uuid)
	}
	switch w.id {
	case idBoth, idUUID:
		w.text("uuid", uuid)
	case idNull:
		w.value("uuid", "null")
		w.text("id", uuid)
	}
	w.times()
	if w.odd != oddNoSession {
		w.text("session_key", w.chat.sessionKey)
	}
	w.message()
	switch {
	case w.odd == oddNullRemote, w.chat.kind == chatLID && w.salt%2 == 0:
		w.value("remote_phone_number", "null")
	default:
		w.text("remote_phone_number", w.chat.remote)
	}
	w.text("channel_phone_number", w.number)
	w.sender()
	w.oddity()
	if w.odd == oddIndented {
		w.raw("\n")
	}
	w.raw("}")
	return w.dst
}

func (w *writer) raw(s string) { w.dst = append(w.dst, s...) }

// value writes a field whose value is JSON already.
func (w *writer) value(name, json string) {
	if w.fields++; w.fields > 1 {
		w.raw(",")
	}
	if w.odd == oddIndented {
		w.raw("\n  ")
	}
	w.dst = append(append(append(w.dst, '"'), name...), `":`...)
	if w.odd == oddIndented {
		w.raw(" ")
	}
	w.raw(json)
}

func (w *writer) text(name, value string) {
	w.value(name, "")
	w.dst = appendQuoted(w.dst, value, w.odd == oddEscapes && name != "uuid" && name != "id")
}

func (w *writer) times() {
	at := time.Unix(w.row.at, 0).UTC()
	switch w.time {
	case timeLocal:
		w.text("created_at", at.Format("2006-01-02T15:04:05"))
	case timeFloat:
		w.value("timestamp", strconv.FormatInt(w.row.at, 10)+".0")
	case timeZulu:
		w.text("created_at", at.Format(time.RFC3339))
	case timeSpace:
		w.text("created_at", at.Format(time.DateTime))
	case timeOffset:
		w.text("created_at", at.Format("2006-01-02T15:04:05+00:00"))
	case timeFraction:
		w.text("created_at", at.Format("2006-01-02T15:04:05.000000"))
	case timeInt:
		w.value("timestamp", strconv.FormatInt(w.row.at, 10))
	case timeMillis:
		w.value("timestamp", strconv.FormatInt(w.row.at*1000, 10))
	case timeText:
		w.text("timestamp", strconv.FormatInt(w.row.at, 10)+".0")
	case timeBoth:
		w.text("created_at", at.Format("2006-01-02T15:04:05"))
		w.value("timestamp", strconv.FormatInt(w.row.at, 10)+".0")
	case timeNull:
		w.value("created_at", "null")
	case timeGarbage:
		w.text("created_at", "yesterday, around noon")
	case timeObject:
		w.value("timestamp", `{"$date":true}`)
	}
}

// line is the text, and whether the business is its author.
func (w *writer) line() (said string, own bool) {
	said, own = strings.CutPrefix(w.chat.script[int(w.row.line)%len(w.chat.script)], "> ")
	if w.version > 0 && w.row.flags&flagSkeleton == 0 || w.version > 1 {
		said += fmt.Sprintf(" (edited, %d)", w.version)
	}
	return said, own
}

func (w *writer) message() {
	if w.row.flags&flagSkeleton != 0 && w.version == 0 {
		w.value("message", "{}")
		return
	}
	said, _ := w.line()
	w.value("message", "")
	switch w.kind {
	case kindText:
		w.raw(`{"text":`)
		w.quoted(said)
		if w.odd == oddSurrogate {
			w.raw(`,"reaction_hint":"\ud83d"`)
		}
		w.raw("}")
	case kindQuoted:
		before := w.chat.script[(int(w.row.line)+len(w.chat.script)-1)%len(w.chat.script)]
		w.raw(`{"text":`)
		w.quoted(said)
		w.raw(`,"quoted_msg":{"uuid":"` + formatUUID("MSG", w.salt, w.high) + `","message":{"text":`)
		w.quoted(strings.TrimPrefix(before, "> "))
		w.raw("}}}")
	case kindImage:
		w.media("image", "image/jpeg", "jpeg")
		w.raw(`,"text":`)
		w.quoted(said)
		w.raw("}")
	case kindVoice:
		w.media("ptt", "audio/ogg; codecs=opus", "oga")
		w.raw("}")
	case kindVideo:
		w.media("video", "video/mp4", "mp4")
		w.raw("}")
	case kindDocument:
		w.media("document", "application/pdf", "pdf")
		w.raw(`,"text":"invoice-` + strconv.FormatUint(w.salt%10000, 10) + `.pdf"}`)
	case kindSticker:
		w.media("sticker", "image/webp", "")
		w.raw("}")
	case kindOrder:
		w.dst = fmt.Appendf(w.dst, `{"text":"1 x City bell","order":{"subtotal":%d.50,"total":%d.50,"currency":null,"created_at":%d,"products":[{"id":"%d",`+
			`"name":"City bell","price":7.50,"currency":"EUR","quantity":1,"data":null,"thumbnail_url":"https://files.invalid/bell.png"}]}}`,
			w.salt%90, w.salt%90, w.row.at, w.salt)
	case kindContact:
		w.media("vcard", "text/vcard", "vcf")
		w.raw(`,"contacts":[{"name":"Workshop","phones":["+15550100199"]}]}`)
	case kindEmpty:
		w.raw("{}")
	case kindNull:
		w.raw("null")
	case kindString:
		w.quoted(said)
	default:
		w.undocumented()
	}
}

// undocumented writes a message whose form 2Chat does not document.
func (w *writer) undocumented() {
	switch w.kind {
	case kindAudio:
		w.media("audio", "audio/mpeg", "mp3")
		w.raw("}")
	case kindLocation:
		w.dst = fmt.Appendf(w.dst, `{"pin":{"latitude":"-25.%04d","longitude":"-57.%04d","name":"Bicycle shop","address":"1 Invented Street",`+
			`"url":"https://maps.invalid/shop"}}`, w.salt%10000, w.salt/10000%10000)
	case kindPoll:
		w.raw(`{"poll":{"question":"Which day suits you?","options":["Saturday","Sunday"]}}`)
	case kindListReply:
		w.raw(`{"text":"Repair","list_reply":{"id":"row-2","title":"Repair"}}`)
	case kindButtonReply:
		w.raw(`{"button_reply":{"id":"yes","title":"Yes, please"}}`)
	case kindUnknown:
		w.raw(`{"call_log":{"missed":true}}`)
	}
}

func (w *writer) quoted(s string) { w.dst = appendQuoted(w.dst, s, w.odd == oddEscapes) }

// media begins a message that has a file.
func (w *writer) media(kind, mime, ending string) {
	w.dst = fmt.Appendf(w.dst, `{"media":{"url":"https://files.invalid/ACC0/accm/%016x.%s","type":"%s","mime_type":"%s"}`,
		w.salt, ending, kind, mime)
}

func (w *writer) sender() {
	_, own := w.line()
	sentBy := "user"
	switch {
	case w.odd == oddSystem:
		sentBy = "system"
	case own && w.salt%3 == 0:
		sentBy = "api"
	case own:
		sentBy = "agent"
	}
	if w.odd != oddNoSender {
		w.text("sent_by", sentBy)
	}
	if sentBy != "user" {
		return
	}
	if w.chat.kind == chatGroup {
		who := names[w.salt%uint64(len(names))]
		if w.salt%5 == 0 {
			w.text("participant", fmt.Sprintf("+1555010%04d", w.salt%10000))
		} else {
			w.value("participant", fmt.Sprintf(`{"phone_number":"+1555010%04d","pushname":"%s"}`, w.salt%10000, who))
		}
		return
	}
	if first, last, found := strings.Cut(w.chat.name, " "); found && w.salt%2 == 0 {
		w.value("contact", `{"first_name":"`+first+`","last_name":"`+last+`","profile_pic_url":null}`)
	}
}

func (w *writer) oddity() {
	switch w.odd {
	case oddLink:
		w.text("_2chat_link", "https://app.invalid/inbox/"+w.chat.sessionKey)
	case oddWebhook:
		w.text("event", "whatsapp.message.received")
		w.value("channel", `{"uuid":"WPN0","channel_type":"WW"}`)
		w.value("to_number", "null")
	case oddBigNumber:
		w.value("wa_serial", "12345678901234567890")
		w.value("ratio", "0.1000000000000000055511151231257827")
		w.value("size", "-1.50E+2")
	case oddSurrogate:
		w.value("emoji", `"\ud83d and \u0000 and \ud83d\ude00"`)
	case oddNested:
		w.value("x", `{"a":[[],{},[null,true,false,"","\/"]],"messages":[{"uuid":"not-me"}]}`)
	}
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes a JSON string; with escapes, like a server that answers in ASCII.
func appendQuoted(dst []byte, s string, escapes bool) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', byte(c))
		case c == '\n' && !escapes:
			dst = append(dst, `\n`...)
		case c < 0x20 || escapes && c < 0x10000:
			dst = append(dst, '\\', 'u', hexDigits[c>>12&15], hexDigits[c>>8&15], hexDigits[c>>4&15], hexDigits[c&15])
		case escapes:
			for _, half := range [2]rune{0xd800 + (c-0x10000)>>10, 0xdc00 + (c-0x10000)&0x3ff} {
				dst = append(dst, '\\', 'u', hexDigits[half>>12&15], hexDigits[half>>8&15], hexDigits[half>>4&15],
					hexDigits[half&15])
			}
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return append(dst, '"')
}
