package http1

import "bytes"

// head reads the lines of a head as they arrive. Offsets are those of the buffer that the head begins.
type head struct {
	Header Header
	scanned
}

// scanned is how far a head was read, and what was found.
type scanned struct {
	// line is where the line begins that is being read, and seen up to where no line end was found.
	line, seen int
	// started says that the first line was read.
	started bool

	// What the fields say about framing and the connection.
	length      int64 // -1 if Content-Length is absent
	chunked     bool
	coding      *Error // why Transfer-Encoding is refused, nil if it is not
	hasCoding   bool
	hosts       int
	host        span
	close       bool
	keepAlive   bool
	wantUpgrade bool
	minor       uint8
}

func (h *head) reset() {
	h.Header.Reset()
	h.scanned = scanned{length: -1}
}

// nextLine finds the next line that is whole. A line ends with CRLF and nothing else (RFC 9112, section 2.2, would allow LF).
func (h *head) nextLine(buffer []byte) (line span, ok bool, err *Error) {
	i := bytes.IndexByte(buffer[h.seen:], '\n')
	if i < 0 {
		h.seen = len(buffer)
		return span{}, false, nil
	}
	end := h.seen + i
	if end == h.line || buffer[end-1] != '\r' {
		return span{}, false, errBareLF
	}
	line = span{uint32(h.line), uint32(end - 1)}
	h.line, h.seen = end+1, end+1
	return line, true, nil
}

// field reads a field line (RFC 9112, section 5).
func (h *head) field(buffer []byte, line span, limits *Limits) *Error {
	text := buffer[line.start:line.end]
	if len(h.Header.fields) >= limits.HeaderCount {
		return errTooManyFields
	}
	if text[0] == ' ' || text[0] == '\t' {
		return errFolding
	}
	colon := bytes.IndexByte(text, ':')
	if colon <= 0 {
		return errFieldName
	}
	id := identify(text[:colon])
	if id == otherName && !all(text[:colon], tokenByte) {
		return errFieldName
	}
	begin, end := colon+1, len(text)
	for begin < end && (text[begin] == ' ' || text[begin] == '\t') {
		begin++
	}
	for begin < end && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	if !validValue(text[begin:end]) {
		return errFieldValue
	}
	f := received{
		name:  span{line.start, line.start + uint32(colon)},
		value: span{line.start + uint32(begin), line.start + uint32(end)},
		id:    id,
		plain: begin == colon+2 && text[colon+1] == ' ' && end == len(text),
	}
	h.Header.fields = append(h.Header.fields, f)
	h.Header.present |= 1 << id
	if id == otherName {
		return nil
	}
	return h.meaning(id, text[begin:end], f.value)
}

// meaning notes what a field says about this message and its connection.
func (h *head) meaning(id nameID, value []byte, at span) *Error {
	switch id {
	case nameHost:
		h.hosts++
		h.host = at
	case nameContentLength:
		if h.length >= 0 {
			return errLengthRepeated
		}
		length, ok := parseLength(value)
		if !ok {
			return errLength
		}
		h.length = length
	case nameTransferEncoding:
		if h.hasCoding {
			return errCodingRepeated
		}
		h.hasCoding = true
		h.chunked, h.coding = parseCoding(value)
	case nameConnection:
		for rest := value; len(rest) > 0; {
			var option []byte
			option, rest = nextElement(rest)
			h.close = h.close || equalFold(option, "close")
			h.keepAlive = h.keepAlive || equalFold(option, "keep-alive")
			h.wantUpgrade = h.wantUpgrade || equalFold(option, "upgrade")
		}
	default:
	}
	return nil
}

// framed tells whether the fields agree on how long the body is (RFC 9112, section 6.3).
func (h *head) framed() *Error {
	switch {
	case !h.hasCoding:
		return nil
	case h.length >= 0:
		return errBothFramings
	case h.minor == 0:
		return errCodingOld
	}
	return h.coding
}

// persistent tells whether the connection goes on after the message (RFC 9112, section 9.3).
func (h *head) persistent() bool {
	return !h.close && (h.minor > 0 || h.keepAlive)
}

// parseLength reads a Content-Length: digits and nothing else, not even a list of the same length twice.
func parseLength(value []byte) (length int64, ok bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		length = length*10 + int64(c-'0')
	}
	return length, true
}

// parseCoding reads a Transfer-Encoding. Only chunked, once and alone, is supported. Whatever is not a list of codings is
// malformed, and so is a list whose last coding is not chunked, because then nobody knows the length (RFC 9112, section 6.3).
func parseCoding(value []byte) (chunked bool, err *Error) {
	if equalFold(value, "chunked") {
		return true, nil
	}
	last := false
	for rest := value; ; {
		var coding []byte
		coding, rest = nextElement(rest)
		if last || len(coding) == 0 || !all(coding, tokenByte) {
			return false, errCoding
		}
		last = equalFold(coding, "chunked")
		if len(rest) == 0 {
			break
		}
	}
	if value[len(value)-1] == ',' {
		return false, errCoding
	}
	return false, errCodingUnknown
}

// version reads the HTTP version at the end of a request line, or at the beginning of a status line.
func (h *head) version(text []byte) *Error {
	switch string(text) {
	case "HTTP/1.1":
		h.minor = 1
	case "HTTP/1.0":
		h.minor = 0
	default:
		if bytes.HasPrefix(text, []byte("HTTP/")) {
			return errVersion
		}
		return errRequestLine
	}
	return nil
}
