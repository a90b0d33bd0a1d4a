package twochat

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Identifiers is how phone numbers and chats are shown in events.
type Identifiers string

// The privacy modes. With another mode or another key, chats get other tokens.
const (
	// IdentifiersHashed: tokens are hashes; data is unchanged.
	IdentifiersHashed Identifiers = "hashed"
	// IdentifiersClear: tokens are the encoded identifiers; data is unchanged.
	IdentifiersClear Identifiers = "clear"
	// IdentifiersPseudonymous: tokens are keyed hashes, and replace the identifiers in data as well.
	IdentifiersPseudonymous Identifiers = "pseudonymous"
)

// What may be dropped from messages.
const (
	DropText   = "text"
	DropMedia  = "media"
	DropQuoted = "quoted"
	DropNames  = "names"
)

// minSecret is the shortest pseudonym key, in bytes. With a weaker one all phone numbers could be tried.
const minSecret = 16

// Privacy configures which parts of a message leave this program, and in which form.
type Privacy struct {
	// Identifiers is IdentifiersHashed if it is empty.
	Identifiers Identifiers
	// Secret is the pseudonym key, at least 16 bytes; it is empty in other modes.
	Secret []byte
	// Drop lists what is removed from data: text, media, quoted, names.
	Drop []string
}

// Name is the value of connector.Checkpoint.Privacy: the mode and, for pseudonyms, a short id of their key. It changes
// exactly when chats get other tokens.
func (p Privacy) Name() string {
	switch p.Identifiers {
	case "":
		return string(IdentifiersHashed)
	case IdentifiersPseudonymous:
		mac := hmac.New(sha256.New, p.Secret)
		mac.Write([]byte("twochat-connector: id of this key"))
		return string(IdentifiersPseudonymous) + ":" + hex.EncodeToString(mac.Sum(nil)[:6])
	}
	return string(p.Identifiers)
}

// Keyed returns the stream with the source key for its checkpoints: with pseudonyms it is made with their key as well.
// A plain hash would reveal the numbers to anyone who tries all of them, which takes seconds.
func (p Privacy) Keyed(s connector.Stream) connector.Stream {
	if p.Identifiers != IdentifiersPseudonymous {
		return s
	}
	mac := hmac.New(sha256.New, p.Secret)
	mac.Write([]byte("twochat-connector: source key\n" + s.SourceKey))
	s.SourceKey, s.FormerKey = hex.EncodeToString(mac.Sum(nil)[:16]), s.SourceKey
	return s
}

// Validate returns an error with everything that is wrong with the settings.
func (p Privacy) Validate() error {
	var problems []error
	switch p.Identifiers {
	case "", IdentifiersHashed, IdentifiersClear:
		if len(p.Secret) > 0 {
			problems = append(problems, errors.New("privacy: a key is used only with pseudonymous identifiers"))
		}
	case IdentifiersPseudonymous:
		if len(p.Secret) < minSecret {
			problems = append(problems, fmt.Errorf("privacy: pseudonymous identifiers need a key of at least %d bytes",
				minSecret))
		}
	default:
		problems = append(problems, fmt.Errorf("privacy: identifiers %q: expected hashed, clear or pseudonymous",
			p.Identifiers))
	}
	for _, name := range p.Drop {
		if name != DropText && name != DropMedia && name != DropQuoted && name != DropNames {
			problems = append(problems, fmt.Errorf("privacy: drop %q: expected text, media, quoted or names", name))
		}
	}
	return errors.Join(problems...)
}

// redactor applies privacy settings. It is safe for concurrent use.
type redactor struct {
	mode   Identifiers
	secret []byte
	// Dropped.
	text, media, quoted, names bool
	dropping                   bool // any of them
	rewrites                   bool // data is changed
	unknown                    atomic.Uint64
	macs                       sync.Pool // of hash.Hash, keyed with secret: keying costs as much as hashing
}

func newRedactor(p Privacy) (*redactor, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	drops := func(what string) bool { return slices.Contains(p.Drop, what) }
	r := &redactor{
		mode: p.Identifiers, secret: bytes.Clone(p.Secret), dropping: len(p.Drop) > 0,
		text: drops(DropText), media: drops(DropMedia), quoted: drops(DropQuoted), names: drops(DropNames),
	}
	r.macs.New = func() any { return hmac.New(sha256.New, r.secret) }
	r.rewrites = r.pseudonymous() || r.dropping
	return r, nil
}

func (r *redactor) pseudonymous() bool { return r.mode == IdentifiersPseudonymous }

// maxClear is the longest token in clear.
const maxClear = 128

// chat makes the token of a chat in the list that sourceKey identifies.
func (r *redactor) chat(sourceKey string, chat []byte) string {
	switch r.mode {
	case IdentifiersPseudonymous:
		return r.pseudonym(chat)
	case IdentifiersClear:
		if token := connector.SubjectToken(string(chat)); len(token) <= maxClear {
			return token
		}
	}
	var room [256]byte
	text := append(append(append(room[:0], sourceKey...), '\n'), chat...)
	sum := sha256.Sum256(text)
	return connector.HashToken([16]byte(sum[:16]))
}

// pseudonym makes the token of an identifier. It depends only on the key and the identifier, so that the same number
// has the same token everywhere: +595981048477, 595981048477 and 595981048477@c.us are one.
func (r *redactor) pseudonym(identifier []byte) string {
	identifier = bytes.TrimPrefix(identifier, []byte("+"))
	if digits, suffix, ok := bytes.Cut(identifier, []byte("@")); ok && len(digits) > 0 && personSuffix(suffix) {
		identifier = digits
	}
	mac := r.macs.Get().(hash.Hash)
	mac.Reset()
	var room [256]byte
	mac.Write(append(append(room[:0], "identifier\n"...), identifier...))
	sum := mac.Sum(room[:0])
	r.macs.Put(mac)
	return connector.HashToken([16]byte(sum[:16]))
}

// personSuffix reports whether an id with this suffix is a person's phone number.
func personSuffix(suffix []byte) bool {
	return string(suffix) == "c.us" || string(suffix) == "s.whatsapp.net"
}

// id is a message's id in the rewritten item: without the numbers in it.
func (r *redactor) id(id, item []byte, numbers []string) []byte {
	w := rewriter{rules: r, json: scanner{data: item}}
	for _, number := range numbers {
		w.know([]byte(number))
	}
	if s := (scanner{data: item}); len(item) > 0 && item[0] == '{' && s.value(0, 0) == len(item) && !s.deep {
		w.gather(0, roleEnvelope)
	}
	scrubbed, ok := w.scrub(id)
	switch {
	case !ok:
		return id
	case len(scrubbed) > maxID:
		return []byte(r.pseudonym(id))
	}
	return scrubbed
}

// sender returns who sent a message, unless that is a phone number.
func (r *redactor) sender(by []byte) string {
	known := sender(by)
	if known == "" || !r.pseudonymous() || known == "user" || known == "api" || known == "agent" {
		return known
	}
	w := rewriter{rules: r}
	if _, ok := w.scrub(by); ok {
		return r.pseudonym(by)
	}
	return known
}
