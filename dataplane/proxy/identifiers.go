package proxy

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"tidegate.dev/dataplane/http1"
)

// longestRequestID bounds an x-request-id that is kept.
const longestRequestID = 128

// identifiers are the request id and the trace of an exchange: those that the client sent, or else made here, in place. They
// are random, by the runtime's generator (ChaCha8, seeded by the operating system), and no secrets.
type identifiers struct {
	sentRequest, sentTrace string
	madeRequest            [32]byte
	madeTrace              [55]byte
}

// take keeps what the client sent and makes what it did not.
func (i *identifiers) take(header *http1.Header) {
	i.sentRequest, i.sentTrace = "", ""
	if sent := requestID.Get(header); harmless(sent) {
		i.sentRequest = sent
	} else {
		randomHex(i.madeRequest[:])
		requestID.SetBytes(header, i.madeRequest[:])
	}
	if sent := traceparent.Get(header); validTraceparent(sent) {
		i.sentTrace = sent
		return
	}
	// Not sampled (W3C Trace Context, section 3.2).
	copy(i.madeTrace[:], "00-")
	randomHex(i.madeTrace[3:35])
	i.madeTrace[35] = '-'
	randomHex(i.madeTrace[36:52])
	copy(i.madeTrace[52:], "-00")
	traceparent.SetBytes(header, i.madeTrace[:])
	// Without its traceparent a tracestate means nothing (section 3.3.1.5).
	tracestate.Del(header)
}

// request is the request id, for those few that need it as a string.
func (i *identifiers) request() string {
	switch {
	case i.sentRequest != "":
		return i.sentRequest
	case i.madeRequest[0] != 0:
		return string(i.madeRequest[:])
	}
	return ""
}

// write tells the client the request id.
func (i *identifiers) write(header *http1.Header) {
	if i.sentRequest != "" {
		requestID.Set(header, i.sentRequest)
	} else {
		requestID.SetBytes(header, i.madeRequest[:])
	}
}

// traced is the trace and the span that the exchange belongs to.
func (i *identifiers) traced() (trace, span string) {
	text := i.sentTrace
	if text == "" && i.madeTrace[0] != 0 {
		text = string(i.madeTrace[:])
	}
	if len(text) < 52 {
		return "", ""
	}
	return text[3:35], text[36:52]
}

// harmless tells whether a request id that was sent can go into logs and headers.
func harmless(sent string) bool {
	if sent == "" || len(sent) > longestRequestID {
		return false
	}
	for i := range len(sent) {
		if c := sent[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func validTraceparent(value string) bool {
	// version "-" trace-id "-" parent-id "-" flags; a higher version than 00 may have more behind a dash.
	if len(value) < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-' || value[:2] == "ff" {
		return false
	}
	if len(value) > 55 && (value[:2] == "00" || value[55] != '-') {
		return false
	}
	trace, parent := value[3:35], value[36:52]
	return lowerHex(value[:2]) && lowerHex(trace) && lowerHex(parent) && lowerHex(value[53:55]) &&
		strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != ""
}

func lowerHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// randomHex fills out, whose length is a multiple of 16, with hexadecimal digits, never all zero.
func randomHex(out []byte) {
	for ; len(out) > 0; out = out[16:] {
		value := rand.Uint64() | 1
		binary.LittleEndian.PutUint64(out[:8], hexDigits(uint32(value>>32)))
		binary.LittleEndian.PutUint64(out[8:16], hexDigits(uint32(value)))
	}
}

// hexDigits are the eight hexadecimal digits of a number, the lowest first, all at once: each half byte goes to a byte of its own,
// and becomes a letter if it is above nine.
func hexDigits(number uint32) uint64 {
	spread := uint64(number)
	spread = (spread | spread<<16) & 0x0000ffff0000ffff
	spread = (spread | spread<<8) & 0x00ff00ff00ff00ff
	spread = (spread | spread<<4) & 0x0f0f0f0f0f0f0f0f
	letters := (spread + 0x0606060606060606) >> 4 & 0x0101010101010101
	return spread + 0x3030303030303030 + letters*('a'-'0'-10)
}
