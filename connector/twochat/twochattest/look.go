package twochattest

import "math/rand/v2"

// Shapes selects the forms of the API's items that the list shows (connector/README.md, Items).
type Shapes int

// The forms.
const (
	// ShapesMixed shows both documented forms and, in one item of six, any oddity that the API was seen with or may have.
	ShapesMixed Shapes = iota
	// ShapesDocumented shows what the vendor's page shows: `uuid` and a float `timestamp`.
	ShapesDocumented
	// ShapesLive shows what code that uses the live API reads: `id`, `uuid` and `created_at` without a zone.
	ShapesLive
)

// kind is the kind of a message's content.
type kind uint8

const (
	kindText kind = iota
	kindQuoted
	kindImage
	kindVoice
	kindVideo
	kindDocument
	kindSticker
	kindOrder
	kindContact
	kindEmpty  // {}
	kindNull   // null
	kindString // a plain string

	// Kinds whose form in received messages 2Chat does not document: they look as when sent, or as in WhatsApp's clients.
	kindAudio
	kindLocation
	kindPoll
	kindListReply
	kindButtonReply
	kindUnknown // an unknown member, and no text
	kinds
)

// editable reports whether a later version can hold another text.
func (k kind) editable() bool { return k <= kindImage }

// idForm is where an item has its id.
type idForm uint8

const (
	idBoth idForm = iota
	idUUID        // only `uuid`
	idID          // only `id`
	idNull        // `uuid` null, `id` good
)

// timeForm is how an item states its time.
type timeForm uint8

const (
	timeLocal    timeForm = iota // created_at without a zone: UTC
	timeFloat                    // timestamp 1670454681.0
	timeZulu                     // created_at …Z
	timeSpace                    // created_at with a space
	timeOffset                   // created_at +00:00
	timeFraction                 // created_at with microseconds
	timeInt                      // timestamp without a fraction
	timeMillis                   // timestamp in milliseconds
	timeText                     // timestamp as a number in a string
	timeBoth                     // created_at and timestamp
	timeMissing                  // none
	timeNull                     // created_at null
	timeGarbage                  // created_at is not a time
	timeObject                   // timestamp is an object
	timeForms
)

func (t timeForm) readable() bool { return t < timeMissing }

// oddity is another property of an item that a reader must preserve.
type oddity uint8

const (
	oddNone oddity = iota
	oddLink
	oddWebhook   // event, channel, to_number as in webhooks
	oddBigNumber // 12345678901234567890 and friends
	oddSurrogate // a lone surrogate escape
	oddEscapes   // every letter escaped
	oddNested
	oddIndented  // white space and line breaks between the tokens
	oddNoSession // no session_key
	oddNullRemote
	oddNoSender
	oddSystem // sent_by system
	oddities
)

// look is everything about a row's bytes that its seed determines.
type look struct {
	high, low uint64 // of the uuid
	kind      kind
	id        idForm
	time      timeForm
	odd       oddity
	salt      uint64
}

func (l look) uuid() string { return formatUUID("MSG", l.high, l.low) }

func (n *list) look(index uint32) look {
	var draw rand.PCG
	draw.Seed(n.seed, uint64(index)<<16|0x17e)
	l := look{high: draw.Uint64(), low: draw.Uint64()}
	a, b, c := draw.Uint64(), draw.Uint64(), draw.Uint64()
	l.salt = draw.Uint64()
	switch p := a % 100; {
	case p < 74:
		l.kind = kindText
	case p < 79:
		l.kind = kindQuoted
	case p < 85:
		l.kind = kindImage
	default:
		l.kind = kindVoice + kind(p)%(kinds-kindVoice)
	}
	switch n.shapes {
	case ShapesDocumented:
		l.id, l.time = idUUID, timeFloat
		return l
	case ShapesLive:
		l.id, l.time = idBoth, timeLocal
		return l
	}
	switch p := b % 100; {
	case p < 50:
		l.id, l.time = idBoth, timeLocal
	case p < 84:
		l.id, l.time = idUUID, timeFloat
	default:
		l.id, l.time = idForm(b>>8%4), timeForm(b>>16%uint64(timeForms))
	}
	if c%6 == 0 {
		l.odd = oddity(c >> 8 % uint64(oddities))
	}
	return l
}
