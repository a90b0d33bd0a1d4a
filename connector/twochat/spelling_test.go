package twochat

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
)

// victim is a customer's number, as digits. stranger is one that the item names nowhere else.
const (
	victim   = "15550106666"
	stranger = "4915730918273"
	lidOf    = "987654321098765"
)

// spellings are ways to write a number. The places add the escapes of JSON.
func spellings(n string) map[string]string {
	spread := func(between string) string {
		return "+" + n[:1] + between + n[1:4] + between + n[4:7] + between + n[7:]
	}
	other := func(zero rune) string {
		var out strings.Builder
		for _, c := range n {
			out.WriteRune(zero + c - '0')
		}
		return out.String()
	}
	percent := ""
	for _, c := range []byte(n) {
		percent += fmt.Sprintf("%%%02X", c)
	}
	entities := ""
	for _, c := range n {
		entities += fmt.Sprintf("&#%d;", c)
	}
	escapes := ""
	for _, c := range n {
		escapes += fmt.Sprintf(`\u%04x`, c)
	}
	all := map[string]string{
		"bare": n, "plus": "+" + n, "zeros": "00" + n, "tel": "tel:+" + n, "tel zeros": "tel:00" + n, "sms": "sms:" + n,
		"waid":  "waid=" + n,
		"wa.me": "https://wa.me/" + n, "wa.me plus": "https://wa.me/+" + n + "?text=hi",
		"send":         "https://api.whatsapp.com/send?phone=" + n,
		"send percent": "https://api.whatsapp.com/send?phone=%2B" + n + "&text=hi", "send twice": "x?phone=%252B" + n,
		"percent": percent, "intl": "whatsapp://send/?phone=" + n,
		"brackets": "+" + n[:1] + " (" + n[1:4] + ") " + n[4:7] + "-" + n[7:], "query": "phone=" + n[:1] + "+" + n[1:4] +
			"+" + n[4:7] + "+" + n[7:],
		"percent blanks": strings.ReplaceAll(spread("%20"), "+", "%2B"), "fullwidth": other('０'), "arabic": other('٠'),
		"persian": other('۰'), "devanagari": other('०'),
		"mathematical": other('𝟎'), "entities": entities, "nbsp entity": spread("&nbsp;"), "escapes": escapes,
		"keycaps": strings.Join(strings.Split(n, ""), "\ufe0f\u20e3") + "\ufe0f\u20e3",
		"spaced":  strings.Join(strings.Split(n, ""), " "), "zero width inside": strings.Join(strings.Split(n, ""), "\u200b"),
		"marks around": "\u202a+" + n + "\u202c",
		"superscript":  superscript(n), "letters around": "N" + n + "X", "underscores": "true_" + n + "_3A8AE",
		"in words": "call me at " + n + " please", "in quotes": `"` + n + `"`,
		"base64": base64.StdEncoding.EncodeToString([]byte("tel:+" + n)), "with an end": n + ".", "mention": "hi @" + n + "!",
		"slash": "/" + n + "/", "hash": "#" + n, "equals": "a=" + n + "&b=2",
		"JSON": `{"a":["` + n + `"],"b":` + n + `,"` + n + `":1}`, "JSON in JSON": `{"a":"{\"b\":\"` + n + `\"}"}`,
		"vCard":        "BEGIN:VCARD\nVERSION:3.0\nFN:Zoe Person\nTEL;type=CELL;waid=" + n + ":+" + n + "\nEND:VCARD",
		"half a vCard": "TEL;waid=" + n + ":" + spread(" "), "mail": n + "@example.com", "device": n + ":7@s.whatsapp.net",
		"agent and device": n + ".0:7@s.whatsapp.net",
		"session":          "WW-WPN0f66efd7-fbe0-4e15-9b2a-f6125fbfdfcc-" + n + "@c.us", "group": n + "-1400000000@g.us",
		"escaped id": n + "%40c.us", "message id": "false_" + n + "@c.us_3EB0A1B2C3D4E5F6A7B8",
	}
	for name, between := range map[string]string{
		"blanks": " ", "dashes": "-", "points": ".", "slashes": "/", "nbsp": "\u00a0", "thin": "\u2009", "narrow": "\u202f",
		"zero width": "\u200b", "joiner": "\u2060", "en dash": "–", "em dash": "—",
		"hyphen": "‐", "non-breaking hyphen": "‑", "minus": "−", "soft hyphen": "\u00ad", "bom": "\ufeff",
		"ideographic": "\u3000", "dots": "·", "colons": ":", "stars": "*", "commas": ",", "tabs": "\t",
		"dash and blanks": " - ", "under": "_",
	} {
		all["with "+name] = spread(between)
	}
	for _, domain := range []string{
		"c.us", "s.whatsapp.net", "hosted", "bot", "msgr", "lid", "hosted.lid", "broadcast",
		"newsletter", "call", "g.us", "unknown.example", "x",
	} {
		all["at "+domain] = n + "@" + domain
	}
	return all
}

func superscript(n string) string {
	return strings.Map(func(c rune) rune { return []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[c-'0'] }, n)
}

// places are positions in an item where a string can be; they take and return JSON.
func places() map[string]func(quoted string) string {
	text := func(quoted string) string {
		var said string
		if json.Unmarshal([]byte(quoted), &said) != nil {
			return ""
		}
		return said
	}
	in := func(words string) func(string) string {
		return func(quoted string) string { return strings.ReplaceAll(words, "§", quoted) }
	}
	all := map[string]func(string) string{
		"message": in(`{"message":§}`), "text": in(`{"message":{"text":§}}`),
		"caption": in(`{"message":{"media":{"caption":§}}}`), "unknown": in(`{"never":§}`),
		"session": in(`{"session_key":§}`),
		"remote":  in(`{"remote_phone_number":§}`), "name": in(`{"notify_name":§}`),
		"time": in(`{"created_at":§,"timestamp":§}`), "type": in(`{"type":§,"sent_by":§,"mime_type":§}`),
		"id":  in(`{"x":{"uuid":§,"id":§}}`),
		"url": in(`{"message":{"media":{"url":§}}}`), "participant": in(`{"participant":§}`),
		"contact":  in(`{"contact":{"about":§,"x":[§]}}`),
		"quoted":   in(`{"message":{"quoted_msg":{"message":{"text":§},"participant":§}}}`),
		"array":    in(`{"mentioned":[§,[§]],"x":[1,§]}`),
		"product":  in(`{"message":{"order":{"products":[{"name":§,"id":§,"price":§}]}}}`),
		"location": in(`{"location":{"name":§,"address":§,"url":§}}`),
		"vcard":    in(`{"vcard":§,"message":{"contact_card":{"displayName":§,"vcard":§}}}`),
		"key":      in(`{"seen":{§:1},"x":{"y":{§:{"z":null}}}}`), "link": in(`{"_2chat_link":§}`),
		"event": in(`{"event":§,"channel":{"x":§},"to_number":§}`), "escaped": func(quoted string) string {
			out := `{"x":"`
			for _, r := range text(quoted) {
				if r > 0xffff {
					out += string(r)
					continue
				}
				out += fmt.Sprintf(`\u%04X`, r)
			}
			return out + `"}`
		},
		"long text": in(`{"message":{"text":§,"x":"` + strings.Repeat("words and more words, ", 60) + `"},"a":§}`),
	}
	for depth := 1; depth <= 5; depth++ {
		all[fmt.Sprintf("depth %d", depth)] = in(strings.Repeat(`{"a":[{"b":`, depth) + "§" + strings.Repeat(`}]}`, depth))
	}
	return all
}

// plainDigits is a text as seen by somebody who looks for a number.
func plainDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if digit, ok := digitOf(r); ok {
			return rune(digit)
		}
		if unicode.IsLetter(r) && r < 0x80 {
			return r
		}
		return -1
	}, text)
}

// entityEnd writes the character of the HTML entity at i, and returns where the entity ends, or i if there is none.
func entityEnd(text string, i int, out *strings.Builder) int {
	r, end := entityRune([]byte(text), i)
	if end == 0 {
		return i
	}
	out.WriteRune(r)
	return end
}

// strip reverses every escape in the table.
func strip(t *testing.T, item []byte) string {
	t.Helper()
	if !json.Valid(item) {
		t.Fatalf("no JSON: %s", item)
	}
	text := string(item)
	for range 4 {
		var out strings.Builder
		for i := 0; i < len(text); {
			if r, end := escapedRune([]byte(text), i); text[i] == '\\' && end > 0 {
				out.WriteRune(r)
				i = end
			} else if r, end := percentRune([]byte(text), i); end > 0 {
				out.WriteRune(r)
				i = end
			} else if text[i] == '&' && entityEnd(text, i, &out) > i {
				i = entityEnd(text, i, new(strings.Builder))
			} else {
				out.WriteByte(text[i])
				i++
			}
		}
		text = out.String()
	}
	return plainDigits(text)
}

// No spelling of a number passes, in any place: neither of one that the item names as its own, nor of another.
func TestRewrite_EverySpellingInEveryPlace(t *testing.T) {
	r := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	count := 0
	for _, number := range []string{victim, stranger} {
		for spelling, said := range spellings(number) {
			q := quoted(said)
			for place, at := range places() {
				for _, own := range []string{
					"", `"remote_phone_number":"+` + victim + `",`,
					`"session_key":"WW-WPN0f66efd7-fbe0-4e15-9b2a-f6125fbfdfcc-` + victim + `@c.us",`,
				} {
					if number == stranger && own != "" {
						continue
					}
					item := strings.Replace(at(string(q)), "{", `{`+own, 1)
					if !json.Valid([]byte(item)) {
						t.Fatalf("the table is wrong: %s", item)
					}
					got := r.rewrite([]byte(item))
					left := strip(t, got)
					if strings.Contains(left, number) || strings.Contains(left, number[1:]) || strings.Contains(left, number[3:]) ||
						strings.Contains(string(got), "Zoe") ||
						strings.Contains(string(got), base64.StdEncoding.EncodeToString([]byte("tel:+"+number))) {
						t.Errorf("%s in %s: %s\nbecame %s", spelling, place, item, got)
					}
					count++
				}
			}
		}
	}
	t.Logf("%d items", count)
}

// A number on its own has the same token in every spelling and place.
func TestRewrite_OneTokenForANumber(t *testing.T) {
	r := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	token := r.pseudonym([]byte(victim))
	opaque := map[string]bool{ // the whole string becomes one token, of which the number is a part
		"base64": true, "vCard": true, "half a vCard": true, "at lid": true, "at hosted.lid": true, "at broadcast": true,
		"at newsletter": true, "at call": true, "at g.us": true, "group": true, "commas": true,
	}
	for spelling, said := range spellings(victim) {
		if opaque[spelling] {
			continue
		}
		for _, item := range []string{
			`{"remote_phone_number":"+` + victim + `","x":` + string(quoted(said)) + `}`, `{"message":{"text":` +
				string(quoted(said)) + `},"session_key":"` + victim + `@c.us"}`, `{"x":` + string(quoted(said)) + `}`,
		} {
			got := string(r.rewrite([]byte(item)))
			want := 1
			if strings.Contains(item, "_") && !strings.HasPrefix(item, `{"x"`) {
				want = 2
			}
			if strings.Count(got, token) < want {
				t.Errorf("%s: %s\nbecame %s, without the token %s", spelling, item, got, token)
			}
		}
	}
	lid := r.pseudonym([]byte(lidOf + "@lid"))
	for _, said := range []string{lidOf + "@lid", lidOf + ":3@lid", lidOf + "@hosted.lid", lidOf} {
		item := `{"participant":{"lid":"` + lidOf + `@lid"},"x":"` + said + `"}`
		if got := string(r.rewrite([]byte(item))); strings.Count(got, lid) != 2 {
			t.Errorf("%s: %s, without the token %s", said, got, lid)
		}
	}
	// JSON numbers, in any notation.
	for _, number := range []string{
		victim, victim + ".0", "1.5550106666e10", "1.5550106666E+10", "155501066660e-1",
		"-" + victim,
	} {
		for _, name := range []string{"x", "num", "timestamp", "created_at", "size", "id", "price"} {
			if got := string(r.rewrite([]byte(`{"` + name + `":` + number + `}`))); got != `{"`+name+`":"`+token+`"}` {
				t.Errorf("%s: %s became %s", name, number, got)
			}
		}
	}
	// As dialled within the country, or from abroad.
	for _, said := range []string{"(555) 010-6666", "0555 010 6666", "011 1 555 010 6666", "5550106666", "0015550106666"} {
		item := `{"remote_phone_number":"+` + victim + `","x":"` + said + `"}`
		if got := string(r.rewrite([]byte(item))); strings.Count(got, token) != 2 {
			t.Errorf("%s: %s", said, got)
		}
	}
	// The numbers of the list itself are known even if the item does not contain them.
	if got := string(r.rewrite([]byte(`{"x":"call 5550106666 or 55501"}`), "+"+victim, "+5555501")); strings.Contains(got,
		"5550106666") || !strings.Contains(got, token) {
		t.Errorf("a number of the list's: %s", got)
	}
	if got := string(r.rewrite([]byte(
		`{"x":"15550106666, 4915730918273 and +15550106666 +4915730918273"}`))); strings.Count(got, token) != 2 ||
		strings.Count(got, r.pseudonym([]byte(stranger))) != 2 {
		t.Errorf("two numbers side by side: %s", got)
	}
}

// What is known to be harmless stays unchanged: ids, hashes, times, kinds, amounts, words and short numbers.
func TestRewrite_WhatStays(t *testing.T) {
	r := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	for _, item := range []string{
		`{"uuid":"MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651485","id":"MSG00000001-0000-4000-8000-000000000001"}`,
		`{"timestamp":1670454681.0,"created_at":"2026-02-18T18:01:35","x":{"wa_created_at":1670454681,"updated_at":"2022-10-31 22:05:44"}}`,
		`{"timestamp":1670454681123,"created_at":"1670454681.5"}`,
		`{"message":{"text":"Order 4711 of 2026-02-18 at 18:01, 3 pieces, 12.50 EUR, ok? 100% & more"}}`,
		`{"message":{"media":{"url":"https://2chat-user-data.s3.amazonaws.com/ACCb54d46e3-b0bc-6414-1234-567890123456/accm/0123456a7fe0b1234567c8d01ab45678.jpeg","type":"image","mime_type":"image/jpeg"}}}`,
		`{"message":{"order":{"subtotal":12345.50,"total":999999999,"currency":null,"created_at":1670454681,"products":[{"id":"abc","name":"City bell","price":7.50,"quantity":1}]}}}`,
		`{"sent_by":"user","event":"whatsapp.message.received","x":[true,false,null,1,-2.5,"",{}],"wa_msg_id":"3A8AE0BEDA97E2F99557","wa_msg_ack":3}`,
		`{"x":"me@lidl.com and you@c.us","y":"status@broadcast","z":"[image]","q":"\"quoted\"","\u00fc":"\u00e9\ud83d\ude00"}`,
	} {
		if got := r.rewrite([]byte(item)); string(got) != item {
			t.Errorf("%s\nbecame %s", item, got)
		}
	}
}

// The names of people become tokens in every place.
func TestRewrite_Names(t *testing.T) {
	r := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	drop := mustRedact(t, Privacy{Drop: []string{DropNames}})
	for _, name := range []string{
		"name", "first_name", "last_name", "firstName", "friendly_name", "pushname", "pushName", "push_name", "notify",
		"notify_name", "notifyName", "verified_name", "verifiedName", "verified_biz_name", "displayName",
		"formattedName", "short_name", "nickname", "fullname", "full_name", "wa_group_name", "contact_name", "sender_name",
		"senderName", "customerName", "surname", "username", "NAME", "profileName", "author", "participant",
		"sender", "contact", "email", "address", "vcard", "from", "file_name",
	} {
		for depth := range 6 {
			for _, form := range []string{
				`{"%s":"Zoe Person"}`, `{"%s":["Zoe Person"]}`, `{"%s":{"x":"Zoe Person"}}`,
				`{"x":"{\"%s\":\"Zoe Person\"}"}`,
			} {
				item := strings.Repeat(`{"b":`, depth) + fmt.Sprintf(form, name) + strings.Repeat(`}`, depth)
				if got := string(r.rewrite([]byte(item))); strings.Contains(got, "Zoe") ||
					!strings.Contains(got, r.pseudonym([]byte("Zoe Person"))) {
					t.Errorf("%s became %s", item, got)
				}
				if got := string(drop.rewrite([]byte(item))); strings.Contains(got, "Zoe") {
					t.Errorf("without names, %s is %s", item, got)
				}
			}
		}
	}
	for _, card := range []string{
		"BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Zoe Person;;;\r\nFN:Zoe Person\r\nEND:VCARD", "begin:vcard\nFN:Zoe Person",
		"VERSION:3.0\nFN:Zoe Person\nTEL:1", "FN;CHARSET=UTF-8:Zoe Person",
		"data:text/vcard,BEGIN:VCARD FN:Zoe Person",
	} {
		item := []byte(`{"never":` + string(quoted(card)) + `,"x":[` + string(quoted(card)) + `],"message":{"text":` +
			string(quoted(card)) + `}}`)
		for mode, r := range map[string]*redactor{
			"pseudonymous": r, "names": drop,
			"text": mustRedact(t, Privacy{Drop: []string{DropText}}),
		} {
			if got := string(r.rewrite(item)); strings.Contains(got, "Zoe") {
				t.Errorf("%s: a card became %s", mode, got)
			}
		}
	}
}

// Every name of what is dropped, alone and at every depth, and values that are dropped because of their form alone.
func TestRewrite_DropsWhereverItStands(t *testing.T) {
	file := "https://2chat-user-data.s3.amazonaws.com/ACC/accm/CANARY.jpeg"
	blob := strings.Repeat("Q0FOQVJZ", 20) + "CANARY"
	values := func(text string) []string {
		q := string(quoted(text))
		return []string{q, "[" + q + "]", `{"x":` + q + `}`, `[{"y":[` + q + `]}]`, string(quoted(`{"z":` + q + `}`))}
	}
	for drop, names := range map[string][]string{
		DropText: {
			"text", "caption", "body", "title", "subtitle", "footer", "description", "transcription", "transcript", "content",
			"conversation", "subject", "comment", "note", "order", "products", "location", "liveLocation",
			"poll", "question", "options", "reaction", "emoji", "matchedText", "Caption", "TEXT", "audio_transcript",
			"message_body", "never_seen", "x", "hint", "status_text", "vcard", "message",
		},
		DropMedia: {
			"media", "thumbnail", "thumbnail_url", "jpegThumbnail", "image", "video", "audio", "sticker", "document", "file",
			"profile_pic_url", "avatar", "picture", "photo", "attachment", "attachments", "mediaKey", "directPath",
			"waveform", "media_url", "mediaUrl", "base64",
		},
		DropQuoted: {
			"quoted_msg", "quoted_message", "quoted", "quotedMsg", "quotedMessage", "contextInfo", "reply_to",
			"in_reply_to", "quoted_text", "quotedStanza", "repliedMessage",
		},
		DropNames: {"name", "pushname", "first_name", "notify_name", "displayName", "nickname", "vcard"},
	} {
		r := mustRedact(t, Privacy{Drop: []string{drop}})
		for _, name := range names {
			for depth := range 6 {
				for _, value := range values("CANARY said this") {
					inner := fmt.Sprintf(`{"type":"chat",%q:%s,"ack":1}`, name, value)
					item := strings.Repeat(`{"b":[`, depth) + inner + strings.Repeat(`]}`, depth)
					got := string(r.rewrite([]byte(item)))
					if strings.Contains(got, "CANARY") {
						t.Errorf("without %s, %s is %s", drop, item, got)
					}
					if !json.Valid([]byte(got)) || !strings.Contains(got, `"type":"chat"`) || !strings.Contains(got, `"ack":1`) {
						t.Errorf("without %s, of %s is left %s", drop, item, got)
					}
				}
			}
		}
	}
	for drop, items := range map[string][]string{
		DropMedia: {
			`{"x":"` + file + `"}`, `{"x":["` + file + `"]}`, `{"x":"` + blob + `"}`, `{"x":"data:image/png;base64,CANARY"}`,
			`{"message":{"text":"see ` + file + ` there"}}`, `{"message":"` + file + `"}`,
			`{"link":"http://files.invalid/CANARY.PDF"}`, `{"x":"{\"y\":\"` + file + `\"}"}`,
			`{"x":"/9j/4AAQSkZJRgABAQAAAQABAACANARY"}`,
		},
		DropText: {
			`{"x":{"latitude":1,"longitude":2,"y":"CANARY"}}`, `{"message":"CANARY"}`, `{"message":["CANARY"]}`,
			`{"x":"4111 1111 CANARY"}`, `{"status":"CANARY says more than one word"}`,
		},
		DropQuoted: {
			`{"x":{"uuid":"a","message":{"text":"CANARY"}}}`, `{"x":[{"session_key":"s","text":"CANARY"}]}`,
			`{"message":{"x":{"id":"a","body":"CANARY"}}}`, `{"x":"{\"uuid\":\"a\",\"message\":{\"text\":\"CANARY\"}}"}`,
		},
		DropNames: {
			`{"contact":{"about":"CANARY Person","phone_number":"+15550106666"}}`, `{"participant":"CANARY Person"}`,
			`{"author":{"x":["CANARY Person"]}}`,
		},
	} {
		for _, item := range items {
			if got := string(mustRedact(t, Privacy{Drop: []string{drop}}).rewrite([]byte(item))); strings.Contains(got,
				"CANARY") || !json.Valid([]byte(got)) {
				t.Errorf("without %s, %s is %s", drop, item, got)
			}
		}
	}
	// Everything else stays, to the byte.
	item := `{"uuid":"a","session_key":"WW-1-52155@c.us","created_at":"2026-02-18T18:01:35","message":{"text":"hi","media":{"url":"` + file + `","type":"image"},"quoted_msg":{"uuid":"b","message":{"text":"x"}}},"contact":{"first_name":"Zoe","phone_number":"+15550106666","uuid":"CONaf1fa3a1-0d8d-4aa5-b117-f9425b651485"},"sent_by":"user"}`
	for drop, want := range map[string]string{
		DropText:   `{"uuid":"a","session_key":"WW-1-52155@c.us","created_at":"2026-02-18T18:01:35","message":{"media":{"url":"` + file + `","type":"image"},"quoted_msg":{"uuid":"b","message":{}}},"contact":{"first_name":"Zoe","phone_number":"+15550106666","uuid":"CONaf1fa3a1-0d8d-4aa5-b117-f9425b651485"},"sent_by":"user"}`,
		DropMedia:  `{"uuid":"a","session_key":"WW-1-52155@c.us","created_at":"2026-02-18T18:01:35","message":{"text":"hi","quoted_msg":{"uuid":"b","message":{"text":"x"}}},"contact":{"first_name":"Zoe","phone_number":"+15550106666","uuid":"CONaf1fa3a1-0d8d-4aa5-b117-f9425b651485"},"sent_by":"user"}`,
		DropQuoted: `{"uuid":"a","session_key":"WW-1-52155@c.us","created_at":"2026-02-18T18:01:35","message":{"text":"hi","media":{"url":"` + file + `","type":"image"}},"contact":{"first_name":"Zoe","phone_number":"+15550106666","uuid":"CONaf1fa3a1-0d8d-4aa5-b117-f9425b651485"},"sent_by":"user"}`,
		DropNames:  `{"uuid":"a","session_key":"WW-1-52155@c.us","created_at":"2026-02-18T18:01:35","message":{"text":"hi","media":{"url":"` + file + `","type":"image"},"quoted_msg":{"uuid":"b","message":{"text":"x"}}},"contact":{"phone_number":"+15550106666","uuid":"CONaf1fa3a1-0d8d-4aa5-b117-f9425b651485"},"sent_by":"user"}`,
	} {
		if got := string(mustRedact(t, Privacy{Drop: []string{drop}}).rewrite([]byte(item))); got != want {
			t.Errorf("without %s:\n%s, want\n%s", drop, got, want)
		}
	}
}

// A member that was never seen before is counted, and reported to the caller.
func TestRewrite_CountsWhatWasNeverSeen(t *testing.T) {
	r := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	var told []string
	r.rewriteWith(nil, []byte(`{"uuid":"a","never":1,"message":{"text":"x","seen":{"before":"y"}},"z":"{\"inner\":1}"}`),
		func(name []byte) { told = append(told, string(name)) })
	if got := strings.Join(told, " "); got != "never seen before z inner" || r.unknown.Load() != 5 {
		t.Errorf("told of %s, counted %d", got, r.unknown.Load())
	}
}
