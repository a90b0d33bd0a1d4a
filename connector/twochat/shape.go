package twochat

import (
	"fmt"
	"slices"
	"strings"
)

// maxShapeMembers is how many members of one object a shape lists.
const maxShapeMembers = 60

// shape describes JSON values in one place without their content: types, lengths and the names of members. It may be
// shown to strangers.
type shape struct {
	values  int
	strings lengths
	arrays  lengths
	numbers []string // forms, with 9 for each digit
	objects int
	bools   int
	nulls   int
	members map[string]*shape
	names   []string // of members, in the order of their first appearance
	element *shape
}

// lengths is a range of lengths, and of how many things.
type lengths struct{ count, least, most int }

func (l *lengths) add(length int) {
	if l.count == 0 {
		l.least = length
	}
	l.count, l.least, l.most = l.count+1, min(l.least, length), max(l.most, length)
}

func (l lengths) String() string {
	if l.least == l.most {
		return fmt.Sprint(l.least)
	}
	return fmt.Sprintf("%d..%d", l.least, l.most)
}

// redactedShape returns the shape of a valid JSON document as text.
func redactedShape(document []byte) string {
	s := &scanner{data: document}
	var root shape
	root.add(s, s.space(len(document)-len(unmarked(document))), 0)
	var out strings.Builder
	root.write(&out, 0)
	return out.String()
}

// add adds the value at i and returns the position after it; depth is the number of containers around it. A value that
// is nested too deeply is counted without its members.
func (sh *shape) add(s *scanner, i, depth int) int {
	sh.values++
	data := s.data
	switch data[i] {
	case '{':
		sh.objects++
		return s.object(i, depth, func(key span, value int) int {
			return sh.member(maskedName(unquote(key.of(data)))).add(s, value, depth+1)
		})
	case '[':
		if sh.element == nil {
			sh.element = new(shape)
		}
		count := 0
		end := s.array(i, depth, func(value int) int {
			count++
			return sh.element.add(s, value, depth+1)
		})
		sh.arrays.add(count)
		return end
	case '"':
		end := s.text(i)
		sh.strings.add(len(unquote(data[i:end])))
		return end
	case 't', 'f':
		sh.bools++
	case 'n':
		sh.nulls++
	default:
		end := s.value(i, 0)
		if form := digitForm(data[i:end]); !slices.Contains(sh.numbers, form) && len(sh.numbers) < 4 {
			sh.numbers = append(sh.numbers, form)
		}
		return end
	}
	return s.value(i, 0)
}

func (sh *shape) member(name string) *shape {
	if sh.members == nil {
		sh.members = make(map[string]*shape)
	}
	if _, ok := sh.members[name]; !ok && len(sh.names) >= maxShapeMembers {
		name = "*"
	}
	member := sh.members[name]
	if member == nil {
		member = new(shape)
		sh.members[name] = member
		sh.names = append(sh.names, name)
	}
	return member
}

// write writes the shape: `name?` is a member that not every object has, `|` separates types.
func (sh *shape) write(out *strings.Builder, depth int) {
	var kinds []string
	if sh.strings.count > 0 {
		kinds = append(kinds, "string("+sh.strings.String()+")")
	}
	for _, form := range sh.numbers {
		kinds = append(kinds, "number("+form+")")
	}
	if sh.bools > 0 {
		kinds = append(kinds, "bool")
	}
	if sh.nulls > 0 {
		kinds = append(kinds, "null")
	}
	out.WriteString(strings.Join(kinds, "|"))
	separator := ""
	if len(kinds) > 0 {
		separator = "|"
	}
	indent := "\n" + strings.Repeat("  ", min(depth+1, 40))
	if sh.objects > 0 {
		out.WriteString(separator + "{")
		separator = "|"
		for _, name := range sh.names {
			member := sh.members[name]
			out.WriteString(indent + name)
			if member.values < sh.objects {
				out.WriteString("?")
			}
			out.WriteString(": ")
			member.write(out, depth+1)
		}
		out.WriteString(indent[:len(indent)-2] + "}")
	}
	if sh.arrays.count > 0 {
		out.WriteString(separator + "[" + sh.arrays.String() + " x ")
		sh.element.write(out, depth+1)
		out.WriteString("]")
	}
}

// maskedName returns a member's name if it looks chosen by a programmer, and otherwise `*`: in some objects the names
// are data, for example phone numbers.
func maskedName(name []byte) string {
	if len(name) == 0 || len(name) > 40 || name[0] != '_' && (name[0] < 'a' || name[0] > 'z') {
		return "*"
	}
	digits := 0
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return "*"
		}
	}
	if digits > 2 {
		return "*"
	}
	return string(name)
}

// digitForm masks a number or a time: each digit becomes a 9, and each letter other than T, Z and e an a.
func digitForm(raw []byte) string {
	const most = 40
	form := make([]byte, 0, most)
	for _, c := range raw[:min(len(raw), most)] {
		switch {
		case c >= '0' && c <= '9':
			c = '9'
		case strings.IndexByte("TZe.:+- ", c) >= 0:
		default:
			c = 'a'
		}
		form = append(form, c)
	}
	return string(form)
}
