package http1

// Check tells what is wrong with a request that came another way, HTTP/2, and may be passed on over HTTP/1.1: what would be refused if
// it had arrived here. Length is that of the body, -1 if it is not known. The path is not looked at, and the query is what stands
// behind it, with its question mark. It is nil if nothing is wrong.
func Check(method, query, host string, length int64, header *Header) *Error {
	switch {
	case method == "" || len(method) > longestMethod || !all(method, tokenByte):
		return errMethod
	case !validTarget(query):
		return errTarget
	case host == "":
		return errHostMissing
	case !validHost([]byte(host)):
		return errHost
	}
	return header.check(length)
}

// check looks at fields that were set as strings.
func (h *Header) check(length int64) *Error {
	announced := false
	for i := range h.own {
		a := &h.own[i]
		value := h.ownValue(a)
		switch {
		case len(value) != len(trim(value)):
			// RFC 9113, section 8.2.1. Whoever reads HTTP/1.1 takes it off, so that two would see two values.
			return errWhiteSpace
		case a.id == otherName && disguised(a.name):
			return errFieldName
		case a.id != nameContentLength:
			continue
		case announced:
			return errLengthRepeated
		}
		announced = true
		if said, ok := parseLength([]byte(value)); !ok || said != length {
			return errLength
		}
	}
	return nil
}

// disguised tells of names that are not those of the fields which frame a message, but are for servers that make variables of
// fields, as in CGI: there Transfer_Encoding is Transfer-Encoding.
func disguised[T []byte | string](name T) bool {
	switch len(name) {
	case len("content-length"):
		return equalVariable(name, "content-length")
	case len("transfer-encoding"):
		return equalVariable(name, "transfer-encoding")
	}
	return false
}

// equalVariable compares a name with one in lower case that is as long.
func equalVariable[T []byte | string](name T, known string) bool {
	for i := range len(known) {
		if c := lower(name[i]); c != known[i] && (c != '_' || known[i] != '-') {
			return false
		}
	}
	return true
}
