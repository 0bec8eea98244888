package http1

import (
	"net/textproto"
	"slices"
	"strings"
)

// span is a piece of a head, as offsets, so that the head may move while it grows.
type span struct{ start, end uint32 }

// received is a field as it arrived.
type received struct {
	name, value span
	id          nameID
	gone        bool
	// plain says that its line is spelt as it would be written here, so that it can be copied as a whole.
	plain bool
}

// added is a field that somebody set here. Its value is a string, or bytes that lie in the header.
type added struct {
	name, value string
	bytes       span
	id          nameID
}

// Header is the header of a message. What arrived stays where it arrived, in the buffer of the connection; what is set here
// lies beside it. The first caller who wants a string of it causes the one allocation that a head costs: a copy of the head,
// of which all strings are parts, so strings may be kept while the buffer is used again. A Header belongs to one goroutine,
// and its zero value is empty. It satisfies the interface by which policies see headers, as net/http's Header does.
type Header struct {
	// head are the bytes that arrived, and text the same as a string, once somebody asked.
	head []byte
	text string

	fields []received
	own    []added
	// kept holds the values that were set as bytes.
	kept []byte
	// present says which known names may be among the fields.
	present nameSet
	// spelling is where a name that was set here lies for whom it is shown as bytes.
	spelling []byte
	// values is where the answers of Values lie.
	values []string
}

// Reset empties the header and keeps its memory, unless it is much.
func (h *Header) Reset() {
	if cap(h.fields) > 256 || cap(h.own) > 256 || cap(h.values) > 256 || cap(h.kept) > 4<<10 {
		*h = Header{}
		return
	}
	h.head, h.text, h.fields, h.kept, h.present = nil, "", h.fields[:0], h.kept[:0], 0
	if len(h.own) > 0 {
		clear(h.own)
		h.own = h.own[:0]
	}
	if len(h.values) > 0 {
		clear(h.values)
		h.values = h.values[:0]
	}
}

func (h *Header) bytes(s span) []byte { return h.head[s.start:s.end] }

func (h *Header) string(s span) string {
	if h.text == "" {
		h.text = string(h.head)
	}
	return h.text[s.start:s.end]
}

// is tells whether a field that arrived has a name.
func (h *Header) is(f *received, id nameID, name string) bool {
	return !f.gone && f.id == id && (id != otherName || equalFold(h.bytes(f.name), name))
}

func (a *added) is(id nameID, name string) bool {
	return a.id == id && (id != otherName || equalFold(a.name, name))
}

// Get returns the first value of a field, empty if there is none.
func (h *Header) Get(name string) string { return NameOf(name).Get(h) }

// Lookup returns the first value of a field, and whether there is one.
func (h *Header) Lookup(name string) (value string, ok bool) { return NameOf(name).lookup(h) }

// Has tells whether there is a field, without making a string of it.
func (h *Header) Has(name string) bool { return NameOf(name).In(h) }

// Values returns all values of a field; the caller must not change them.
func (h *Header) Values(name string) []string {
	id := identify(name)
	if id != otherName && !h.present.has(id) {
		return nil
	}
	begin := len(h.values)
	for i := range h.fields {
		if h.is(&h.fields[i], id, name) {
			h.values = append(h.values, h.string(h.fields[i].value))
		}
	}
	for i := range h.own {
		if h.own[i].is(id, name) {
			h.values = append(h.values, h.ownValue(&h.own[i]))
		}
	}
	if begin == len(h.values) {
		return nil
	}
	return h.values[begin:len(h.values):len(h.values)]
}

// Set replaces all values of a field. A name or value that is not valid makes the message unsendable (ErrInvalidField).
func (h *Header) Set(name, value string) { NameOf(name).Set(h, value) }

// Add puts a value beside those that a field has.
func (h *Header) Add(name, value string) { h.put(NameOf(name), value, span{}) }

// put writes the field where it stays: one that was made beside that place and copied would take longer than all else.
func (h *Header) put(name Name, value string, bytes span) {
	h.present |= 1 << name.id
	if len(h.own) == cap(h.own) {
		h.own = append(h.own, added{})
	} else {
		h.own = h.own[:len(h.own)+1]
	}
	field := &h.own[len(h.own)-1]
	field.name, field.id, field.value, field.bytes = name.text, name.id, value, bytes
}

// SetBytes replaces all values of a field by one that is copied into the header, so that a value made for one message costs no
// allocation.
func (h *Header) SetBytes(name string, value []byte) { NameOf(name).SetBytes(h, value) }

// ownValue makes a string of a value that was set as bytes, when somebody wants it.
func (h *Header) ownValue(a *added) string {
	if a.bytes.end > a.bytes.start {
		a.value, a.bytes = string(h.kept[a.bytes.start:a.bytes.end]), span{}
	}
	return a.value
}

// Del takes a field out.
func (h *Header) Del(name string) { NameOf(name).Del(h) }

func (h *Header) del(id nameID, name string) {
	if id != otherName && !h.present.has(id) {
		return
	}
	h.present &^= 1 << id &^ 1
	for i := range h.fields {
		if h.is(&h.fields[i], id, name) {
			h.fields[i].gone = true
		}
	}
	for i := range h.own {
		if h.own[i].is(id, name) {
			h.own = slices.DeleteFunc(h.own, func(field added) bool { return field.is(id, name) })
			return
		}
	}
}

// DelFunc takes out the fields whose names, as they are spelt in the message, condemn holds for.
func (h *Header) DelFunc(condemn func(name []byte) bool) {
	for i := range h.fields {
		if !h.fields[i].gone && condemn(h.bytes(h.fields[i].name)) {
			h.fields[i].gone = true
		}
	}
	for i := len(h.own) - 1; i >= 0; i-- {
		if h.spelling = append(h.spelling[:0], h.own[i].name...); condemn(h.spelling) {
			h.own = append(h.own[:i], h.own[i+1:]...)
		}
	}
}

// Each calls see with every field, in the order of their arrival, until it returns false. Names are spelt as they arrived.
func (h *Header) Each(see func(name, value string) bool) {
	for i := range h.fields {
		if f := &h.fields[i]; !f.gone && !see(h.string(f.name), h.string(f.value)) {
			return
		}
	}
	for i := range h.own {
		if !see(h.own[i].name, h.ownValue(&h.own[i])) {
			return
		}
	}
}

// AddAll puts the fields of a map beside those of the header; net/http's Header is one. The strings are shared.
func (h *Header) AddAll(fields map[string][]string) {
	for name, values := range fields {
		for _, value := range values {
			h.Add(name, value)
		}
	}
}

// CopyTo puts the fields of the header into a map like net/http's Header, with canonical names.
func (h *Header) CopyTo(fields map[string][]string) {
	h.Each(func(name, value string) bool {
		name = textproto.CanonicalMIMEHeaderKey(name)
		fields[name] = append(fields[name], value)
		return true
	})
}

// Len is the number of fields.
func (h *Header) Len() int {
	n := len(h.own)
	for i := range h.fields {
		if !h.fields[i].gone {
			n++
		}
	}
	return n
}

// HasToken tells whether a field that is a list has an element, without regard to case.
func (h *Header) HasToken(name, token string) bool { return NameOf(name).HasToken(h, token) }

func listHas[T []byte | string](list T, token string) bool {
	for len(list) > 0 {
		var element T
		if element, list = nextElement(list); equalFold(element, token) {
			return true
		}
	}
	return false
}

// RemoveHopByHop takes out what belongs to the connection and not to the message, the fields that Connection names included
// (RFC 9110, section 7.6.1). Whoever passes a message on calls it before adding fields.
func (h *Header) RemoveHopByHop() {
	if h.present&hopByHop == 0 {
		return
	}
	for _, value := range h.nominations() {
		for name := range strings.SplitSeq(value, ",") {
			// Host and the length are not the client's to take out.
			if name = trim(name); name != "" && !setOf(nameHost, nameContentLength).has(identify(name)) {
				h.Del(name)
			}
		}
	}
	for i := range h.fields {
		if hopByHop.has(h.fields[i].id) {
			h.fields[i].gone = true
		}
	}
	kept := h.own[:0]
	for _, field := range h.own {
		if !hopByHop.has(field.id) {
			kept = append(kept, field)
		}
	}
	clear(h.own[len(kept):])
	h.own = kept
	h.present &^= hopByHop
}

// nominations are the values of Connection that name fields, which is rare: most say keep-alive or close.
func (h *Header) nominations() []string {
	for i := range h.fields {
		f := &h.fields[i]
		if f.id == nameConnection && !f.gone && !equalFold(h.bytes(f.value), "keep-alive") && !equalFold(h.bytes(f.value), "close") {
			return h.Values("Connection")
		}
	}
	return nil
}
