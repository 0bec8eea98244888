package proxy

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
)

// longestRequestID bounds an x-request-id that is kept.
const longestRequestID = 128

// requestID keeps what the client sent if it is harmless in logs and headers, and makes one otherwise.
func requestID(sent string) string {
	if sent == "" || len(sent) > longestRequestID {
		return randomHex(16)
	}
	for i := range len(sent) {
		if c := sent[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return randomHex(16)
		}
	}
	return sent
}

// traceparent keeps a valid traceparent (W3C Trace Context, section 3.2), and makes one that is not sampled otherwise.
func traceparent(sent string) (value string, kept bool) {
	if validTraceparent(sent) {
		return sent, true
	}
	return "00-" + randomHex(16) + "-" + randomHex(8) + "-00", false
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

// randomHex is size random bytes in hexadecimal, never all zero.
func randomHex(size int) string {
	var raw [16]byte
	for i := 0; i < size; i += 8 {
		value := rand.Uint64() | 1
		for n := range 8 {
			raw[i+n] = byte(value >> (8 * n))
		}
	}
	return hex.EncodeToString(raw[:size])
}
