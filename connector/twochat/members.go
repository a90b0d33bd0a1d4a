package twochat

import (
	"bytes"
	"strings"
)

// jsonTypes is a set of types of JSON values.
type jsonTypes uint8

const (
	typeString jsonTypes = 1 << iota
	typeNumber
	typeBool
	typeObject
	typeArray
	typeNull
)

// typeOf gives the type of a value by its first byte.
var typeOf = [256]jsonTypes{
	'"': typeString, '{': typeObject, '[': typeArray, 't': typeBool, 'f': typeBool, 'n': typeNull, '-': typeNumber,
	'0': typeNumber, '1': typeNumber, '2': typeNumber, '3': typeNumber, '4': typeNumber, '5': typeNumber,
	'6': typeNumber, '7': typeNumber, '8': typeNumber, '9': typeNumber,
}

func (t jsonTypes) String() string {
	var names []string
	for i, name := range [...]string{"string", "number", "bool", "object", "array", "null"} {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// member is a known member of an item (connector/README.md, Members).
type member uint8

const (
	memberUUID member = iota
	memberID
	memberTimestamp
	memberCreatedAt
	memberSessionKey
	memberMessage
	memberSentBy
	memberRemote
	memberChannelNumber
	memberLink
	memberParticipant
	memberGroup
	memberContact
	memberChannel
	memberText   // of a webhook or of a single message: text
	memberFlag   // of the same: true or false
	memberAck    // of the same: a number or a word
	memberOthers // not known
	memberCount
)

// The types that members are known to have. Every member may be null.
const (
	knownString   = typeString | typeNull
	knownNumber   = typeNumber | typeString | typeNull // some are written as strings
	knownBool     = typeBool | typeNull
	knownObject   = typeObject | typeNull
	knownPerson   = typeObject | typeString | typeNull // an object with all that is known, or just a number
	knownText     = knownPerson                        // a text message may be just the text
	knownArray    = typeArray | typeNull
	knownAnything = typeString | typeNumber | typeBool | typeObject | typeArray | typeNull
)

// memberTypes are the known types of each member.
var memberTypes = [memberCount]jsonTypes{
	memberUUID: knownString, memberID: knownString, memberTimestamp: knownNumber, memberCreatedAt: knownString,
	memberSessionKey: knownString, memberMessage: knownText, memberSentBy: knownString, memberRemote: knownString,
	memberChannelNumber: knownString, memberLink: knownString, memberParticipant: knownPerson, memberGroup: knownPerson,
	memberContact: knownObject, memberChannel: knownPerson, memberText: knownString, memberFlag: knownBool,
	memberAck: knownNumber,
}

// memberSet is a set of members.
type memberSet uint32

func setOf(each ...member) (set memberSet) {
	for _, m := range each {
		set |= 1 << m
	}
	return set
}

// evened treats each of two equivalent members as both, as the two forms of an item differ in them.
func (m memberSet) evened() memberSet {
	const ids, times = 1<<memberUUID | 1<<memberID, 1<<memberTimestamp | 1<<memberCreatedAt
	if m&ids != 0 {
		m |= ids
	}
	if m&times != 0 {
		m |= times
	}
	return m
}

// where is the kind of object that a member belongs to.
type where uint8

const (
	inEnvelope where = iota
	inItem
	inMessage
	inMedia
)

// path is the prefix of a member's name.
func (w where) path() string {
	return [...]string{"", "messages[].", "messages[].message.", "messages[].message.media."}[w]
}

// sighting is a member on a page that is unknown or has an unknown type.
type sighting struct {
	in    where
	name  span // with its quotes
	found jsonTypes
	known jsonTypes // none if the member is unknown
}

// maxSightings is how many different sightings are recorded per page; further ones are recorded without a name.
const maxSightings = 16

// membersSeen records which members a page has.
type membersSeen struct {
	items     int
	any, all  memberSet // members of some item, and of every item
	echo      bool      // the envelope has page_number
	sightings [maxSightings]sighting
	count     int
	crowded   bool
}

// see records a member that is unknown or whose value has an unknown type.
func (p *membersSeen) see(data []byte, in where, key span, value int, known jsonTypes) {
	name, found := key.of(data), typeOf[data[value]]
	for i := range p.sightings[:p.count] {
		if s := &p.sightings[i]; s.in == in && bytes.Equal(s.name.of(data), name) {
			s.found |= found
			return
		}
	}
	if p.count == maxSightings {
		p.crowded = true
		return
	}
	p.sightings[p.count] = sighting{in, key, found, known}
	p.count++
}

// item adds an item's members.
func (p *membersSeen) item(it *item) {
	if !it.object {
		return
	}
	has := it.members.evened()
	if p.items == 0 {
		p.all = has
	}
	p.any, p.all = p.any|has, p.all&has
	p.items++
}

// message scans the `message` object of an item.
func (p *membersSeen) message(s *scanner, i int) int {
	return s.object(i, 1, func(key span, value int) int {
		end, known := 0, knownAnything
		switch name := unquote(key.of(s.data)); string(name) {
		case "text", "caption":
			known = knownString
		case "media":
			if known = knownObject; value < len(s.data) && s.data[value] == '{' {
				end = p.media(s, value)
			}
		case "quoted_msg", "quoted_message", "quoted":
		default:
			if markerOf(name) == "" {
				known = 0
			}
		}
		if end == 0 {
			end = s.value(value, 2)
		}
		if end > 0 && typeOf[s.data[value]]&known == 0 {
			p.see(s.data, inMessage, key, value, known)
		}
		return end
	})
}

// media scans the `media` object of a message.
func (p *membersSeen) media(s *scanner, i int) int {
	return s.object(i, 2, func(key span, value int) int {
		end, known := s.value(value, 3), jsonTypes(0)
		switch string(unquote(key.of(s.data))) {
		case "url", "type", "mime_type", "mimetype":
			known = knownString
		}
		if end > 0 && typeOf[s.data[value]]&known == 0 {
			p.see(s.data, inMedia, key, value, known)
		}
		return end
	})
}
