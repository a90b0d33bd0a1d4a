package twochattest

import (
	"fmt"
	"math/rand/v2"
)

type chatKind uint8

const (
	chatPerson chatKind = iota
	chatGroup
	chatLID // a contact without a number
)

// chat is one conversation of a number.
type chat struct {
	kind       chatKind
	sessionKey string
	remote     string // the value of remote_phone_number, and the filter of the list
	name       string
	script     script
}

// newChats makes the conversations of a number. With more than three, the second is a group and the third has no
// number.
func newChats(seed uint64, count int) []chat {
	var draw rand.PCG
	draw.Seed(seed, 0xc4a7)
	channel := formatUUID("WPN", draw.Uint64(), draw.Uint64())
	chats := make([]chat, count)
	for i := range chats {
		c := chat{name: names[i%len(names)], script: scripts[i%(len(scripts)-1)]}
		// 555-01xx is reserved for fiction and has no real subscribers.
		digits := fmt.Sprintf("1555010%04d", (int(draw.Uint64()%97)*101+i)%10000)
		switch {
		case count > 3 && i%8 == 1:
			id := fmt.Sprintf("%s-%d@g.us", digits, 1600000000+i)
			c.kind, c.remote, c.sessionKey, c.name, c.script = chatGroup, id, "WW-"+channel+"-"+id,
				groupTopics[i/8%len(groupTopics)], scripts[len(scripts)-1]
		case count > 3 && i%8 == 2:
			id := fmt.Sprintf("%015d@lid", draw.Uint64()%1e15)
			c.kind, c.remote, c.sessionKey = chatLID, id, "WW-"+channel+"-"+id
		default:
			c.remote, c.sessionKey = "+"+digits, "WW-"+channel+"-"+digits+"@c.us"
		}
		chats[i] = c
	}
	return chats
}
