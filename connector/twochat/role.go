package twochat

import "bytes"

// role is the meaning of a member's value, judged by the member's name.
type role uint8

const (
	roleUnknown    role = iota // never seen before: treated as text, and counted
	rolePlain                  // ids, kinds and counts: harmless, but checked nevertheless
	roleTime                   // a time, if it can be parsed as one
	roleIdentifier             // a number or a chat
	roleName                   // a person's name or address
	rolePerson                 // an object that describes a person, or a person's name or number
	roleCard                   // a contact's card
	roleText                   // what somebody wrote, or what was derived from it
	roleThing                  // an order, a place, a poll: what a message consists of apart from its text
	roleMedia                  // a file, or a URL of one
	roleQuoted                 // another message
	roleMessage                // the content of a message
	roleEnvelope               // lists and objects without a meaning of their own
)

// longestName is the longest name of a known member.
const longestName = 40

// roleOf returns a member's role by its name. Names are compared without case, dashes and underscores: the API, its
// webhooks and WhatsApp itself write them in different ways.
func roleOf(name []byte) role {
	var room [longestName]byte
	plain := room[:0]
	for _, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_' || c == '-' || c == ' ' || c == '.' || c == '$' || c == '@':
			continue
		}
		if len(plain) == longestName {
			return roleUnknown
		}
		plain = append(plain, c)
	}
	if known := exactRole(plain); known != roleUnknown {
		return known
	}
	return likelyRole(plain)
}

// exactRole knows the names that the API is documented or was seen to use, and those that WhatsApp's clients use.
func exactRole(name []byte) role {
	switch string(name) {
	case "uuid", "id", "messageid", "messageuuid", "wamsgid", "whatsappmessageid", "channeluuid", "wawebuuid", "groupuuid",
		"sessionuuid",
		"quoteduuid", "stanzaid", "keyid", "sentby", "type", "mimetype", "mime", "event", "eventname", "success", "status",
		"state",
		"connectionstatus", "channeltype", "ack", "wamsgack", "direction", "currency", "subtotal", "total", "price",
		"quantity", "count",
		"size", "filesize", "filelength", "duration", "seconds", "width", "height", "pagecount", "kind", "platform",
		"provider",
		"language", "locale", "version", "isgroup", "fromme", "isfromapi", "isfromagent", "isfromchatter", "isfromflowrun",
		"sent":
		return rolePlain
	case "createdat", "timestamp", "lastupdated", "updatedat", "wacreatedat", "messagetimestamp", "sentat", "receivedat",
		"deliveredat",
		"readat", "editedat", "deletedat", "expiresat", "connectedat", "date", "datetime", "time", "t":
		return roleTime
	case "sessionkey", "remotephonenumber", "channelphonenumber", "tonumber", "fromnumber", "phonenumber", "phonenumbers",
		"phone", "phones",
		"remoteid", "toremoteid", "2chatlink", "waid", "jid", "remotejid", "remotejidalt", "participantpn", "participantlid",
		"senderpn", "senderlid",
		"lid", "msisdn", "mobile", "tel", "telephone", "mentioned", "mentions", "mentionedjid", "mentionedids", "chatid",
		"number", "numbers":
		return roleIdentifier
	case "pushname", "notify", "nick", "alias", "fullname", "surname", "middle", "givenname", "familyname", "honorific",
		"birthday", "birthdate",
		"email", "emails", "mail", "address", "street", "city", "zip", "postcode", "postalcode", "org", "organization",
		"organisation", "company",
		"jobtitle", "website":
		return roleName
	case "participant", "participants", "contact", "author", "sender", "channel", "group", "owner", "user", "users",
		"customer", "client", "member",
		"members", "admin", "admins", "agent", "profile", "recipient", "recipients", "from", "to", "person", "people", "by":
		return rolePerson
	case "vcard", "vcards", "contactcard", "contactcards", "contacts", "contactmessage", "contactsarraymessage", "card":
		return roleCard
	case "text", "caption", "body", "title", "subtitle", "footer", "header", "description", "transcription", "transcript",
		"content", "conversation",
		"subject", "comment", "note", "notes", "summary", "question", "options", "answer", "answers", "reaction", "emoji",
		"about", "bio", "matchedtext",
		"canonicalurl", "hydratedcontenttext", "selecteddisplaytext", "selectedbuttonid", "listresponse", "listreply",
		"buttonsresponse",
		"buttonresponse", "buttonsreply", "buttonreply", "templatebuttonreply", "words":
		return roleText
	case "order", "orders", "product", "products", "catalog", "cart", "items", "location", "locations", "livelocation",
		"pin", "poll", "polls", "pollcreation", "latitude",
		"longitude", "lat", "lng", "lon", "degreeslatitude", "degreeslongitude", "place", "venue", "invoice", "payment",
		"list", "buttons", "template",
		"interactive":
		return roleThing
	case "media", "medias", "mediaurl", "mediakey", "directpath", "thumbnail", "thumbnails", "thumbnailurl", "thumb",
		"jpegthumbnail", "image", "images",
		"imageurl", "video", "videos", "videourl", "audio", "audiourl", "voice", "ptt", "sticker", "stickers", "document",
		"documents", "documenturl",
		"file", "files", "fileurl", "filehash", "filesha256", "fileencsha256", "waveform", "attachment", "attachments",
		"profilepicurl", "profilepic",
		"profilepicture", "picture", "avatar", "photo", "photos", "icon", "base64", "blob", "gif", "imagemessage",
		"videomessage", "audiomessage",
		"documentmessage", "stickermessage", "preview", "previewurl":
		return roleMedia
	case "quotedmsg", "quotedmessage", "quoted", "contextinfo", "replyto", "inreplyto", "repliedto", "repliedmessage",
		"replymessage", "reply",
		"referredmessage", "parentmessage", "originalmessage", "forwardedmessage", "quotedmessageid", "quotedtext",
		"quotedbody":
		return roleQuoted
	case "message", "msg", "extendedtextmessage", "ephemeralmessage", "viewoncemessage":
		return roleMessage
	case "messages", "data", "payload", "url", "link", "urls", "links", "key", "meta", "metadata", "context", "extra":
		return roleEnvelope
	}
	return roleUnknown
}

// likelyRole guesses the role of an unknown member by parts of its name.
func likelyRole(name []byte) role {
	has := func(part string) bool { return bytes.Contains(name, []byte(part)) }
	ends := func(part string) bool { return bytes.HasSuffix(name, []byte(part)) }
	switch {
	case has("quoted"):
		return roleQuoted
	case has("vcard"):
		return roleCard
	case has("thumbnail"), has("mediaurl"), has("base64"), has("avatar"), has("picture"), has("photo"), ends("picurl"),
		ends("imageurl"):
		return roleMedia
	case has("caption"), has("transcript"), ends("text"), ends("body"), ends("title"):
		return roleText
	case has("location"), has("latitude"), has("longitude"):
		return roleThing
	case has("phone"), ends("jid"), has("jidalt"), has("msisdn"), ends("waid"), has("sessionkey"):
		return roleIdentifier
	case has("name"), has("nick"), has("email"), has("birth"), has("address"), has("surname"):
		return roleName
	case has("participant"), has("author"), has("contact"), has("sender"), has("recipient"), has("customer"):
		return rolePerson
	case ends("timestamp"):
		return roleTime
	}
	return roleUnknown
}
