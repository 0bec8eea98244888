package http1

import "strings"

// Name is the name of a field that was looked at once, for whoever asks for it in every message. Its methods are those of Header.
type Name struct {
	text string
	id   nameID
}

// NameOf looks at a name.
func NameOf(name string) Name { return Name{name, identify(name)} }

// absent says so without looking at the fields, if that is known.
func (n Name) absent(h *Header) bool { return n.id != otherName && !h.present.has(n.id) }

// Get returns the first value of the field, empty if there is none.
func (n Name) Get(h *Header) string {
	value, _ := n.lookup(h)
	return value
}

func (n Name) lookup(h *Header) (value string, ok bool) {
	if n.absent(h) {
		return "", false
	}
	for i := range h.fields {
		if h.is(&h.fields[i], n.id, n.text) {
			return h.string(h.fields[i].value), true
		}
	}
	for i := range h.own {
		if h.own[i].is(n.id, n.text) {
			return h.ownValue(&h.own[i]), true
		}
	}
	return "", false
}

// In tells whether there is a field of the name, without making a string of it.
func (n Name) In(h *Header) bool {
	if n.absent(h) {
		return false
	}
	for i := range h.fields {
		if h.is(&h.fields[i], n.id, n.text) {
			return true
		}
	}
	for i := range h.own {
		if h.own[i].is(n.id, n.text) {
			return true
		}
	}
	return false
}

// HasPrefix tells whether the first value of the field begins so, without making a string of it.
func (n Name) HasPrefix(h *Header, prefix string) bool {
	if n.absent(h) {
		return false
	}
	for i := range h.fields {
		if h.is(&h.fields[i], n.id, n.text) {
			value := h.bytes(h.fields[i].value)
			return len(value) >= len(prefix) && string(value[:len(prefix)]) == prefix
		}
	}
	return strings.HasPrefix(n.Get(h), prefix)
}

// HasToken tells whether the field, which is a list, has an element, without regard to case.
func (n Name) HasToken(h *Header, token string) bool {
	if n.absent(h) {
		return false
	}
	for i := range h.fields {
		if h.is(&h.fields[i], n.id, n.text) && listHas(h.bytes(h.fields[i].value), token) {
			return true
		}
	}
	for i := range h.own {
		if h.own[i].is(n.id, n.text) && listHas(h.ownValue(&h.own[i]), token) {
			return true
		}
	}
	return false
}

// Set replaces all values of the field.
func (n Name) Set(h *Header, value string) {
	n.Del(h)
	h.put(n, value, span{})
}

// SetBytes replaces all values of the field by one that is copied into the header.
func (n Name) SetBytes(h *Header, value []byte) {
	n.Del(h)
	begin := uint32(len(h.kept))
	h.kept = append(h.kept, value...)
	h.put(n, "", span{begin, uint32(len(h.kept))})
}

// Del takes the field out.
func (n Name) Del(h *Header) {
	if !n.absent(h) {
		h.del(n.id, n.text)
	}
}
