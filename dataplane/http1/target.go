package http1

import "bytes"

// form is the form of a request target (RFC 9112, section 3.2).
type form uint8

const (
	originForm form = iota
	absoluteForm
	authorityForm
	asteriskForm
)

// parseTarget finds the form of the target, and its parts. Nothing is decoded here.
func (r *Request) parseTarget(buffer []byte) *Error {
	target := buffer[r.target.start:r.target.end]
	method := buffer[r.method.start:r.method.end]
	if len(target) == 0 || !validTarget(target) {
		return errTarget
	}
	connect := string(method) == "CONNECT"
	switch {
	case connect:
		if !validAuthority(target) {
			return errTarget
		}
		r.form, r.authority = authorityForm, r.target
		return nil
	case target[0] == '/':
		r.form, r.path = originForm, r.target
	case string(target) == "*":
		if string(method) != "OPTIONS" {
			return errTargetForm
		}
		r.form, r.path = asteriskForm, r.target
	default:
		if err := r.parseAbsolute(target); err != nil {
			return err
		}
	}
	if !validPath(buffer[r.path.start:r.path.end]) {
		return errTarget
	}
	return nil
}

// parseAbsolute reads the absolute form, which a proxy must take from every client (RFC 9112, section 3.2.2). Its authority
// decides, whatever the field Host says.
func (r *Request) parseAbsolute(target []byte) *Error {
	colon := bytes.Index(target, []byte("://"))
	if colon < 0 {
		return errTarget
	}
	if scheme := target[:colon]; !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return errScheme
	}
	begin := colon + len("://")
	end := len(target)
	if i := bytes.IndexAny(target[begin:], "/?"); i >= 0 {
		end = begin + i
	}
	// RFC 9110, section 4.2.4: user information is an error.
	if !validHost(target[begin:end]) {
		return errTarget
	}
	r.form = absoluteForm
	r.authority = span{r.target.start + uint32(begin), r.target.start + uint32(end)}
	r.path = span{r.authority.end, r.target.end}
	return nil
}

// validPath tells whether every percent sign of a path begins an escape. The query may hold what it likes.
func validPath(path []byte) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '?':
			return true
		case '%':
			if i+2 >= len(path) || classes[path[i+1]]&classes[path[i+2]]&hexByte == 0 {
				return false
			}
			i += 2
		}
	}
	return true
}

// validHost tells whether text is a host with or without a port (RFC 9110, section 7.2). It may not be empty (section 4.2.1),
// and percent-encoding, which RFC 3986 allows in names and nobody uses, is refused, since it hides a name.
func validHost(text []byte) bool {
	host, port := text, []byte(nil)
	if len(text) > 0 && text[0] == '[' {
		end := bytes.IndexByte(text, ']')
		if end < 0 || !validAddress(text[1:end]) {
			return false
		}
		if rest := text[end+1:]; len(rest) > 0 {
			if rest[0] != ':' {
				return false
			}
			port = rest[1:]
		}
		return validPort(port)
	}
	if colon := bytes.IndexByte(text, ':'); colon >= 0 {
		host, port = text[:colon], text[colon+1:]
	}
	return len(host) > 0 && all(host, hostByte) && validPort(port)
}

// validAddress tells whether text may stand between brackets: an address of IPv6, without a zone.
func validAddress(text []byte) bool {
	colons := 0
	for _, c := range text {
		switch {
		case c == ':':
			colons++
		case c != '.' && classes[c]&hexByte == 0:
			return false
		}
	}
	return colons >= 2
}

func validPort(port []byte) bool {
	if len(port) > 5 {
		return false
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// validAuthority tells whether text is a host with a port, as CONNECT needs it (RFC 9112, section 3.2.3).
func validAuthority(text []byte) bool {
	return validHost(text) && text[len(text)-1] != ':' && bytes.LastIndexByte(text, ':') > bytes.IndexByte(text, ']')
}
