package listener

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// headerBlock is a header on its way: the fragments of its frames so far, if there is more than one.
type headerBlock struct {
	fragments     []byte
	continuations int
	begun         bool
}

// refusedField is a field that no request may have: its name is in capitals (RFC 9113, section 8.2.1). A server that finds it resets
// the stream with PROTOCOL_ERROR, and has read the header all the same, which keeps its compression right.
var refusedField = []byte{0x00, 1, 'A', 0}

// header looks at the frame of a header in the buffer. It tells how much longer it made it.
func (g *guarded) header(kind, flags byte, length int) (longer int) {
	payload := g.in[frameHead : frameHead+length]
	begin, end, ok := 0, length, true
	if kind == frameHeaders {
		begin, end, ok = fragmentOf(payload, flags)
		g.block.begun = true
	}
	if !ok || !g.block.begun {
		return 0 // the server says what is wrong
	}
	fragment := payload[begin:end]
	if flags&flagEndHeaders == 0 {
		g.block.fragments = append(g.block.fragments, fragment...)
		return 0
	}
	if len(g.block.fragments) > 0 {
		fragment = append(g.block.fragments, fragment...)
	}
	g.block = headerBlock{}
	if !belongsToConnection(fragment) {
		return 0
	}
	g.in = slices.Insert(g.in, frameHead+end, refusedField...)
	putLength(g.in, length+len(refusedField))
	return len(refusedField)
}

// fragmentOf finds the fragment of a header in the payload of HEADERS (section 6.2).
func fragmentOf(payload []byte, flags byte) (begin, end int, ok bool) {
	end = len(payload)
	if flags&flagPadded != 0 {
		if end < 1 {
			return 0, 0, false
		}
		begin, end = 1, end-int(payload[0])
	}
	if flags&flagPriority != 0 {
		begin += 5
	}
	return begin, end, begin <= end
}

func putLength(frame []byte, length int) {
	frame[0], frame[1], frame[2] = byte(length>>16), byte(length>>8), byte(length)
}

// spelling is a name, or a value, as it can be written (RFC 7541, section 5.2).
type spelling struct{ plain, huffman string }

func spell(text string) spelling {
	return spelling{text, string(hpack.AppendHuffmanString(nil, text))}
}

// connectionFields are those that belong to one connection (RFC 9113, section 8.2.2), but for transfer-encoding, whose name is
// number 57 of the static table, and may be spelled as well.
var connectionFields = [...]spelling{
	spell("connection"), spell("keep-alive"), spell("proxy-connection"), spell("transfer-encoding"), spell("upgrade"),
}

var (
	fieldTE      = spell("te")
	valueTrailer = spell("trailers")
)

const indexTransferEncoding = 57

// belongsToConnection tells whether a header has a field that belongs to a connection. It reads the instructions of HPACK without
// decoding them, since such a name must be spelled out when it first comes; and what is wrong with the block it leaves to the server.
// A name that is only referred to comes from a header that was refused already, and is refused by the server in its own way.
func belongsToConnection(block []byte) bool {
	for len(block) > 0 {
		first := block[0]
		prefix := 4 // a literal that is not indexed, or never
		switch {
		case first&0x80 != 0: // an indexed field
			index, rest, ok := readInteger(block, 7)
			if !ok {
				return false
			}
			if index == indexTransferEncoding {
				return true
			}
			block = rest
			continue
		case first&0xe0 == 0x20: // the size of the table
			_, rest, ok := readInteger(block, 5)
			if !ok {
				return false
			}
			block = rest
			continue
		case first&0xc0 == 0x40: // a literal to be indexed
			prefix = 6
		}
		found, rest, ok := readLiteral(block, prefix)
		if found || !ok {
			return found
		}
		block = rest
	}
	return false
}

// readLiteral reads a literal field, and tells whether it belongs to a connection.
func readLiteral(block []byte, prefix int) (found bool, rest []byte, ok bool) {
	index, rest, ok := readInteger(block, prefix)
	if !ok {
		return false, nil, false
	}
	te := false
	if index == 0 {
		var name []byte
		var huffman bool
		if name, huffman, rest, ok = readString(rest); !ok {
			return false, nil, false
		}
		for i := range connectionFields {
			if connectionFields[i].is(name, huffman) {
				return true, nil, true
			}
		}
		te = fieldTE.is(name, huffman)
	}
	value, huffman, rest, ok := readString(rest)
	if !ok {
		return false, nil, false
	}
	return index == indexTransferEncoding || te && !valueTrailer.is(value, huffman), rest, true
}

func (s *spelling) is(text []byte, huffman bool) bool {
	if huffman {
		return string(text) == s.huffman
	}
	return string(text) == s.plain
}

// readInteger reads an integer (RFC 7541, section 5.1) that begins in the last bits of a byte.
func readInteger(block []byte, bits int) (value uint64, rest []byte, ok bool) {
	if len(block) == 0 {
		return 0, nil, false
	}
	most := uint64(1)<<bits - 1
	value = uint64(block[0]) & most
	block = block[1:]
	if value < most {
		return value, block, true
	}
	for shift := 0; shift < 35 && len(block) > 0; shift += 7 {
		next := block[0]
		block = block[1:]
		value += uint64(next&0x7f) << shift
		if next&0x80 == 0 {
			return value, block, true
		}
	}
	return 0, nil, false
}

// readString reads a string (RFC 7541, section 5.2) without decoding it.
func readString(block []byte) (text []byte, huffman bool, rest []byte, ok bool) {
	if len(block) == 0 {
		return nil, false, nil, false
	}
	huffman = block[0]&0x80 != 0
	length, rest, ok := readInteger(block, 7)
	if !ok || length > uint64(len(rest)) {
		return nil, false, nil, false
	}
	return rest[:length], huffman, rest[length:], true
}

// Settings (RFC 9113, section 6.5.2; RFC 8441, section 3) whose values are bounded.
const (
	settingTableSize     = 1
	settingPush          = 2
	settingInitialWindow = 4
	settingFrameSize     = 5
	settingConnect       = 8
	settingSize          = 6
	largestWindow        = 1<<31 - 1
	largestFrameSetting  = 1<<24 - 1
	mostSettings         = 100 // what the server takes
)

// settings leaves of settings that are given more than once the last value, as if they had been taken one after the other. A frame
// with a value that is not allowed stays as it is, and so does one that changes the size of the table twice, since that has an effect
// of its own (RFC 7541, section 4.2). It tells how much shorter the frame became.
func (g *guarded) settings(length int) (shorter int) {
	if length%settingSize != 0 || length > mostSettings*settingSize {
		return 0
	}
	payload := g.in[frameHead : frameHead+length]
	if !hasTwice(payload) {
		return 0
	}
	kept := make([]byte, 0, length)
	for at := 0; at < length; at += settingSize {
		one := payload[at : at+settingSize]
		if !allowedSetting(one) {
			return 0
		}
		id := binary.BigEndian.Uint16(one)
		later := false
		for next := at + settingSize; next < length; next += settingSize {
			later = later || binary.BigEndian.Uint16(payload[next:]) == id
		}
		switch {
		case later && id == settingTableSize:
			return 0
		case !later:
			kept = append(kept, one...)
		}
	}
	g.in = slices.Replace(g.in, frameHead, frameHead+length, kept...)
	putLength(g.in, len(kept))
	return length - len(kept)
}

func hasTwice(payload []byte) bool {
	for at := 0; at < len(payload); at += settingSize {
		for next := at + settingSize; next < len(payload); next += settingSize {
			if payload[at] == payload[next] && payload[at+1] == payload[next+1] {
				return true
			}
		}
	}
	return false
}

func allowedSetting(one []byte) bool {
	value := binary.BigEndian.Uint32(one[2:])
	switch binary.BigEndian.Uint16(one) {
	case settingPush, settingConnect:
		return value <= 1
	case settingInitialWindow:
		return value <= largestWindow
	case settingFrameSize:
		return largestFrame <= value && value <= largestFrameSetting
	}
	return true
}
