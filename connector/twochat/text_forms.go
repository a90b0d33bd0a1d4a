package twochat

import (
	"bytes"
	"encoding/base64"
	"unicode"
	"unicode/utf8"
)

// uuidLength is the length of a UUID in its usual spelling.
const uuidLength = 36

// isUUID reports whether text begins with a UUID.
func isUUID(text []byte) bool {
	if len(text) < uuidLength {
		return false
	}
	for i, c := range text[:uuidLength] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isHex(c) {
			return false
		}
	}
	return true
}

// opaque is the length of a word at the start of text that has the form of an id or a hash, and is not somebody's
// number: a UUID, with or without 2Chat's letters before it, or a long word in which letters and digits alternate as if
// at random. It is 0 if there is none.
func opaque(text []byte) int {
	for prefix := 0; prefix <= 4 && prefix < len(text); prefix++ {
		if isUUID(text[prefix:]) && (len(text) == prefix+uuidLength || !isWord(text[prefix+uuidLength])) {
			return prefix + uuidLength
		}
		if text[prefix] < 'A' || text[prefix] > 'Z' {
			break
		}
	}
	length, letters, changes := 0, 0, 0
	for length < len(text) && isWord(text[length]) {
		if isLetter(text[length]) {
			letters++
		}
		if length > 0 && isLetter(text[length]) != isLetter(text[length-1]) {
			changes++
		}
		length++
	}
	if length >= 16 && letters*5 >= length && changes*8 >= length {
		return length
	}
	return 0
}

func isWord(c byte) bool { return isLetter(c) || isDigit(c) }

// holdsOwn reports whether a word contains the digits of one of the item's own numbers.
func holdsOwn(word []byte, owns []own) bool {
	for i := range owns {
		if bytes.Contains(word, []byte(owns[i].digits)) {
			return true
		}
	}
	return false
}

// isMoment reports whether a string or a number is a time as in messages: a date, or seconds or milliseconds of these
// decades. The range is narrower than that of parseTime, as any other number may be a phone number.
func isMoment(said []byte) bool {
	at, ok := saidTime(said)
	return ok && at.Year() >= 2009 && at.Year() < 2038
}

// dateLength is the length of a date in digits at the start of text, 2026-02-18, or 0.
func dateLength(text []byte) int {
	const form = "dddd-dd-dd"
	if len(text) < len(form) || len(text) > len(form) && isDigit(text[len(form)]) {
		return 0
	}
	for i := range len(form) {
		if form[i] == 'd' && !isDigit(text[i]) || form[i] == '-' && text[i] != '-' {
			return 0
		}
	}
	century, month, day := pair(text), pair(text[5:]), pair(text[8:])
	if (century != 19 && century != 20) || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0
	}
	return len(form)
}

// isCard reports whether text is a contact card (vCard), or a part of one.
func isCard(text []byte) bool {
	lower := bytes.ToLower(text[:min(len(text), 4<<10)])
	if bytes.Contains(lower, []byte("begin:vcard")) || bytes.Contains(lower, []byte("end:vcard")) {
		return true
	}
	for line := range bytes.Lines(lower) {
		for _, start := range [...]string{"fn:", "fn;", "tel;", "item1.tel", "x-wa-"} {
			if bytes.HasPrefix(line, []byte(start)) {
				return true
			}
		}
		if bytes.HasPrefix(line, []byte("n:")) && bytes.IndexByte(line, ';') > 0 {
			return true
		}
	}
	return false
}

// fewestBase64 is the length from which a word of base64 is taken for a file.
const fewestBase64 = 100

// isFile reports whether text is the bytes of a file: a data URI, or a long word of base64.
func isFile(text []byte) bool {
	if len(text) >= 5 && bytes.EqualFold(text[:5], []byte("data:")) && bytes.IndexByte(text, ',') > 0 {
		return true
	}
	if len(text) < 16 || !isBase64(text) {
		return false
	}
	for _, start := range [...]string{
		"/9j/", "iVBORw", "R0lGOD", "UklGR", "T2dnUw", "JVBERi", "AAAAIGZ0eX", "AAAAHGZ0eX",
		"AAAAGGZ0eX", "SUQz", "UEsDB", "PHN2Zy", "Qk0",
	} {
		if bytes.HasPrefix(text, []byte(start)) {
			return true
		}
	}
	return len(text) >= fewestBase64
}

// isBase64 reports whether text consists only of base64, line ends included, and is not just a word or number.
func isBase64(text []byte) bool {
	for _, c := range text {
		if !isWord(c) && c != '+' && c != '/' && c != '-' && c != '_' && c != '=' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

// hidden returns the text that a short word of base64 encodes, or nil: an encoded phone number is still one.
func hidden(text []byte) []byte {
	if len(text) < 10 || len(text) > 4<<10 || !isBase64(text) {
		return nil
	}
	bare := bytes.TrimRight(text, "=\r\n")
	decoded := make([]byte, base64.RawStdEncoding.DecodedLen(len(bare)))
	n, err := base64.RawStdEncoding.Decode(decoded, bare)
	if err != nil {
		if n, err = base64.RawURLEncoding.Decode(decoded, bare); err != nil {
			return nil
		}
	}
	decoded = decoded[:n]
	if !utf8.Valid(decoded) {
		return nil
	}
	for _, r := range string(decoded) {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return nil
		}
	}
	return decoded
}

// fileURL is the length of a URL of a file at the start of text, or 0.
func fileURL(text []byte) int {
	if !bytes.HasPrefix(text, []byte("http://")) && !bytes.HasPrefix(text, []byte("https://")) {
		return 0
	}
	end := bytes.IndexAny(text, " \t\r\n\"<>")
	if end < 0 {
		end = len(text)
	}
	address := bytes.ToLower(text[:end])
	_, rest, _ := bytes.Cut(address, []byte("://"))
	host, path, _ := bytes.Cut(rest, []byte("/"))
	for _, name := range [...]string{
		"amazonaws.com", "2chat-user-data", "whatsapp.net", "fbcdn.net", "cloudfront.net",
		"blob.core.windows.net", "storage.googleapis.com",
	} {
		if bytes.Contains(host, []byte(name)) {
			return end
		}
	}
	path, _, _ = bytes.Cut(path, []byte("?"))
	path, _, _ = bytes.Cut(path, []byte("#"))
	dot := bytes.LastIndexByte(path, '.')
	if dot < 0 {
		return 0
	}
	switch string(bytes.TrimRight(path[dot+1:], ".,;:!)")) {
	case "jpg", "jpeg", "png", "gif", "webp", "svg", "bmp", "heic", "mp4", "3gp", "mov", "avi", "webm", "mkv", "mp3",
		"ogg", "oga", "opus", "m4a", "aac", "amr",
		"wav", "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "zip", "rar", "csv", "txt", "vcf", "enc",
		"bin", "apk":
		return end
	}
	return 0
}
