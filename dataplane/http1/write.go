package http1

import (
	"net/http"
	"strconv"
)

// appendField writes a field line, and refuses what would not be one.
func appendField[T []byte | string](out []byte, name string, value T) ([]byte, error) {
	if name == "" || !all(name, tokenByte) {
		return out, ErrInvalidField
	}
	return appendNamed(out, name, value)
}

// appendNamed is appendField for a name that is valid.
func appendNamed[T []byte | string](out []byte, name string, value T) ([]byte, error) {
	out = append(out, name...)
	out = append(out, ": "...)
	begin := len(out)
	out = append(out, value...)
	if !validValue(out[begin:]) {
		return out, ErrInvalidField
	}
	return append(out, "\r\n"...), nil
}

// appendTo writes the fields of a header but for some. Those that arrived were checked then.
func (h *Header) appendTo(out []byte, without nameSet) ([]byte, error) {
	if h == nil {
		return out, nil
	}
	out = h.appendReceived(out, without)
	var err error
	for i := range h.own {
		a := &h.own[i]
		switch {
		case without.has(a.id):
			continue
		case a.id == otherName && (a.name == "" || !all(a.name, tokenByte)):
			return out, ErrInvalidField
		case a.bytes.end > a.bytes.start:
			out, err = appendNamed(out, a.name, h.kept[a.bytes.start:a.bytes.end])
		default:
			out, err = appendNamed(out, a.name, a.value)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// appendReceived writes the fields that arrived. Lines that lie behind each other are copied at once.
func (h *Header) appendReceived(out []byte, without nameSet) []byte {
	var lines span
	for i := range h.fields {
		f := &h.fields[i]
		if f.gone || without.has(f.id) {
			continue
		}
		if f.plain && f.name.start == lines.end {
			lines.end = f.value.end + 2
			continue
		}
		out = append(out, h.bytes(lines)...)
		if lines = (span{f.name.start, f.value.end + 2}); f.plain {
			continue
		}
		lines = span{}
		out = append(out, h.bytes(f.name)...)
		out = append(out, ": "...)
		out = append(out, h.bytes(f.value)...)
		out = append(out, "\r\n"...)
	}
	return append(out, h.bytes(lines)...)
}

// appendStatusLine writes a status line (RFC 9112, section 4). The gateway speaks HTTP/1.1, whatever the client speaks.
func appendStatusLine(out []byte, status int) []byte {
	if status == http.StatusOK {
		return append(out, "HTTP/1.1 200 OK\r\n"...)
	}
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(status)...)
	return append(out, "\r\n"...)
}

func appendLength(out []byte, length int64) []byte {
	out = append(out, "Content-Length: "...)
	out = strconv.AppendInt(out, length, 10)
	return append(out, "\r\n"...)
}

const codingLine = "Transfer-Encoding: chunked\r\n"

// appendChunk writes a chunk; an empty one would be the last and is left out.
func appendChunk(out, content []byte) []byte {
	if len(content) == 0 {
		return out
	}
	out = strconv.AppendUint(out, uint64(len(content)), 16)
	out = append(out, "\r\n"...)
	out = append(out, content...)
	return append(out, "\r\n"...)
}

// appendLastChunk writes the end of a chunked body, with its trailer section.
func appendLastChunk(out []byte, trailer *Header) ([]byte, error) {
	out = append(out, "0\r\n"...)
	out, err := trailer.appendTo(out, notInTrailers|framingNames)
	return append(out, "\r\n"...), err
}
