package http1

// maxInterim is how many informational responses one request may bring.
const maxInterim = 16

// responseHead is the head of a response.
type responseHead struct {
	head

	status int
	reason span
}

func (r *responseHead) reset() {
	r.head.reset()
	r.status, r.reason = 0, span{}
}

// parse reads the head from the beginning of the buffer, as far as it has arrived. It is called again when more has arrived.
func (r *responseHead) parse(buffer []byte, limits *Limits) (done bool, err *Error) {
	r.Header.head = buffer
	for {
		line, ok, err := r.nextLine(buffer)
		if err != nil {
			return false, err
		}
		if !ok {
			if len(buffer) > limits.HeaderBytes {
				return false, errHeaderTooLarge
			}
			return false, nil
		}
		switch {
		case !r.started:
			if err := r.statusLine(buffer, line); err != nil {
				return false, err
			}
			r.started = true
		case line.start == line.end:
			r.Header.head = buffer[:r.line:r.line]
			err := r.framed()
			return err == nil, err
		default:
			if r.line > limits.HeaderBytes {
				return false, errHeaderTooLarge
			}
			if err := r.field(buffer, line, limits); err != nil {
				return false, err
			}
		}
	}
}

// statusLine reads the status line (RFC 9112, section 4). The space before an empty reason may be missing: many servers leave
// it out, and nothing depends on it.
func (r *responseHead) statusLine(buffer []byte, line span) *Error {
	text := buffer[line.start:line.end]
	const version = len("HTTP/1.1")
	if len(text) < version+4 || text[version] != ' ' {
		return errStatusLine
	}
	if err := r.version(text[:version]); err != nil {
		return errStatusLine
	}
	for _, c := range text[version+1 : version+4] {
		if c < '0' || c > '9' {
			return errStatusLine
		}
		r.status = r.status*10 + int(c-'0')
	}
	if r.status < 100 {
		return errStatusLine
	}
	rest := text[version+4:]
	if len(rest) > 0 && (rest[0] != ' ' || !validValue(rest)) {
		return errStatusLine
	}
	if len(rest) > 0 {
		r.reason = span{line.start + uint32(version) + 5, line.end}
	}
	return nil
}

// bodiless tells whether a response has no body whatever its fields say (RFC 9112, section 6.3).
func bodiless(status int) bool {
	return status < 200 || status == 204 || status == 304
}

// bodyFraming tells how the body is framed that follows the head.
func (r *responseHead) bodyFraming(toHead bool) (kind bodyKind, length int64) {
	switch {
	case toHead || bodiless(r.status):
		return noBody, 0
	case r.chunked:
		return chunkedBody, 0
	case r.length == 0:
		return noBody, 0
	case r.length > 0:
		return lengthBody, r.length
	}
	return untilCloseBody, 0
}
